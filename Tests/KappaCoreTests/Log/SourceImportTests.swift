import Foundation
import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Importing a source")
struct SourceImportTests {
    private let folder = LogFolder()

    private func run(
        _ texts: [String], source: String?, batch: Int = .max
    ) throws -> SourceImport.Result {
        try folder.write(Array(texts.joined(separator: "\n").utf8), to: "input")
        let input = open(folder.file("input"), O_RDONLY)
        defer { close(input) }
        let writer = try LogWriter(folder.file("log"))
        var source = try SourceImport(writer, source: source, batchEvents: batch)
        try source.run(input, name: "input")
        try source.finish()
        return source.result
    }

    @Test("a source is appended once, however often it is imported")
    func repeatable() throws {
        let texts = LogTesting.numbered(0..<100)
        let first = try run(texts, source: "orders", batch: 7)
        #expect(first.appended == 100 && first.skipped == 0 && first.firstOffset == .zero)
        let again = try run(texts, source: "orders", batch: 9)
        #expect(again.appended == 0 && again.skipped == 100 && again.firstOffset == nil)
        // The source has grown meanwhile.
        let more = try run(LogTesting.numbered(0..<120), source: "orders", batch: 11)
        #expect(more.appended == 20 && more.skipped == 100 && more.firstOffset == Offset(100))
        #expect(try LogTesting.texts(folder.file("log")) == LogTesting.numbered(0..<120))
    }

    @Test("without a source the same events are appended again")
    func withoutSource() throws {
        for _ in 0..<2 { #expect(try run(["{}"], source: nil).appended == 1) }
        #expect(try LogTesting.texts(folder.file("log")) == ["{}", "{}"])
    }

    @Test("two sources do not count for each other")
    func twoSources() throws {
        let a = LogTesting.numbered(0..<10, by: "a")
        let b = LogTesting.numbered(0..<5, by: "b")
        _ = try run(a, source: "a", batch: 3)
        #expect(try run(b, source: "b").appended == 5)
        #expect(try run(a, source: "a").skipped == 10)
        #expect(try run(b + ["{}"], source: "b").appended == 1)
        #expect(try LogTesting.texts(folder.file("log")) == a + b + ["{}"])
        let writer = try LogWriter(folder.file("log"))
        #expect(try writer.sourcePoint(of: "a").position == 10)
        #expect(try writer.sourcePoint(of: "b").position == 6)
        #expect(try writer.sourcePoint(of: "c").position == 0)
    }

    @Test("a gap in a source is refused")
    func gap() throws {
        _ = try run(LogTesting.numbered(0..<5), source: "orders")
        let writer = try LogWriter(folder.file("log"))
        func append(_ texts: [String], at position: UInt64) throws -> LogWriter.AppendResult {
            try writer.append(
                LogTesting.lines(texts), source: .init(name: "orders", position: position))
        }
        #expect { _ = try append(["{}"], at: 6) } throws: { error in
            let error = error as? KappaError
            return error?.code == .badInput && error?.reason?.contains("position 5") == true
        }
        #expect(throws: KappaError.self) { _ = try append(["{}", "{}"], at: .max - 1) }
        // The overlap is skipped, the rest is appended.
        #expect(try append(["{}", "{}", #"{"new":1}"#], at: 3).appended == 1)
        #expect(
            try LogTesting.texts(folder.file("log"))
                == LogTesting.numbered(0..<5) + [#"{"new":1}"#])
    }

    @Test("a bad line stops the import; the batches before it are kept and not appended again")
    func badLine() throws {
        var texts = LogTesting.numbered(0..<20)
        texts[13] = "{oops}"
        #expect { _ = try run(texts, source: "orders", batch: 5) } throws: { error in
            let error = error as? KappaError
            return error?.code == .badInput && error?.place == "input, line 14, column 2"
        }
        #expect(try LogTesting.texts(folder.file("log")) == LogTesting.numbered(0..<10))
        let repaired = try run(LogTesting.numbered(0..<20), source: "orders", batch: 5)
        #expect(repaired.appended == 10 && repaired.skipped == 10)
        #expect(try LogTesting.texts(folder.file("log")) == LogTesting.numbered(0..<20))
    }

    @Test("a byte order mark at the beginning, CRLF and blank lines are skipped")
    func windows() throws {
        let text = "\u{FEFF}" + #"{"a":1}"# + "\r\n\r\n" + #"{"a":2}"# + "\r"
        #expect(try run([text, "", "  "], source: "w").appended == 2)
        #expect(try LogTesting.texts(folder.file("log")) == [#"{"a":1}"#, #"{"a":2}"#])
    }

    @Test("any number of carriage returns ends a line, so what is read back is the same source")
    func carriageReturns() throws {
        let text = #"{"a":1}"# + "\r\r\n\r\r\n" + #"{"a":2}"# + "\r\r"
        #expect(try run([text], source: "w").appended == 2)
        let texts = try LogTesting.texts(folder.file("log"))
        #expect(texts == [#"{"a":1}"#, #"{"a":2}"#])
        #expect(try run(texts, source: "w").skipped == 2)
    }

    @Test("an import is ended between two batches")
    func ended() throws {
        try folder.write(
            Array(LogTesting.numbered(0..<50).joined(separator: "\n").utf8), to: "input")
        for stop in [1, 7] {
            let input = open(folder.file("input"), O_RDONLY)
            defer { close(input) }
            var source = try SourceImport(
                LogWriter(folder.file("log")), source: "s\(stop)", batchEvents: 2)
            var batches = 0
            let isWhole = try source.run(input, name: "input") { _ in
                batches += 1
                return batches < stop
            }
            #expect(!isWhole && source.result.appended == 2 * stop)
        }
    }

    @Test(
        "a writer knows of the source's events that another process appended before its own others")
    func otherProcess() throws {
        let log = folder.file("log")
        let (first, second) = (try LogWriter(log), try LogWriter(log))
        func append(_ writer: LogWriter, _ range: Range<Int>) throws -> LogWriter.AppendResult {
            try writer.append(
                LogTesting.lines(LogTesting.numbered(range)),
                source: SourceBatch(name: "shop", position: UInt64(range.lowerBound)))
        }
        #expect(try append(first, 0..<2).appended == 2)
        #expect(try append(second, 2..<4).appended == 2)
        _ = try first.append(LogTesting.lines(["{}"]))
        #expect(try append(first, 2..<4).skipped == 2)
        #expect(try LogTesting.texts(log) == LogTesting.numbered(0..<4) + ["{}"])
    }

    @Test("a source's position survives sealing")
    func sealed() throws {
        _ = try run(LogTesting.numbered(0..<50), source: "orders", batch: 1)
        _ = try LogSealer(folder.file("log"), zstd: true).seal()
        let again = try run(LogTesting.numbered(0..<60), source: "orders")
        #expect(again.appended == 10 && again.skipped == 50)
    }

    @Test("a source with a missing segment is refused, and not imported again")
    func missingSegment() throws {
        let log = folder.file("log")
        let writer = try LogWriter(log, segmentBytes: 500)
        let sources = ["early", "lost", "late"]
        for source in sources {
            for n in 0..<8 {
                _ = try writer.append(
                    LogTesting.lines(LogTesting.numbered(n..<(n + 1))),
                    source: .init(name: source, position: UInt64(n)))
            }
        }
        let segments = try SegmentFiles.list(log)
        try #require(segments.count >= 4)
        unlink(SegmentFiles.path(log, segments[segments.count / 2]))
        #expect(throws: KappaError.self) { _ = try run(["{}"], source: "lost") }
    }

    @Test("two writers that import in turn see what the other has appended, across segments")
    func inTurn() throws {
        let log = folder.file("log")
        let writers = try (0..<2).map { _ in
            try LogWriter(log, segmentBytes: 700, files: FaultyFiles())
        }
        for n in 0..<60 {
            let lines = try LogTesting.lines(LogTesting.numbered(n..<(n + 1)))
            let source = SourceBatch(name: "orders", position: UInt64(n))
            let first = try writers[n % 2].append(lines, source: source)
            let second = try writers[(n + n / 7) % 2].append(lines, source: source)
            #expect(first.appended == 1 && second.appended == 0 && second.skipped == 1)
            if n % 20 == 9 { _ = try LogSealer(log, zstd: true, files: FaultyFiles()).seal() }
        }
        #expect(try LogTesting.texts(log) == LogTesting.numbered(0..<60))
    }

    @Test(
        "names that a source cannot have are refused",
        arguments: ["", "a\nb", "\u{1}", "a b", "é", ".hidden", String(repeating: "x", count: 201)])
    func names(name: String) throws {
        #expect { _ = try run(["{}"], source: name) } throws: { error in
            (error as? KappaError)?.code == .usage
        }
    }

    @Test(
        "an import that is killed at any moment and run again gives exactly its events",
        // Needs the program, which is built together with the tests unless asked otherwise.
        .enabled(if: LogTesting.program != nil, "the program kappa is not built"))
    func killed() throws {
        let texts = LogTesting.numbered(0..<2_000)
        try folder.write(Array(texts.joined(separator: "\n").utf8), to: "input")
        let arguments = [
            "append", "--data", folder.path, "--source", "orders", "--batch", "20",
            folder.file("input"),
        ]
        var random = SplitMix(state: LogTesting.seed)
        var rounds = 0
        var goal: UInt64 = 0
        while goal < 2_000 {
            // Killed once the log has grown by a random number of events.
            rounds += 1
            goal += UInt64.random(in: 1...500, using: &random)
            let process = try LogTesting.start(arguments)
            while process.isRunning {
                let log = folder.file("log")
                let end = (try? LogReader(log))?.offset
                if end != nil, try LogReader(log).durableEnd() >= Offset(min(goal, 2_000)) { break }
                Pause.briefly()
            }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        let last = try LogTesting.start(arguments)
        last.waitUntilExit()
        #expect(last.terminationStatus == 0)
        #expect(rounds > 3, "seed \(LogTesting.seed)")
        #expect(
            try LogTesting.texts(folder.file("log")) == texts,
            "seed \(LogTesting.seed)")
    }

    @Test(
        "concurrent imports that are killed in turn do not disturb each other",
        // Needs the program, which is built together with the tests unless asked otherwise.
        .enabled(if: LogTesting.program != nil, "the program kappa is not built"))
    func killedBesideOthers() throws {
        let log = folder.file("log")
        let names = ["a", "b", "c"]
        for name in names {
            let text = LogTesting.numbered(0..<700, by: name).joined(separator: "\n")
            try folder.write(Array(text.utf8), to: name)
        }
        func start(_ name: String) throws -> Process {
            try LogTesting.start([
                "append", "--data", folder.path, "--source", name, "--batch", "7",
                folder.file(name),
            ])
        }
        func end() -> UInt64 { (try? LogReader(log).durableEnd().rawValue) ?? 0 }
        var random = SplitMix(state: LogTesting.seed)
        // One that was open before, and sees the others die.
        let writer = try LogWriter(log)
        var own = 0
        var running = try names.map(start)
        for round in 0..<9 {
            let goal = end() + UInt64.random(in: 1...200, using: &random)
            while end() < goal, running.contains(where: \.isRunning) {
                _ = try writer.append(
                    LogTesting.lines(LogTesting.numbered(own..<(own + 1), by: "own")))
                own += 1
            }
            let index = round % names.count
            kill(running[index].processIdentifier, SIGKILL)
            running[index].waitUntilExit()
            running[index] = try start(names[index])
        }
        for process in running {
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "seed \(LogTesting.seed)")
        }
        let texts = try LogTesting.texts(log)
        for name in names {
            #expect(
                texts.filter { $0.contains("\"\(name)\"") }
                    == LogTesting.numbered(0..<700, by: name),
                "seed \(LogTesting.seed)")
        }
        #expect(
            texts.filter { $0.contains("own") } == LogTesting.numbered(0..<own, by: "own"))
        #expect(try LogVerification(log).damage == nil)
    }
}
