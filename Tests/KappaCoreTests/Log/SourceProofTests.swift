import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// An import compares what it skips with what the log has.
@Suite("What an import skips") struct SourceProofTests {
    private let folder = LogFolder()
    private var log: String { folder.file("log") }

    private func run(
        _ texts: [[String]], batch: Int = .max, source: String = "shop"
    ) throws -> (result: SourceImport.Result, notice: String?) {
        var source = try SourceImport(LogWriter(log), source: source, batchEvents: batch)
        for (index, lines) in texts.enumerated() {
            try folder.write(Array(lines.joined(separator: "\n").utf8), to: "input\(index)")
            let input = open(folder.file("input\(index)"), O_RDONLY)
            defer { close(input) }
            try source.run(input, name: "input\(index)")
        }
        try source.finish()
        return (source.result, source.notice)
    }

    private func refusal(_ texts: [[String]], batch: Int = .max) throws -> KappaError? {
        let before = try LogTesting.texts(log)
        var refusal: KappaError?
        do { _ = try run(texts, batch: batch) } catch { refusal = error as? KappaError }
        if refusal != nil { #expect(try LogTesting.texts(log) == before) }
        return refusal
    }

    /// Lines of many lengths, some of them blank, so that a log of a hundred has several checkpoints.
    private static func lines(
        _ numbers: Range<Int>, _ random: inout SplitMix
    ) -> [String] {
        numbers.flatMap { number -> [String] in
            let size =
                Int.random(in: 0...1, using: &random) * Int.random(in: 0..<30_000, using: &random)
            let line = #"{"n":\#(number),"text":"\#(String(repeating: "x", count: size))"}"#
            return Int.random(in: 0..<8, using: &random) == 0 ? ["", line] : [line]
        }
    }

    private static func isEvent(_ line: String) -> Bool { line.contains("{") }

    /// The line of the first event of `lines` that differs from the one of `old` in its place.
    private static func firstDifference(_ lines: [String], from old: [String]) -> Int? {
        var events = old.filter(isEvent)[...]
        for (index, line) in lines.enumerated() where isEvent(line) {
            guard let event = events.popFirst() else { return nil }
            if line != event { return index + 1 }
        }
        return nil
    }

    enum Change: CaseIterable { case edited, rotated, shortened, inserted, removed, swapped, other }

    private static func changed(
        _ lines: [String], _ change: Change, _ random: inout SplitMix
    ) -> [String] {
        var lines = lines
        let at = Int.random(in: 0..<(lines.count - 1), using: &random)
        switch change {
        case .edited: lines[at] = #"{"n":-1}"#
        case .rotated: lines.removeFirst(at + 1)
        case .shortened: lines.removeLast(at + 1)
        case .inserted: lines.insert(#"{"n":-1}"#, at: at)
        case .removed: lines.remove(at: at)
        case .swapped: lines.swapAt(at, at + 1)
        case .other: lines = (0..<lines.count).map { #"{"other":\#($0)}"# }
        }
        return lines
    }

    @Test(
        "a file that is not the source is refused with the line where it differs",
        arguments: Change.allCases, [false, true])
    func generated(change: Change, isFirstFormat: Bool) throws {
        var random = SplitMix(state: LogTesting.seed)
        for round in 0..<6 {
            unlink(log + "/head")
            Folder.remove(log)
            let lines = Self.lines(0..<100, &random)
            let count = lines.count { Self.isEvent($0) }
            _ = try run([lines], batch: Int.random(in: 1...40, using: &random))
            _ = try run([Self.lines(0..<10, &random)], source: "other")
            if round % 3 == 1 { _ = try LogSealer(log, zstd: true).seal() }
            if isFirstFormat { try FirstFormat.rewrite(LogFolder(at: log)) }
            let changed = Self.changed(lines, change, &random)
            let batch = Int.random(in: 1...40, using: &random)
            let difference = Self.firstDifference(changed, from: lines)
            let events = changed.count { Self.isEvent($0) }
            let comment: Comment = "seed \(LogTesting.seed), round \(round)"
            let refusal = try refusal([changed], batch: batch)
            if let difference {
                #expect(refusal?.code == .badInput, comment)
                #expect(refusal?.place == "input0, line \(difference)", comment)
            } else if events < count {
                #expect(refusal?.code == .badInput, comment)
                #expect(
                    refusal?.reason?.contains(
                        events == 0 ? "the log has" : "after event \(events),") == true, comment)
            } else {
                #expect(refusal == nil, comment)
            }
            // The true source, grown, in two files.
            let cut = Int.random(in: 0...lines.count, using: &random)
            let more = Self.lines(100..<120, &random)
            let parts = [Array(lines[..<cut]), lines[cut...] + more]
            let (result, notice) = try run(parts, batch: batch)
            let grown =
                more.count { Self.isEvent($0) } - (difference == nil ? max(0, events - count) : 0)
            #expect(
                result.skipped + result.appended == count + more.count { Self.isEvent($0) }, comment
            )
            if refusal != nil { #expect(result.appended == grown, comment) }
            #expect((notice != nil) == isFirstFormat, comment)
            #expect(try run(parts).notice == nil, comment)
        }
    }

    @Test("yesterday's name with today's file: nothing of it is appended")
    func twoDays() throws {
        let monday = (1...5).map { #"{"day":"monday","n":\#($0)}"# }
        let tuesday = (1...7).map { #"{"day":"tuesday","n":\#($0)}"# }
        _ = try run([monday])
        let error = try refusal([tuesday])
        #expect(error?.place == "input0, line 1")
        #expect(error?.reason == "event 1 differs from the log's, at offset 0")
        #expect(try run([tuesday], source: "shop/tuesday").result.appended == 7)
    }

    @Test("the checkpoints in the blocks' headers are those that the events give")
    func checkpoints() throws {
        var random = SplitMix(state: LogTesting.seed)
        _ = try run([Self.lines(0..<100, &random)], batch: 1)
        _ = try run([Self.lines(0..<30, &random)], source: "other")
        _ = try run([], source: "none")
        let writer = try LogWriter(log)
        for name in ["shop", "other"] {
            let point = try writer.sourcePoint(of: name)
            let stated = try SourceCheckpoint.stated(log, name, upTo: point)
            #expect(stated.events == point.position)
            let read = try SourceCheckpoint.read(log, name, upTo: point.position)
            #expect(stated.checkpoints.last == read.last && !read.isEmpty)
            if name == "shop" { #expect(stated.checkpoints == read && read.count > 2) }
        }
    }

    @Test("two imports of one source at once: the writer compares the overlap, too")
    func atOnce() throws {
        let texts = LogTesting.numbered(0..<10)
        let writer = try LogWriter(log)
        let early = try SourceImport(writer, source: "shop")
        #expect(early.notice == nil)
        _ = try run([Array(texts[..<6])])
        func append(_ lines: [String], at position: Int) throws -> LogWriter.AppendResult {
            let digest = LogTesting.digest(of: texts[..<position])
            return try writer.append(
                LogTesting.lines(lines),
                source: SourceBatch(name: "shop", position: UInt64(position), digest: digest))
        }
        var other = texts
        other[5] = "{}"
        for lines in [other, Array(other[..<6])] {
            #expect { _ = try append(lines, at: 0) } throws: {
                ($0 as? KappaError)?.code == .badInput
            }
        }
        #expect(try append(Array(texts[3...]), at: 3).skipped == 3)
        #expect(try LogTesting.texts(log) == texts)
    }

    @Test("an import that another one has overtaken is compared with it", arguments: 0..<60)
    func overtaken(round: Int) throws {
        var random = SplitMix(state: LogTesting.seed &+ UInt64(round))
        let comment: Comment = "seed \(LogTesting.seed)"
        let texts = LogTesting.numbered(0..<60)
        let before = Int.random(in: 0...20, using: &random)
        if before > 0 { _ = try run([Array(texts[..<before])]) }
        if before > 0, round % 3 == 0 { try FirstFormat.rewrite(LogFolder(at: log)) }
        let batch = Int.random(in: 1...30, using: &random)
        var early = try SourceImport(LogWriter(log), source: "shop", batchEvents: batch)
        let overtaken = Int.random(in: before...60, using: &random)
        _ = try run([Array(texts[..<overtaken])], batch: Int.random(in: 1...30, using: &random))
        var own = Array(texts[..<Int.random(in: before...60, using: &random)])
        let changed = Int.random(in: 0..<60, using: &random)
        if round % 2 == 0, changed < own.count { own[changed] = "{}" }
        try folder.write(Array(own.joined(separator: "\n").utf8), to: "early")
        let input = open(folder.file("early"), O_RDONLY)
        defer { close(input) }
        var error: KappaError?
        do throws(KappaError) {
            try early.run(input, name: "early")
            try early.finish()
        } catch let refusal { error = refusal }
        let differs = zip(own, texts[..<overtaken]).enumerated().first {
            $0.element.0 != $0.element.1
        }
        if let differs {
            #expect(error?.code == .badInput, comment)
            #expect(error?.place == "early, line \(differs.offset + 1)", comment)
            #expect(try LogTesting.texts(log) == Array(texts[..<overtaken]), comment)
        } else {
            // Where it was overtaken, it may see that it is not the whole source, or end before that.
            if own.count >= overtaken { #expect(error == nil, comment) }
            #expect(
                try LogTesting.texts(log)
                    == (own.count > overtaken ? own : Array(texts[..<overtaken])),
                comment)
        }
    }

    @Test("headers can be read while segments are rewritten")
    func whileSealing() throws {
        let log = log
        let writer = try LogWriter(log, segmentBytes: 2_000, files: FaultyFiles())
        for (index, text) in LogTesting.numbered(0..<300).enumerated() {
            _ = try writer.append(
                LogTesting.lines([text]),
                source: SourceBatch(name: "shop", position: UInt64(index)))
        }
        let isOver = Monitor(false)
        let sealer = try WorkerThread("seals") {
            var round = 0
            while !isOver.withLock({ $0 }) {
                round += 1
                _ = try? LogSealer(log, zstd: round % 2 == 0, files: FaultyFiles()).seal()
                _ = try? writer.append(LogTesting.lines(["{}", "{}"]))
            }
        }
        defer {
            isOver.withLock { $0 = true }
            sealer.join()
        }
        for _ in 0..<200 {
            let stated = try SourceCheckpoint.stated(log, "shop", upTo: SourcePoint(300))
            #expect(stated.events == 300)
        }
    }

    @Test("digests that no kappa writes are refused, and end nothing")
    func shrinkingDigests() throws {
        let texts = LogTesting.numbered(0..<6)
        let lines = try texts.map { try LogTesting.lines([$0]) }
        for claims in [[1_000_000_000, 10, 27], [0, 0, 0], [UInt64.max, 5, UInt64.max]] {
            Folder.remove(log)
            let writer = try LogWriter(log)
            for (index, claim) in claims.enumerated() {
                _ = try writer.append(
                    lines[index], source: SourceBatch(name: "shop", position: UInt64(index)))
                try FirstFormat.rewrite(LogFolder(at: log), format: .second) { run in
                    guard run.source?.point.position == UInt64(index + 1) else { return }
                    run.source?.point.digest = LogDigest(bytes: claim, crc: 7)
                }
            }
            let error = try refusal([texts])
            #expect(error?.code == .badInput || error?.code == .damaged)
        }
    }

    @Test("positions with gaps: a batch that a dead writer left in part is completed, not repeated")
    func gaps() throws {
        let writer = try LogWriter(log, files: FaultyFiles())
        let big = String(repeating: "x", count: 700_000)
        func batch(_ numbers: Range<Int>) throws -> EventLines {
            try LogTesting.lines(numbers.map { #"{"n":\#($0),"text":"\#(big)"}"# })
        }
        func append(
            _ writer: LogWriter, _ numbers: Range<Int>, _ from: UInt64, _ to: UInt64
        ) throws -> LogWriter.AppendResult {
            try writer.append(
                batch(numbers), source: SourceBatch(name: "ev/3", position: from, next: to))
        }
        #expect(try append(writer, 0..<2, 0, 40).appended == 2)
        let whole = try LogFolder(at: log).copy()
        let durable = try LogHead.read(OpenFile(reading: LogHead.path(whole.path)))
        #expect(try append(writer, 2..<7, 40, 90).appended == 5)
        let texts = try LogTesting.texts(log)
        let segment = "00000000000000000000.log"
        let all = try LogFolder(at: log).bytes(segment)
        var ends: [Int] = []
        try BlockWalk.headers(log, ofSegment: .zero) {
            ends.append($0.position + $0.header.blockSize)
        }
        for end in ends where end > durable?.segmentBytes ?? 0 {
            // The writer died after some blocks; the rest of the batch comes in pieces of other sizes.
            for pieces in [[2..<7], [2..<4, 4..<7], [2..<3, 3..<6, 6..<7]] {
                let copy = try whole.copy()
                try copy.write(Array(all[..<end]), to: segment)
                let next = try LogWriter(copy.path, files: FaultyFiles())
                let point = try next.sourcePoint(of: "ev/3")
                #expect([40, 90].contains(point.position))
                #expect((point.eventsPast > 0) == (point.position == 40))
                var from: UInt64 = 40
                for piece in pieces {
                    let to = piece.upperBound == 7 ? 90 : from + 9
                    _ = try append(next, piece, from, to)
                    from = to
                }
                #expect(try LogTesting.texts(copy.path) == texts)
                #expect(try next.sourcePoint(of: "ev/3").position == 90)
                #expect(throws: KappaError.self) { _ = try append(next, 8..<9, 95, 99) }
            }
        }
        // Such a source is no file.
        #expect { _ = try SourceImport(writer, source: "ev/3") } throws: {
            ($0 as? KappaError)?.code == .usage
        }
    }
}
