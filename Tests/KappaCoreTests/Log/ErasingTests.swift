import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Erasing events from the log") struct ErasingTests {
    private let folder = LogFolder()
    private static let seed = LogTesting.seed

    /// Appends events of several sizes and sources, in small segments.
    private func fill(_ count: Int, _ random: inout SplitMix) throws {
        let writer = try LogWriter(folder.path, segmentBytes: 8_000, files: FaultyFiles())
        var sources: [String: UInt64] = [:]
        var number = 0
        while number < count {
            let size = Int.random(in: 1...9, using: &random)
            let texts = (number..<(number + size)).map {
                let length = Int.random(in: 0..<200, using: &random)
                return #"{"n":\#($0),"text":"\#(String(repeating: "x", count: length))"}"#
            }
            let name = ["", "a", "b/1"].randomElement(using: &random) ?? ""
            let batch = SourceBatch(name: name, position: sources[name] ?? 0)
            _ = try writer.append(LogTesting.lines(texts), source: name.isEmpty ? nil : batch)
            sources[name, default: 0] += UInt64(size)
            number += size
        }
    }

    /// What every event of the log is, and the digest before each.
    private func read() throws -> (texts: [String], digests: [LogDigest]) {
        let texts = try LogTesting.texts(folder.path)
        let reader = try LogReader(folder.path)
        let digests = try (0...texts.count).map { try reader.digest(at: Offset(UInt64($0))) }
        return (texts, digests)
    }

    @Test("leaves tombstones: other events, offsets and all digests stay", arguments: 0..<12)
    func generated(round: Int) throws {
        var random = SplitMix(state: Self.seed &+ UInt64(round))
        let comment: Comment = "seed \(Self.seed)"
        try fill(150, &random)
        if round % 4 == 1 { try FirstFormat.rewrite(folder) }
        if round % 4 == 2 { _ = try LogSealer(folder.path, zstd: true).seal() }
        var (texts, digests) = try read()
        let points = try sources()
        // Twice, partly the same ones.
        for _ in 0..<2 {
            let offsets = (0..<Int.random(in: 1...40, using: &random)).map { _ in
                Int.random(in: 0..<texts.count, using: &random)
            }
            let new = Set(offsets).filter { texts[$0] != "" }.count
            let erased = try LogEraser(folder.path, files: FaultyFiles()).erase(
                offsets.map { Offset(UInt64($0)) })
            #expect(erased == new, comment)
            for offset in offsets { texts[offset] = "" }
            #expect(try read() == (texts, digests), comment)
            #expect(try LogVerification(folder.path).damage == nil, comment)
            #expect(try sources() == points, comment)
        }
        // Sealed, and appended to.
        if round % 2 == 0 { _ = try LogSealer(folder.path, zstd: round % 3 == 0).seal() }
        _ = try LogWriter(folder.path).append(LogTesting.lines(["{}"]))
        let after = try read()
        #expect(after.texts == texts + ["{}"], comment)
        #expect(Array(after.digests.dropLast()) == digests, comment)
        digests = after.digests
        #expect(try LogVerification(folder.path).damage == nil, comment)
        // The bytes are gone.
        for name in folder.names where round % 4 == 0 && name.hasSuffix(".log") {
            let text = String(decoding: try folder.bytes(name), as: UTF8.self)
            for (offset, line) in texts.enumerated() where line == "" {
                #expect(!text.contains(#""n":\#(offset),"#), comment)
            }
        }
    }

    private func sources() throws -> [UInt64] {
        let writer = try LogWriter(folder.path)
        return try ["a", "b/1"].map { try writer.sourcePoint(of: $0).position }
    }

    @Test("an offset that the log does not have is refused, and nothing is erased")
    func missing() throws {
        var random = SplitMix(state: Self.seed)
        try fill(20, &random)
        let before = try read()
        let end = Offset(UInt64(before.texts.count))
        #expect { _ = try LogEraser(folder.path).erase([Offset(3), end]) } throws: {
            ($0 as? KappaError)?.code == .notFound
        }
        #expect(try LogEraser(folder.path).erase([Offset]()) == 0)
        #expect(try read() == before)
    }

    @Test("is completed after any call to the system has failed", arguments: FileCall.allCases)
    func faults(call: FileCall) throws {
        var random = SplitMix(state: Self.seed)
        try fill(120, &random)
        let offsets = [1, 2, 50, 119].map { Offset($0) }
        var after = 0
        while true {
            let copy = try folder.copy()
            var (texts, digests) = try read()
            let files = FaultyFiles()
            files.set(.init(call: call, number: EIO, after: after, isForEver: after % 2 == 0))
            let done = try? LogEraser(copy.path, files: files).erase(offsets)
            #expect(try LogVerification(copy.path).damage == nil, "\(call) \(after)")
            files.set(nil)
            _ = try LogEraser(copy.path, files: files).resume()
            let began = try LogTesting.texts(copy.path) != texts
            if !began { _ = try LogEraser(copy.path, files: files).erase(offsets) }
            for offset in offsets { texts[Int(offset.rawValue)] = "" }
            #expect(try LogTesting.texts(copy.path) == texts, "\(call) \(after)")
            let reader = try LogReader(copy.path)
            for (offset, digest) in digests.enumerated() {
                #expect(try reader.digest(at: Offset(UInt64(offset))) == digest)
            }
            #expect(!copy.names.contains { $0.contains("erasing") || $0.hasSuffix(".sealing") })
            digests = []
            if done != nil { break }
            after += 1
        }
        #expect(after > 0 || call == .truncate)
    }

    @Test("a reader in the middle of a segment continues while events are erased")
    func readers() throws {
        var random = SplitMix(state: Self.seed)
        try fill(100, &random)
        let before = try LogTesting.texts(folder.path)
        for stop in stride(from: 0, to: 100, by: 9) {
            let reader = try LogReader(folder.path)
            var texts = try LogTesting.readOn(reader, upTo: Offset(UInt64(stop))).map(\.text)
            _ = try LogEraser(folder.path).erase([Offset(UInt64(stop)), Offset(99)])
            texts += try LogTesting.readOn(reader).map(\.text)
            #expect(texts.count == before.count)
            for (text, line) in zip(texts, before) { #expect(text == line || text == "") }
        }
    }

    @Test("a source with erased events is still compared with what is imported")
    func imports() throws {
        let texts = LogTesting.numbered(0..<50)
        func run(_ texts: [String]) throws -> SourceImport.Result {
            try folder.write(Array(texts.joined(separator: "\n").utf8), to: "input")
            let input = open(folder.file("input"), O_RDONLY)
            defer { close(input) }
            var source = try SourceImport(LogWriter(folder.file("log")), source: "shop")
            try source.run(input, name: "input")
            try source.finish()
            return source.result
        }
        _ = try run(texts)
        _ = try LogEraser(folder.file("log")).erase([Offset(7), Offset(20)])
        #expect(try run(texts).skipped == 50)
        for line in [7, 8, 20, 49] {
            var other = texts
            other[line] = #"{"other":1}"#
            #expect { _ = try run(other) } throws: { error in
                let error = error as? KappaError
                return error?.code == .badInput && error?.place == "input, line \(line + 1)"
            }
        }
        #expect(try run(texts + ["{}"]).appended == 1)
    }

    @Test("a block with tombstones is compared with its digest by every reader")
    func altered() throws {
        let texts = LogTesting.numbered(0..<4)
        _ = try LogWriter(folder.path).append(LogTesting.lines(texts))
        _ = try LogEraser(folder.path).erase([Offset(1)])
        let name = "00000000000000000000.log"
        let sound = try folder.bytes(name)
        let header = try #require(sound.withUnsafeBytes { BlockHeader($0) })
        let runs = Array(sound[header.size..<(header.size + header.runsSize)])
        let payload = [texts[0], "{}", texts[2], texts[3]]
        for (line, text) in [
            (1, texts[1]), (1, ""), (1, "{} "), (1, "xx"), (2, texts[3]), (0, "{}"),
        ] {
            var lines = payload
            lines[line] = text
            let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
            var altered = header
            (altered.storedSize, altered.rawSize) = (bytes.count, bytes.count)
            altered.rawCRC = bytes.withUnsafeBytes { crc32c($0) }
            try folder.write(altered.encoded(runs: runs) + bytes, to: name)
            let reader = try LogReader(folder.path)
            #expect(throws: KappaError.self, "\(line) \(text)") {
                _ = try reader.next(into: BlockBuffer(), upTo: Offset(4))
            }
        }
    }

    @Test("no file of format 2 can lack what its runs call erased")
    func crafted() throws {
        _ = try LogWriter(folder.path).append(LogTesting.lines(LogTesting.numbered(0..<4)))
        _ = try LogEraser(folder.path).erase([Offset(1)])
        let name = "00000000000000000000.log"
        var bytes = try folder.bytes(name)
        var header = try #require(bytes.withUnsafeBytes { BlockHeader($0) })
        let runs = Array(bytes[header.size..<(header.size + header.runsSize)])
        for change in 0..<2 {
            header.appendedCRC ^= 1
            header.appendedSize += change
            bytes.replaceSubrange(
                0..<(header.size + runs.count), with: header.encoded(runs: runs))
            try folder.write(bytes, to: name)
            #expect(try LogVerification(folder.path).damage != nil)
        }
    }
}

/// Views take no erased event.
@Suite("Views over a log with erased events") struct ErasedViewTests {
    private struct Loose: Event {
        var key: String
        var n: Int?
        static let eventType: String? = nil

        private enum CodingKeys: String, CodingKey { case key, n }

        /// It could be made from a tombstone's line, too.
        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            key = try values.decodeIfPresent(String.self, forKey: .key) ?? "none"
            n = try values.decodeIfPresent(Int.self, forKey: .n)
        }
    }

    private struct Strict: Event, Codable {
        var key: String
        var n: Int
        var at: Timestamp
        static let eventType: String? = nil
    }

    private struct Seen: Codable, Equatable, Sendable { var numbers: [Int] = [] }

    private static let views: [any AnyView] = [
        View("loose", digest: "1") {
            Events(Loose.self).grouped(by: \.key).aggregate(
                .count().as("n"), .last(\.n).as("last"))
        },
        View("strict", digest: "1") {
            Events(Strict.self).filter { $0.n >= 0 }.grouped(by: \.key).aggregate(
                .sum(\.n).as("n"))
        },
        View("windows", digest: "1") {
            Events(Strict.self, at: \.at).grouped(by: \.key)
                .window(.tumbling(.seconds(10)), lateness: .seconds(5)).aggregate(.count().as("n"))
        },
        View("sessions", digest: "1") {
            Events(Strict.self, at: \.at).grouped(by: \.key)
                .window(.session(gap: .seconds(4))).aggregate(.sum(\.n).as("n"))
        },
        View("folded", initially: Seen(), digest: "1") {
            On(Strict.self, key: \.key) { event, seen in seen.numbers.append(event.n) }
        },
    ]

    @Test("have the rows of a log that never had the events, and no dead letters")
    func rows() throws {
        var random = SplitMix(state: LogTesting.seed)
        let lines = (0..<400).map { number in
            let second = number / 7 + Int.random(in: -3...3, using: &random)
            return #"{"key":"k\#(Int.random(in: 0..<6, using: &random))","n":\#(number),"at":"#
                + #""2026-01-01T00:\#(10 + second / 60):\#(10 + (second % 60 + 60) % 50)Z"}"#
        }
        let erased = Set((0..<90).map { _ in Int.random(in: 0..<400, using: &random) })
        let whole = try VersionsFolder()
        let without = try VersionsFolder()
        for line in lines.enumerated() {
            try whole.append([line.element])
            if !erased.contains(line.offset) { try without.append([line.element]) }
        }
        #expect(
            try LogEraser(whole.data.log).erase(erased.map { Offset(UInt64($0)) }) == erased.count)
        for folder in [whole, without] {
            try folder.catchUp(Self.views)
            for view in Self.views {
                let entry = try folder.catalog().entries(of: view.name).first
                #expect(entry?.isLive == true, "\(view.name): \(String(describing: entry))")
            }
        }
        for view in Self.views {
            let rows = try whole.rows(view.name, 1)
            #expect(try rows == without.rows(view.name, 1), "\(view.name), seed \(LogTesting.seed)")
            #expect(!rows.isEmpty)
        }
        for status in try VersionStatus.all(whole.catalog()) {
            #expect(status.counters.dead == 0 && status.position == Offset(400))
        }
    }
}
