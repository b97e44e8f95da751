import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// The log of another data folder is pulled like any source, without writing to it.
@Suite("Pulling another log") struct LogSourceTests {
    private let folder = LogFolder()
    private var log: String { folder.file("log") }
    private var other: String { folder.file("other") }

    private func append(_ numbers: Range<Int>) throws {
        _ = try LogWriter(other).append(LogTesting.lines(LogTesting.numbered(numbers)))
    }

    private func pull() throws -> SourcePull.Result? {
        var pull = try SourcePull(
            LogSource(other, name: "other"), into: LogWriter(log), following: false)
        try pull.run()
        defer { pull.close() }
        return try pull.results().first
    }

    private func refusal() -> KappaError? {
        do { _ = try pull() } catch { return error as? KappaError }
        return nil
    }

    @Test("its position is the other log's offset, and erased events leave gaps")
    func positions() throws {
        try append(0..<10)
        #expect(try LogEraser(other).erase([Offset(3), Offset(9)]) == 2)
        #expect(
            try pull() == .init(source: "other", position: 10, appended: 8, lag: 0))
        #expect(try pull()?.appended == 0)
        // At the end, an erased event moves no position: the log has no event to record it with.
        try append(10..<12)
        _ = try LogEraser(other).erase([Offset(11)])
        #expect(try pull()?.appended == 1)
        try append(12..<14)
        #expect(try pull()?.appended == 2)
        let texts = LogTesting.numbered(0..<14)
        #expect(
            try LogTesting.texts(log)
                == texts.indices.filter { ![3, 9, 11].contains($0) }
                .map { texts[$0] })
    }

    @Test("events that are erased after they were pulled make it no other log")
    func erasedLater() throws {
        try append(0..<10)
        _ = try LogEraser(other).erase([Offset(2)])
        _ = try pull()
        _ = try LogEraser(other).erase([Offset(8), Offset(9)])
        _ = try LogEraser(log).erase([Offset(8)])
        #expect(try pull()?.appended == 0)
        _ = try LogSealer(other, zstd: true).seal()
        try append(10..<11)
        #expect(try pull()?.appended == 1)
    }

    @Test("a log that was made anew, changed or cut short is refused", arguments: [false, true])
    func refused(erases: Bool) throws {
        try append(0..<10)
        if erases { _ = try LogEraser(other).erase([Offset(2)]) }
        _ = try pull()
        for numbers in [0..<5, 100..<110, 0..<20] {
            Folder.remove(other)
            if numbers.count == 20 { try append(50..<55) }
            try append(numbers)
            if erases { _ = try LogEraser(other).erase([Offset(2)]) }
            #expect(refusal()?.code == .badInput)
        }
        Folder.remove(other)
        #expect(refusal() != nil)
    }

    @Test("reading needs no write")
    func readOnly() throws {
        try append(0..<10)
        let before = try folder.copy()
        _ = try pull()
        let names = LogFolder(at: other).names
        #expect(names == LogFolder(at: before.file("other")).names)
    }

    @Test("a batch that a dead writer left in part is completed, if it is the same batch")
    func partly() throws {
        // Two long events: a block each. The second block is then cut off.
        let long = String(repeating: "x", count: 1 << 20)
        let texts = (0..<2).map { #"{"n":\#($0),"text":"\#(long)"}"# }
        let batch = SourceLines(
            partition: "a", position: 0, next: 50,
            lines: Array(texts.map { $0 + "\n" }.joined().utf8), origin: "memory")
        _ = try LogWriter(log).append(
            LogTesting.lines(texts), source: SourceBatch(name: "a", position: 0, next: 50))
        let head = try #require(try LogHead.read(try OpenFile(reading: LogHead.path(log))))
        let segment = SegmentFiles.path(log, .zero)
        #expect(truncate(segment, off_t(head.segmentBytes - 1)) == 0)
        unlink(LogHead.path(log))
        // Recovery.
        _ = try LogWriter(log)
        let history = try SourceHistory(of: "a", in: log)
        #expect(history.position == 0 && history.point.eventsPast == 1)
        var other = batch
        other.lines[5] = 0x39
        #expect(throws: KappaError.self) {
            var pull = try SourcePull(
                OneBatch(other), into: LogWriter(log), following: false)
            try pull.run()
        }
        var pull = try SourcePull(OneBatch(batch), into: LogWriter(log), following: false)
        try pull.run()
        #expect(try pull.results() == [.init(source: "a", position: 50, appended: 1, lag: nil)])
        #expect(try LogTesting.texts(log) == texts)
    }
}

/// A source that has one batch.
private final class OneBatch: EventSource {
    private var batch: SourceLines?
    init(_ batch: SourceLines) { self.batch = batch }

    var partitions: [String] { batch.map { [$0.partition] } ?? [] }
    func open(_ histories: [SourceHistory], following: Bool) {}
    func next(waitingAtMost wait: Duration) -> SourceDelivery {
        defer { batch = nil }
        return batch.map { .batch($0) } ?? .end
    }
    func lag(of partition: String) -> UInt64? { nil }
    func close() {}
}
