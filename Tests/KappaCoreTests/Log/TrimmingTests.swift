import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Trimming the log") struct TrimmingTests {
    private let folder = LogFolder()
    private static let seed = LogTesting.seed

    /// Appends numbered events of several sources, in small segments.
    private func fill(
        _ numbers: Range<Int>, _ random: inout SplitMix, _ files: any FileSystem = FaultyFiles()
    ) throws {
        let writer = try LogWriter(folder.path, segmentBytes: 600, files: files)
        var number = numbers.lowerBound
        while number < numbers.upperBound {
            let size = min(numbers.upperBound - number, Int.random(in: 1...9, using: &random))
            let lines = try LogTesting.lines(texts(number..<(number + size)))
            let name = ["", "a", "b/1", "t"].randomElement(using: &random) ?? ""
            if name == "t" { _ = try writer.append(.declaration("t")) }
            let position = name.isEmpty ? 0 : try writer.sourcePoint(of: name).position
            let batch = SourceBatch(name: name, position: position)
            _ = try writer.append(lines, source: name.isEmpty ? nil : batch)
            number += size
        }
    }

    private func texts(_ numbers: Range<Int>) -> [String] { numbers.map { #"{"n":\#($0)}"# } }

    private func trim(_ offset: Int, _ files: any FileSystem = FaultyFiles()) throws -> Int {
        Int(
            try LogTrimmer(folder.path, files: files).trim(before: Offset(UInt64(offset))).rawValue)
    }

    /// The events from the log's first on, and the digest before each and at the end.
    private func read() throws -> (events: [ReadEvent], digests: [LogDigest]) {
        let reader = try LogReader(folder.path)
        let first = reader.offset
        let events = try LogTesting.readOn(reader)
        let digests = try (0...events.count).map { index in
            try LogReader(folder.path).digest(at: first + index)
        }
        return (events, digests)
    }

    private func points() throws -> [SourcePoint] {
        let writer = try LogWriter(folder.path)
        return try ["a", "b/1", "t", "x"].map { try writer.sourcePoint(of: $0) }
    }

    @Test("the rest of the log, its digests and its sources stay as they were", arguments: 0..<10)
    func generated(round: Int) throws {
        var random = SplitMix(state: Self.seed &+ UInt64(round))
        let comment: Comment = "seed \(Self.seed)"
        try fill(0..<120, &random)
        if round % 5 == 1 { try FirstFormat.rewrite(folder) }
        if round % 5 == 2 { _ = try LogSealer(folder.path, zstd: true).seal() }
        if round % 5 == 3 { _ = try LogEraser(folder.path).erase([Offset(3), Offset(60)]) }
        var next = 120
        var first = 0
        for _ in 0..<4 {
            let (events, digests) = try read()
            let before = try points()
            let info = try LogInfo(folder.path)
            let wanted = first + Int.random(in: 0...events.count, using: &random)
            // A reader that has begun reads on.
            let slow = try LogReader(folder.path, countsEvents: true)
            let buffer = BlockBuffer()
            _ = try slow.next(into: buffer)
            let now = try trim(wanted)
            #expect((first...wanted).contains(now), comment)
            #expect(try LogReader(folder.path).firstOffset == Offset(UInt64(now)), comment)
            let rest = try read()
            #expect(rest.events == Array(events.dropFirst(now - first)), comment)
            #expect(rest.digests == Array(digests.dropFirst(now - first)), comment)
            // A source of an earlier kappa has a digest now.
            for (old, new) in zip(before, try points()) {
                #expect(old.position == new.position && old.digest ?? new.digest == new.digest)
            }
            #expect(try LogInfo(folder.path).partitions == info.partitions, comment)
            #expect(try LogVerification(folder.path).damage == nil, comment)
            // All events of later segments only would be kept by the next one.
            #expect(try trim(wanted) == now, comment)
            do {
                while try slow.next(into: buffer) != nil {}
                #expect(slow.offset == rest.events.last.map { $0.offset + 1 } ?? slow.offset)
            } catch {
                // Its next segment is gone.
                #expect(error.code == .notFound && error.reason?.contains("\(now)") == true)
            }
            if now > 0 {
                let error = #expect(throws: KappaError.self) {
                    try LogReader(folder.path).seek(to: Offset(UInt64(now - 1)))
                }
                #expect(error?.code == .notFound, comment)
                #expect(error?.reason == "it was trimmed, and begins at offset \(now)", comment)
            }
            first = now
            try fill(next..<(next + 40), &random)
            next += 40
            #expect(try LogVerification(folder.path).damage == nil, comment)
            if Bool.random(using: &random) { unlink(folder.file("head")) }
        }
        #expect(first > 0, comment)
    }

    @Test("an import is proven against what the log no longer has")
    func imports() throws {
        let lines = texts(0..<300)
        func run(_ lines: [String], _ name: String = "shop") throws -> SourceImport.Result {
            let path = folder.file("input")
            let file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o644)
            defer { close(file) }
            let text = lines.map { $0 + "\n" }.joined()
            #expect(write(file, text, text.utf8.count) == text.utf8.count)
            lseek(file, 0, SEEK_SET)
            let writer = try LogWriter(folder.path, segmentBytes: 600)
            var source = try SourceImport(writer, source: name, batchEvents: 7)
            try source.run(file, name: "input")
            try source.finish()
            return source.result
        }
        #expect(try run(Array(lines[..<200])).appended == 200)
        let first = try trim(150)
        #expect(first > 50)
        let again = try run(lines)
        #expect(again.skipped == 200 && again.appended == 100)
        // A line that was trimmed differs: the digest says so, though it cannot say which one.
        var changed = lines
        changed[10] = #"{"n":-1}"#
        let error = #expect(throws: KappaError.self) { try run(changed) }
        #expect(error?.what == "this is not what was appended as source shop")
        #expect(error?.code == .badInput)
        // One that is still there is named.
        changed = lines
        changed[250] = #"{"n":-1}"#
        let late = #expect(throws: KappaError.self) { try run(changed) }
        #expect(late?.place == "input, line 251")
        #expect(try run(["{}"], "other").appended == 1)
        #expect(try LogReader(folder.path).durableEnd() == Offset(301))
    }

    @Test("is completed after any call to the system has failed", arguments: FileCall.allCases)
    func faults(call: FileCall) throws {
        var random = SplitMix(state: Self.seed)
        try fill(0..<150, &random)
        let (events, _) = try read()
        var after = 0
        while true {
            let copy = try folder.copy()
            let files = FaultyFiles()
            files.set(.init(call: call, number: EIO, after: after, isForEver: after % 2 == 0))
            let done = try? LogTrimmer(copy.path, files: files).trim(before: Offset(100))
            files.set(nil)
            let seen = try LogTesting.readOn(LogReader(copy.path))
            #expect(seen == Array(events.suffix(seen.count)) && seen.count >= 50, "\(after)")
            #expect(try LogVerification(copy.path).damage == nil, "\(after)")
            // Whoever opens it next for appending removes what is left.
            _ = try LogWriter(copy.path, files: files).append(LogTesting.lines(["{}"]))
            let first = try LogReader(copy.path).firstOffset
            let left = copy.names.compactMap { name in
                name.hasSuffix(".log") ? Offset(parsing: String(name.dropLast(4))) : nil
            }
            #expect(left.allSatisfy { $0 >= first } && !left.isEmpty, "\(after)")
            #expect(try LogVerification(copy.path).damage == nil, "\(after)")
            if done != nil { break }
            after += 1
        }
        #expect(after > 0 || call == .truncate)
    }

    @Test("survives a power cut at any call, as erasing does", arguments: [false, true])
    func powerCut(erases: Bool) throws {
        var random = SplitMix(state: Self.seed)
        try fill(0..<150, &random)
        let (events, digests) = try read()
        for cut in 1... {
            let copy = try folder.copy()
            var options = SimulatedDisk.Options()
            options.cutAtCall = cut
            let disk = try SimulatedDisk(copy, seed: random.next(), options: options)
            let isDone: Bool
            if erases {
                let eraser = LogEraser(copy.path, files: disk)
                isDone = (try? eraser.erase([Offset(3), Offset(100)])) != nil
            } else {
                isDone = (try? LogTrimmer(copy.path, files: disk).trim(before: Offset(100))) != nil
            }
            let after = LogFolder()
            try disk.powerCut(to: after)
            let writer = try LogWriter(after.path, files: FaultyFiles())
            let rest = try LogTesting.readOn(LogReader(after.path))
            let first = events.count - rest.count
            #expect(first <= 100, "call \(cut)")
            for (old, new) in zip(events.suffix(rest.count), rest) {
                let isGone = erases && [3, 100].contains(old.offset.rawValue) && new.text.isEmpty
                #expect(isGone || old == new, "call \(cut)")
            }
            for (index, digest) in digests.enumerated() where index >= first {
                #expect(try LogReader(after.path).digest(at: Offset(UInt64(index))) == digest)
            }
            _ = try writer.append(LogTesting.lines(["{}"]))
            #expect(try LogVerification(after.path).damage == nil, "call \(cut)")
            if isDone, !disk.isDead { break }
        }
    }

    @Test("several may trim, open and read at once")
    func atOnce() throws {
        var random = SplitMix(state: Self.seed)
        try fill(0..<400, &random)
        let path = folder.path
        let failures = Monitor<[String]>([])
        let threads = try (0..<4).map { number in
            try WorkerThread("test-trim") {
                for step in 0..<30 {
                    do {
                        switch number {
                        case 0, 1:
                            let offset = Offset(UInt64(step * 12))
                            _ = try LogTrimmer(path).trim(before: offset)
                        case 2: _ = try LogWriter(path)
                        default: _ = try LogVerification(path).damage.map { throw $0 }
                        }
                    } catch let error as KappaError {
                        // Somebody else trims, or a reader has lost its segment.
                        if [.heldElsewhere, .notFound].contains(error.code) { continue }
                        failures.withLock { $0.append("\(number): \(error)") }
                    } catch { failures.withLock { $0.append("\(error)") } }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failures.withLock { $0 } == [])
        #expect(try LogReader(path).firstOffset > Offset(200))
    }

    @Test(
        "a damaged file is not believed; one of a later kappa is refused; a lost segment is missed")
    func damaged() throws {
        var random = SplitMix(state: Self.seed)
        try fill(0..<150, &random)
        let first = try trim(100)
        let path = folder.file("trimmed")
        let file = try OpenFile(reading: path)
        var bytes = [UInt8](repeating: 0, count: file.size)
        _ = try bytes.withUnsafeMutableBytes { (buffer) throws(KappaError) in
            try file.read(buffer, at: 0)
        }
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= [1, 0x80, 0xFF][index % 3]
            try folder.write(changed, to: "trimmed")
            let error = #expect(throws: KappaError.self) { try LogReader(folder.path) }
            #expect(error?.code == .damaged || index == 3 && error?.code == .usage, "byte \(index)")
        }
        for length in 0..<bytes.count {
            try folder.write(Array(bytes[..<length]), to: "trimmed")
            #expect(throws: KappaError.self) { try LogReader(folder.path) }
        }
        try folder.write(bytes, to: "trimmed")
        #expect(try LogReader(folder.path).firstOffset == Offset(UInt64(first)))
        unlink(SegmentFiles.path(folder.path, Offset(UInt64(first))))
        let missing = #expect(throws: KappaError.self) { try LogReader(folder.path) }
        #expect(missing?.what == "a segment of the log is missing")
        let opened = #expect(throws: KappaError.self) { try LogWriter(folder.path) }
        #expect(opened?.what == "a segment of the log is missing")
    }

    @Test("a log that was trimmed can be pulled, and one that is trimmed while it is pulled")
    func pulled() throws {
        var random = SplitMix(state: Self.seed)
        try fill(0..<100, &random)
        _ = try LogWriter(folder.path).append(.time(5, source: nil))
        let first = try trim(50)
        let other = LogFolder()
        func pull() throws -> Int {
            let writer = try LogWriter(other.path)
            var pull = try SourcePull(
                LogSource(folder.path, name: "other"), into: writer, following: false)
            try pull.run()
            return pull.appended
        }
        let ticks = try LogTesting.texts(folder.path).filter(\.isEmpty).count
        #expect(try pull() == LogTesting.texts(folder.path).count - ticks)
        #expect(first > 0)
        try fill(100..<140, &random)
        _ = try trim(100)
        #expect(try pull() == 40)
        #expect(try pull() == 0)
        #expect(
            try LogTesting.texts(other.path).suffix(40).elementsEqual(texts(100..<140)))
        try fill(140..<250, &random)
        _ = try trim(240)
        let lost = #expect(throws: KappaError.self) { try pull() }
        #expect(lost?.what == "events of other are lost")
    }
}
