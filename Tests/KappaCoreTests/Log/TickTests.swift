import KappaTesting
import Testing

@testable import KappaCore

@Suite("Ticks and time partitions in the log") struct TickTests {
    struct Entry: Event {
        static let eventType: String? = nil
        var at: Timestamp
    }

    private let folder = LogFolder()

    private func append(
        _ numbers: Range<Int>, _ source: String?, _ writer: LogWriter, at position: UInt64 = 0
    ) throws {
        let lines = try LogTesting.lines(LogTesting.numbered(numbers, by: source ?? ""))
        let batch = source.map { SourceBatch(name: $0, position: position) }
        _ = try writer.append(lines, source: batch)
    }

    /// Of each event its source, its partition and its tick.
    private func runs() throws -> [String] {
        let reader = try LogReader(folder.path, countsEvents: true)
        let buffer = BlockBuffer()
        var runs: [String] = []
        while let block = try reader.next(into: buffer) {
            block.forEachEvent { event in
                let (run, tick) = (event.run, event.run.tick)
                #expect(event.json == nil || tick == nil)
                let time = tick.map { $0.timeMicros == .min ? "declared" : "\($0.timeMicros)" }
                runs.append(
                    [
                        run.source?.name, run.partition.map { "in \($0)" }, time,
                        tick?.movesAll == true ? "all" : nil,
                    ].compactMap(\.self).joined(separator: " "))
                return true
            }
        }
        return runs
    }

    @Test(
        "a source is in its partition from its declaration on, whoever appends, also after sealing")
    func declared() throws {
        let writer = try LogWriter(folder.path, segmentBytes: 300)
        try append(0..<2, "a", writer)
        #expect(try writer.append(.declaration("a")).appended == 1)
        // Again, also by another writer, nothing is appended.
        let other = try LogWriter(folder.path)
        #expect(try writer.append(.declaration("a")).appended == 0)
        #expect(try other.append(.declaration("a")).appended == 0)
        try append(2..<4, "a", other, at: 2)
        try append(0..<1, "b", writer)
        try append(0..<1, nil, writer)
        let tick = try writer.append(.time(7, source: "a"))
        #expect(tick.firstOffset == Offset(7) && tick.appended == 1)
        _ = try other.append(.time(-8, source: "b"))
        _ = try other.append(.time(9, source: nil))
        let expected = [
            "a", "a", "in a declared", "a in a", "a in a", "b", "", "in a 7", "-8", "9 all",
        ]
        #expect(try runs() == expected)
        #expect(try LogInfo(folder.path).partitions == 2)
        let digests = try (0...10).map {
            try LogReader(folder.path).digest(at: Offset(UInt64($0)))
        }
        for zstd in [false, true] {
            _ = try LogSealer(folder.path, zstd: zstd, files: FaultyFiles()).seal()
            #expect(try runs() == expected)
            #expect(try LogVerification(folder.path).damage == nil)
        }
        // Ticks have nothing to erase, and stay where events beside them are erased.
        let eraser = LogEraser(folder.path, files: FaultyFiles())
        #expect(try eraser.erase([2, 3, 7, 9].map { Offset($0) }) == 1)
        #expect(try LogTesting.texts(folder.path)[3] == "")
        #expect(try LogInfo(folder.path).erased == 1)
        for (offset, digest) in digests.enumerated() {
            #expect(try LogReader(folder.path).digest(at: Offset(UInt64(offset))) == digest)
        }
        // A writer that opens the log later knows the partition.
        try append(4..<5, "a", try LogWriter(folder.path), at: 4)
        #expect(try runs().last == "a in a")
        // What was appended as a source is still proven.
        #expect(try LogWriter(folder.path).sourcePoint(of: "a").position == 5)
    }

    @Test(
        "a tick of an unknown source, or a wrong name, appends nothing; others that wait are appended"
    )
    func refused() throws {
        let writer = try LogWriter(folder.path)
        let unknown = #expect(throws: KappaError.self) {
            try writer.append(.time(1, source: "x"))
        }
        #expect(unknown?.code == .notFound)
        #expect(unknown?.reason == "none of its events has a source")
        try append(0..<1, "shop", writer)
        let second = #expect(throws: KappaError.self) {
            try writer.append(.time(1, source: "x"))
        }
        #expect(second?.reason == "its sources are shop")
        let name = #expect(throws: KappaError.self) { try writer.append(.declaration("a b")) }
        #expect(name?.code == .usage)
        #expect(try runs() == ["shop"])
    }

    private static func times(_ version: EventsVersion) throws -> [Int64] {
        let reader = try VersionReader(version.file)
        return try reader.checkpoint().streamTimes.least
    }

    @Test("windows over ingestion time take a tick's own ingestion time, fast clocks ignore it")
    func clocks() throws {
        let view = View("clocks") {
            Events(Entry.self, at: .ingestion)
                .window(.tumbling(.milliseconds(1)), lateness: .zero)
                .aggregate(.count().as("n"))
            Events(Entry.self, at: \.at)
                .ignoringTimes(furtherAheadThan: .seconds(60))
                .window(.tumbling(.hours(1)), lateness: .zero)
                .aggregate(.count().as("n"))
                .into("steady")
            Events(Entry.self, at: \.at)
                .window(.tumbling(.hours(1)), lateness: .zero)
                .aggregate(.count().as("n"))
                .into("any")
            Events(Entry.self, at: \.at).aggregate(.count().as("n")).into("plain")
        }
        let folder = try TemporaryFolder(inMemory: true)
        let version = try EventsVersion(view, in: folder.path)
        let writer = try LogWriter(version.log)
        let hour: Int64 = 3_600_000_000
        let now = SystemClock.wallMicroseconds() / hour * hour
        func add(_ micros: Int64) throws {
            _ = try writer.append(
                EventLines(event: #"{"at":"\#(Timestamp(microseconds: micros))"}"#))
        }
        try add(now - 3 * hour)
        // Far ahead: only a clock without a limit takes it.
        _ = try writer.append(.time(now + 48 * hour, source: nil))
        try version.scan()
        let first = try Self.times(version)
        #expect(first[0] >= now && first[0] < now + 24 * hour)
        #expect(first[1] == now - 3 * hour)
        #expect(first[2] == now + 48 * hour && first[3] == .min)
        // Not ahead: it closes the window of the clock with a limit.
        _ = try writer.append(.time(now - hour, source: nil))
        try add(now - 3 * hour)
        version.close()
        try version.scan()
        let second = try Self.times(version)
        #expect(second[0] >= first[0] && second[1] == now - hour)
        let outcome = try version.outcome()
        #expect(outcome.rows(3) == ["all 2"])
        #expect(outcome.rows(1).count == 1 && outcome.rows(1)[0].hasSuffix(" 1"))
        #expect(outcome.counters.late == 1)
    }
}

/// A source of two partitions, in memory: what each call of `next` delivers.
private final class ScriptedSource: EventSource {
    let partitions = ["p/0", "p/1"]
    private var deliveries: [SourceDelivery]

    init(_ deliveries: [SourceDelivery]) { self.deliveries = deliveries }

    func open(_ histories: [SourceHistory], following: Bool) {}
    func next(waitingAtMost wait: Duration) -> SourceDelivery {
        deliveries.isEmpty ? .end : deliveries.removeFirst()
    }
    func lag(of partition: String) -> UInt64? { 0 }
    func close() {}
}

@Suite("Pulling time partitions") struct PulledPartitionTests {
    private static func batch(_ partition: String, _ position: UInt64) -> SourceDelivery {
        .batch(
            SourceLines(
                partition: partition, position: position, next: position + 1,
                lines: Array(#"{"n":1}"#.utf8), origin: "memory"))
    }

    @Test("all partitions are declared before the first event; silent ones get ticks")
    func ticks() throws {
        let folder = LogFolder()
        let writer = try LogWriter(folder.path)
        let before = SystemClock.wallMicroseconds()
        let source = ScriptedSource([
            Self.batch("p/1", 0), .nothing, Self.batch("p/1", 1), .notice("x"), .nothing,
        ])
        do {
            var pull = try SourcePull(
                source, into: writer, following: true, asTimePartitions: true, tickAfter: .zero)
            try pull.run()
            #expect(try pull.results().map(\.position) == [0, 2])
        }
        var found: [String] = []
        let reader = try LogReader(folder.path)
        let buffer = BlockBuffer()
        while let block = try reader.next(into: buffer) {
            block.forEachEvent { event in
                let tick = event.run.tick
                if let time = tick?.timeMicros, time != .min {
                    #expect((before...SystemClock.wallMicroseconds()).contains(time))
                }
                let kind = tick.map { $0.timeMicros == .min ? "declared" : "tick" } ?? "event"
                found.append("\(event.run.partition ?? "") \(kind)")
                return true
            }
        }
        let ticks = ["p/0 tick", "p/1 tick"]
        #expect(
            found == ["p/0 declared", "p/1 declared", "p/1 event"] + ticks + ["p/1 event"] + ticks)
        // Pulled again, nothing is declared again.
        var again = try SourcePull(
            ScriptedSource([]), into: try LogWriter(folder.path), following: true,
            asTimePartitions: true)
        try again.run()
        #expect(try LogReader(folder.path).durableEnd() == Offset(8))
    }
}
