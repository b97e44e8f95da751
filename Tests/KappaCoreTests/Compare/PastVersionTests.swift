import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("A version as it was")
struct PastVersionTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private static let shop = ViewSet(
        [EventsShop.view], digests: ViewDigests(["EventsShop.swift": "shop"]))

    private func past(
        _ offset: Int, _ views: ViewSet, _ version: String = "tally"
    ) throws -> PastVersion {
        let catalog = try folder.catalog()
        let entry = try catalog.resolve(try VersionReference(version))
        return try PastVersion(entry, at: Offset(UInt64(offset)), catalog, views)
    }

    @Test(
        "equals a replay of the first events alone, for random logs, offsets and snapshots",
        arguments: Seeds.random(8))
    func reference(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let lines = (0..<(20 + random.below(200))).map { _ in EventsShop.line(&random) }
        var policy: SnapshotPolicy?
        if random.chance(3, in: 4) {
            policy = SnapshotPolicy(every: .events(1 + random.below(40)), keep: 1 + random.below(9))
        }
        var done = 0
        while done < lines.count {
            let next = min(lines.count, done + 1 + random.below(50))
            try folder.append(Array(lines[done..<next]))
            // After this the version may be short of the log's end, or may not exist yet.
            if random.chance(2, in: 3) || done == 0 { try run(to: next - random.below(3), policy) }
            done = next
        }
        for _ in 0..<10 {
            let offset = random.below(lines.count + 1)
            let past = try past(offset, Self.shop, "orders")
            let expected = try EventsShop.reference(Array(lines.prefix(offset)))
            let found = try Self.outcome(past.reader)
            #expect(
                found.difference(from: expected) == nil,
                "seed \(seed), offset \(offset), from \(past.replayedFrom?.description ?? "-")")
            #expect(try past.reader.checkpoint().offset == Offset(UInt64(offset)))
        }
    }

    private func run(to end: Int, _ policy: SnapshotPolicy?) throws {
        var options = ViewRunner.Options()
        options.follows = false
        options.end = Offset(UInt64(max(0, end)))
        options.snapshots = policy
        try ViewRunner(folder.data, Self.shop, options: options).run()
    }

    private static func outcome(_ reader: VersionReader) throws -> EventsOutcome {
        var outcome = EventsOutcome(
            tables: [], counters: try reader.checkpoint().counters, dead: [])
        for (index, table) in reader.tables.enumerated() {
            var rows: [[Value]] = []
            try reader.forEachRow(table: index) { rows.append(table.values($0)) }
            outcome.tables.append(rows)
        }
        try reader.deadLetters { outcome.dead.append($0) }
        return outcome
    }

    @Test(
        "is replayed from the nearest snapshot, and not at all if one of that offset exists"
    )
    func nearest() throws {
        let views = ViewSet([tally("a")])
        for _ in 0..<4 {
            try folder.append(ticks: 10)
            var options = ViewRunner.Options()
            options.follows = false
            options.snapshots = SnapshotPolicy(every: .events(10))
            try ViewRunner(folder.data, views, options: options).run()
        }
        try folder.append(ticks: 10)
        func from(_ offset: Int, _ views: ViewSet) throws -> UInt64? {
            try past(offset, views).replayedFrom?.rawValue
        }
        let wanted: [(at: Int, from: UInt64?)] = [
            (0, 0), (7, 0), (10, nil), (19, 10), (30, nil), (39, 30), (40, nil), (44, 40), (50, 40),
        ]
        for (offset, place) in wanted {
            #expect(try from(offset, views) == place, "offset \(offset)")
        }
        // A snapshot can be read by a build that does not have the definition.
        #expect(try from(20, .empty) == nil)
        let error = #expect(throws: KappaError.self) { try from(21, .empty) }
        #expect(error?.what == "this build does not have the definition of tally@1")
        let behind = #expect(throws: KappaError.self) { try from(51, views) }
        #expect(behind?.code == .notFound)
        // Another definition's snapshots are not used for this one.
        try folder.catchUp([tally("b", below: 3)])
        #expect(try past(15, ViewSet([tally("b", below: 3)])).replayedFrom == .zero)
        #expect(!Folder.names(in: folder.data.path).contains { $0.hasPrefix("scratch") })
    }

    @Test("a snapshot that is damaged, or of another log, is not used")
    func untrusted() throws {
        let views = ViewSet([tally("a")])
        try folder.append(ticks: 30)
        var options = ViewRunner.Options()
        options.follows = false
        options.snapshots = SnapshotPolicy(every: .events(10))
        try ViewRunner(folder.data, views, options: options).run()
        try folder.append(ticks: 30)
        try folder.catchUp([tally("a")])
        let kept = try #require(Snapshots(folder.data).all().first)
        #expect(try past(40, views).replayedFrom == Offset(30))
        try SQLiteConnection(kept.path, .readWrite).execute(
            "UPDATE _kappa_checkpoint SET digest_crc = digest_crc + 1")
        for offset in [30, 40] { #expect(try past(offset, views).replayedFrom == .zero) }
        truncate(kept.path, 100)
        for offset in [30, 40] { #expect(try past(offset, views).replayedFrom == .zero) }
    }

    @Test("a time means the offset after the last event that was appended by then")
    func times() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        for count in [3, 1, 250, 2] { try folder.append(ticks: count) }
        _ = try LogSealer(folder.data.log, zstd: true).seal()
        for count in [40, 1, 1] { try folder.append(ticks: count) }
        var times: [Int64] = []
        let reader = try LogReader(folder.data.log)
        let buffer = BlockBuffer()
        while let block = try reader.next(into: buffer) {
            block.forEachEvent { event in
                times.append(event.run.ingestedAtMicros)
                return true
            }
        }
        try #require(times.count == 298)
        var asked = [Int64.min, times[0] - 1, .max]
        for _ in 0..<30 { asked.append(random.pick(times) + Int64(random.below(3)) - 1) }
        for time in asked {
            let slow = (times.lastIndex { $0 <= time } ?? -1) + 1
            let found = try IngestionTimes.end(
                asOfMicros: time, in: folder.data.log)
            #expect(found == Offset(UInt64(slow)), "KAPPA_SEED=\(seed), \(time)")
        }
        for offset in [0, 1, 3, 254, 256, 298] {
            let time = try IngestionTimes.micros(
                before: Offset(UInt64(offset)), in: folder.data.log)
            #expect(time == (offset == 0 ? nil : times[offset - 1]))
        }
    }

    @Test("Swift reads typed rows as they were")
    func library() async throws {
        struct Seen: ViewRow {
            var last = 0
            @Hidden var before: Int?
        }
        let seen = View("seen", initially: Seen(), digest: "1") {
            On(Tick.self, key: \.k) { event, row in
                row.before = row.last
                row.last = event.v
            }
        }
        let counts = tally("a")
        let kappa = try await Kappa.open(folder.data.path, views: ViewSet([seen, counts]))
        for number in 0..<30 { try await kappa.append(Tick(k: "k\(number % 2)", v: number)) }
        // Without any version, from zero.
        #expect(try await kappa.rows(of: seen, at: Offset(3)).map(\.last) == [2, 1])
        try await kappa.catchUp()
        #expect(try await kappa.rows(of: seen, at: Offset(30)).map(\.last) == [28, 29])
        #expect(try await kappa.row(of: seen, key: "k0", at: Offset(4))?.before == 0)
        #expect(try await kappa.row(of: seen, key: "k0", at: .zero) == nil)
        let rows = try await kappa.rows(of: counts, at: Offset(5))
        #expect(rows.map { $0["n"] } == [.integer(3), .integer(2)])
        let now = try await kappa.offset(asOf: Timestamp(microseconds: .max))
        #expect(now == Offset(30))
        #expect(try await kappa.offset(asOf: Timestamp(microseconds: 0)) == .zero)
        let error = await #expect(throws: KappaError.self) {
            try await kappa.rows(of: seen, at: Offset(31))
        }
        #expect(error?.code == .notFound)
        let cancelled = Task { try await kappa.rows(of: seen, at: Offset(7)) }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        await kappa.close()
    }
}
