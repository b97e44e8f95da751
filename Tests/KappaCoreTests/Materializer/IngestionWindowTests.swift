import KappaTesting
import Testing

@testable import KappaCore

@Suite("Windows over ingestion time") struct IngestionWindowTests {
    struct Tick: Event {
        var key: String
    }

    private static func view(_ name: String) -> View<Columns> {
        View(name) {
            Events(Tick.self, at: .ingestion)
                .window(.hopping(.milliseconds(3), every: .milliseconds(2)), lateness: .seconds(9))
                .grouped(by: \.key)
                .aggregate(.count().as("events"))
            Events(Tick.self, at: .ingestion)
                .filter { $0.key != "b" }
                .grouped(by: \.key)
                .window(.session(gap: .milliseconds(1)))
                .aggregate(.count().as("events"))
                .into("\(name)_sessions")
        }
    }

    /// When each event was appended, as `kappa log read` shows it.
    private static func ingestionTimes(_ log: String) throws -> [Int64] {
        let reader = try LogReader(log)
        let buffer = BlockBuffer()
        var times: [Int64] = []
        while let block = try reader.next(into: buffer) {
            block.forEachEvent { event in
                times.append(event.run.ingestedAtMicros)
                return true
            }
        }
        return times
    }

    @Test("events count by when they were appended, in every replay, and after sealing")
    func replays() throws {
        let folder = try TemporaryFolder(inMemory: true)
        let live = try EventsVersion(Self.view("live"), in: folder.path)
        let writer = try LogWriter(live.log)
        let keys = (0..<60).map { ["a", "b", "c"][$0 * $0 % 3] }
        var next = 0
        for count in [1, 3, 1, 20, 5, 1, 29] {
            var lines = EventLines()
            for key in keys[next..<next + count] {
                lines.append(
                    try EventLines(event: #"{"event_type":"tick","key":"\#(key)"}"#))
            }
            _ = try writer.append(lines)
            next += count
            if count != 20 { try live.scan() }
        }
        let times = try Self.ingestionTimes(live.log)
        #expect(times.count == 60 && Set(times).count > 1)

        var windows: [String: Int] = [:]
        for (key, time) in zip(keys, times) {
            for start in (time / 2_000 - 2...time / 2_000).map({ $0 * 2_000 })
            where time < start + 3_000 {
                windows["\(Timestamp(microseconds: start)) \(key)", default: 0] += 1
            }
        }
        func check(_ version: EventsVersion) throws {
            let tables = try version.outcome().tables
            let found = tables[0].map { row in
                ("\(row[0].plainText) \(row[2].plainText)", row[3])
            }
            #expect(found.count == windows.count)
            for (window, events) in found {
                #expect(events == .integer(Int64(windows[window] ?? 0)))
            }
            // Sessions of keys other than b hold all their events.
            let counts = tables[1].map { row -> Int64 in
                if case .integer(let count) = row[3] { count } else { 0 }
            }
            #expect(counts.reduce(0, +) == Int64(keys.count { $0 != "b" }))
            #expect(try live.outcome().tables[1] == tables[1])
        }
        try check(live)
        let replayed = try EventsVersion(Self.view("replayed"), in: folder.path)
        try replayed.scan()
        try check(replayed)
        _ = try LogSealer(live.log, zstd: true).seal()
        #expect(try Self.ingestionTimes(live.log) == times)
        let sealed = try EventsVersion(Self.view("sealed"), in: folder.path)
        try sealed.scan()
        try check(sealed)
    }
}
