import Foundation
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Appending and reading")
struct AppendTests {
    private func now() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000_000) }

    @Test("acknowledged events are read back with offset, ingestion time and source")
    func readBack() throws {
        let folder = LogFolder()
        let writer = try LogWriter(folder.path)
        let before = now()
        let first = try writer.append(LogTesting.lines(LogTesting.numbered(0..<3)))
        let second = try writer.append(
            LogTesting.lines(LogTesting.numbered(3..<5)),
            source: .init(name: "orders", position: 0))
        let after = now()
        #expect(first.firstOffset == .zero && first.nextOffset == Offset(3))
        #expect(second.firstOffset == Offset(3) && second.appended == 2)

        let events = try LogTesting.read(folder.path)
        #expect(events.map(\.text) == LogTesting.numbered(0..<5))
        #expect(events.map(\.offset) == (0..<5).map { Offset($0) })
        #expect(events.map(\.source) == [nil, nil, nil, "orders", "orders"])
        #expect(events.allSatisfy { (before...after).contains($0.micros) })
        #expect(try LogInfo(folder.path).events == 5)
    }

    @Test("an append without events changes nothing")
    func empty() throws {
        let folder = LogFolder()
        let writer = try LogWriter(folder.path)
        _ = try writer.append(LogTesting.lines([#"{"a":1}"#]))
        let result = try writer.append(EventLines())
        #expect(result.firstOffset == Offset(1) && result.nextOffset == Offset(1))
        #expect(try LogTesting.texts(folder.path) == [#"{"a":1}"#])
    }

    @Test("many threads append at once: each event once, each thread's in its order")
    func threads() throws {
        let folder = LogFolder()
        let writer = try LogWriter(folder.path, segmentBytes: 20_000)
        let failures = Monitor<[KappaError]>([])
        let threads = try (0..<8).map { thread in
            try WorkerThread("append \(thread)") {
                for n in 0..<100 {
                    do {
                        let line = LogTesting.numbered(n..<(n + 1), by: "t\(thread)")
                        // Other uses of the writer in between must not let another process in.
                        if n % 10 == 0 { _ = try writer.sourcePoint(of: "none") }
                        if n % 25 == 0 { _ = try writer.roll() }
                        let result = try writer.append(try LogTesting.lines(line))
                        guard result.appended == 1 else { throw KappaError(.bug, "not one event") }
                    } catch {
                        let failure = error as? KappaError ?? KappaError(.bug, "\(error)")
                        failures.withLock { $0.append(failure) }
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failures.withLock { $0 } == [])
        let texts = try LogTesting.texts(folder.path)
        #expect(texts.count == 800)
        for thread in 0..<8 {
            let own = texts.filter { $0.contains("\"t\(thread)\"") }
            #expect(own == LogTesting.numbered(0..<100, by: "t\(thread)"))
        }
        #expect(try LogVerification(folder.path).damage == nil)
    }

    @Test("one append with a gap in its source does not fail those that share its fsync")
    func gapAmongOthers() throws {
        let folder = LogFolder()
        let writer = try LogWriter(folder.path)
        let failures = Monitor(0)
        let threads = try (0..<8).map { thread in
            try WorkerThread("append \(thread)") {
                for n in 0..<40 {
                    let line = LogTesting.numbered(n..<(n + 1), by: "t\(thread)")
                    guard let lines = try? LogTesting.lines(line) else { return }
                    let gap = SourceBatch(name: "s\(thread)", position: 7)
                    do {
                        _ = try writer.append(lines, source: thread < 2 ? gap : nil)
                    } catch { failures.withLock { $0 += 1 } }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failures.withLock { $0 } == 80)
        #expect(try LogTesting.texts(folder.path).count == 240)
    }

    @Test(
        "several processes append at once: nothing is lost, nothing is appended twice",
        // Needs the program, which is built together with the tests unless asked otherwise.
        .enabled(if: LogTesting.program != nil, "the program kappa is not built"))
    func processes() throws {
        let folder = LogFolder()
        let processes = try (0..<3).map { number in
            let input = folder.file("input\(number)")
            let text = LogTesting.numbered(0..<600, by: "p\(number)").joined(separator: "\n")
            try folder.write(Array(text.utf8), to: "input\(number)")
            return try LogTesting.start(
                ["append", "--data", folder.file("data"), "--batch", "5", input])
        }
        let writer = try LogWriter(folder.file("data/log"))
        for n in 0..<100 {
            _ = try writer.append(LogTesting.lines(LogTesting.numbered(n..<(n + 1), by: "own")))
        }
        for process in processes {
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
        }
        let texts = try LogTesting.texts(folder.file("data/log"))
        #expect(texts.count == 1_900)
        for number in 0..<3 {
            let own = texts.filter { $0.contains("\"p\(number)\"") }
            #expect(own == LogTesting.numbered(0..<600, by: "p\(number)"))
        }
        #expect(texts.count { $0.contains("own") } == 100)
    }

    // MARK: Reading

    /// A log of small blocks and of a large one, over several segments.
    private func mixed(_ folder: LogFolder) throws -> [String] {
        let writer = try LogWriter(folder.path, segmentBytes: 4_000)
        let texts = LogTesting.numbered(0..<300)
        for n in 0..<100 { _ = try writer.append(LogTesting.lines([texts[n]])) }
        _ = try writer.append(LogTesting.lines(Array(texts[100..<290])))
        for n in 290..<300 { _ = try writer.append(LogTesting.lines([texts[n]])) }
        return texts
    }

    @Test("small blocks are combined when they are read")
    func joined() throws {
        let folder = LogFolder()
        let writer = try LogWriter(folder.path)
        for line in LogTesting.numbered(0..<50) { _ = try writer.append(LogTesting.lines([line])) }
        let reader = try LogReader(folder.path)
        let buffer = BlockBuffer()
        let block = try #require(try reader.next(into: buffer))
        #expect(block.events == 50 && block.runs.count == 50)
        #expect(try reader.next(into: buffer) == nil)
    }

    @Test("reading can begin and end anywhere")
    func anywhere() throws {
        let folder = LogFolder()
        let texts = try mixed(folder)
        var random = SplitMix(state: LogTesting.seed)
        let reader = try LogReader(folder.path)
        for _ in 0..<60 {
            let from = Int.random(in: 0...300, using: &random)
            let end = Int.random(in: from...300, using: &random)
            try reader.seek(to: Offset(UInt64(from)))
            let first = try LogTesting.readOn(reader, upTo: Offset(UInt64(end)))
            #expect(first.map(\.text) == Array(texts[from..<end]), "seed \(LogTesting.seed)")
            #expect(reader.offset == Offset(UInt64(end)))
            // Continuing from there misses nothing.
            let rest = try LogTesting.readOn(reader)
            #expect(rest.map(\.text) == Array(texts[end...]), "seed \(LogTesting.seed)")
        }
        #expect { try reader.seek(to: Offset(301)) } throws: { error in
            (error as? KappaError)?.code == .notFound
        }
    }

    @Test("the digest at any offset is that of the bytes below it, however blocks are cut")
    func digests() throws {
        let folder = LogFolder()
        let texts = try mixed(folder)
        let whole = LogFolder()
        _ = try LogWriter(whole.path).append(LogTesting.lines(texts))
        let a = try LogReader(folder.path)
        let b = try LogReader(whole.path)
        for n in stride(from: 0, through: 300, by: 7) {
            let expected = LogTesting.digest(of: texts[..<n])
            #expect(try a.digest(at: Offset(UInt64(n))) == expected, "offset \(n)")
            #expect(try b.digest(at: Offset(UInt64(n))) == expected, "offset \(n)")
        }
        _ = try LogSealer(folder.path, zstd: true).seal()
        for n in stride(from: 0, through: 300, by: 11) {
            #expect(
                try a.digest(at: Offset(UInt64(n))) == LogTesting.digest(of: texts[..<n]))
        }
    }

    @Test("an event larger than a block is kept whole")
    func large() throws {
        let folder = LogFolder()
        let large = #"{"text":""# + String(repeating: "é", count: 1_500_000) + #""}"#
        let texts = ["{}", large, #"{"a":[]}"#]
        _ = try LogWriter(folder.path).append(LogTesting.lines(texts))
        #expect(try LogTesting.texts(folder.path) == texts)
    }

    @Test("a writer whose log was removed refuses, and acknowledges nothing")
    func removed() throws {
        let folder = LogFolder()
        let writer = try LogWriter(folder.path)
        _ = try writer.append(LogTesting.lines(["{}"]))
        try FileManager.default.removeItem(atPath: folder.file("head"))
        #expect { _ = try writer.append(LogTesting.lines(["{}"])) } throws: { error in
            (error as? KappaError)?.code == .damaged
        }
        #expect { _ = try writer.sourcePoint(of: "x") } throws: { error in
            (error as? KappaError)?.code == .damaged
        }
        _ = try LogWriter(folder.path).append(LogTesting.lines(["{}"]))
        #expect(try LogTesting.texts(folder.path) == ["{}", "{}"])
    }
}
