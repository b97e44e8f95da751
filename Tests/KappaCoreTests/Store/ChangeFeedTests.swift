import KappaTesting
import Testing

@testable import KappaCore

@Suite("The change feed in a version's file")
struct ChangeFeedTests {
    private static func change(_ random: inout SplitMix) -> ChangeRecord {
        func text() -> String? {
            random.chance(1, in: 4)
                ? nil
                : #"{"a":"\#(String(repeating: random.pick(["x", "ü", "yz"]), count: random.below(60)))"}"#
        }
        return ChangeRecord(
            offset: Offset(UInt64(random.below(1 << 40))), table: random.below(3),
            key: "[\(random.below(1_000))]", before: text(), after: text())
    }

    @Test("packed changes give back what was put in, and damage is found or does no harm")
    func packing() throws {
        for seed in Seeds.random(20) {
            var random = SplitMix(state: seed)
            let changes = (0..<random.pick([1, 2, 50])).map { _ in Self.change(&random) }
            var packer = PackedChanges.Packer()
            for change in changes { packer.add(change) }
            #expect(packer.count == changes.count)
            let blob = packer.finish()
            #expect(packer.count == 0 && packer.bytes == 0)
            let read = try blob.withUnsafeBytes { try PackedChanges.unpacked($0) }
            #expect(read == changes, "KAPPA_SEED=\(seed)")
            for length in 0..<blob.count {
                blob.prefix(length).withUnsafeBytes { _ = try? PackedChanges.unpacked($0) }
            }
            var damaged = blob
            damaged[random.below(blob.count)] ^= UInt8(1 << random.below(8))
            damaged.withUnsafeBytes { _ = try? PackedChanges.unpacked($0) }
        }
    }

    @Test("changes that are much alike take a tenth of their bytes")
    func size() {
        var packer = PackedChanges.Packer()
        for number in 0..<100 {
            let row = #"{"user_id":"user_\#(number)","events":\#(number * 7),"revenue":199.95"#
            packer.add(
                ChangeRecord(
                    offset: Offset(1_000), table: 0, key: #"["user_\#(number)"]"#,
                    before: row + #","last_action":"view"}"#,
                    after: row + #","last_action":"click"}"#))
        }
        let plain = packer.bytes
        #expect(packer.finish().count * 5 < plain)
    }

    /// A feed alone, with a clock.
    private final class Feed {
        let connection: SQLiteConnection
        let clock: Monitor<Int64>
        var records: FeedRecords

        init() throws {
            connection = try SQLiteConnection(":memory:", .create)
            try connection.execute(FeedRecords.create + FeedRecords.createChanges)
            try connection.execute("INSERT INTO \(FeedRecords.table) VALUES (500)")
            let clock = Monitor<Int64>(1_000)
            self.clock = clock
            records = FeedRecords(connection) { clock.withLock { $0 } }
        }

        func reopen() {
            let policy = records.policy
            records = FeedRecords(connection) { [clock] in clock.withLock { $0 } }
            records.policy = policy
        }

        /// The number of the last change of each row, how many it has, and its bytes.
        func rows() throws -> [(seq: Int64, count: Int64, bytes: Int)] {
            let select = try connection.prepare(
                "SELECT seq, count, length(changes) FROM _kappa_changes ORDER BY seq")
            var rows: [(seq: Int64, count: Int64, bytes: Int)] = []
            while try select.step() {
                rows.append((select.integer(0), select.integer(1), Int(select.integer(2))))
            }
            return rows
        }
        func floor() throws -> Int64 {
            try connection.integer("SELECT floor FROM \(FeedRecords.table)") ?? -1
        }
    }

    @Test("feeds end by age and by size; what is left is whole, and numbers only grow")
    func policy() throws {
        for seed in Seeds.random(10) {
            var random = SplitMix(state: seed)
            let feed = try Feed()
            feed.records.policy = FeedPolicy(ageMicros: 10_000, bytes: 20_000)
            let comment: Comment = "KAPPA_SEED=\(seed)"
            var newest: Int64 = 500
            for _ in 0..<200 {
                feed.clock.withLock { $0 += Int64(random.below(random.pick([2, 400, 4_000]))) }
                let now = feed.clock.withLock { $0 }
                let count = 1 + random.below(random.pick([2, 30, 300]))
                let changes = (0..<count).map { _ in Self.change(&random) }
                if random.chance(1, in: 20) {
                    // A commit that is undone.
                    _ = try? feed.connection.transaction {
                        for change in changes { try feed.records.add(change) }
                        try feed.records.finish()
                        throw KappaError(.bug, "undone")
                    }
                    feed.records.wasUndone()
                    continue
                }
                if random.chance(1, in: 10) { feed.reopen() }
                try feed.connection.transaction {
                    for change in changes { try feed.records.add(change) }
                    try feed.records.finish()
                }
                let rows = try feed.rows()
                let last = try #require(rows.last)
                #expect(last.seq - newest >= Int64(count), comment)
                #expect(last.seq >= now, comment)
                // Each row begins where the one before it ends, or later; the oldest after the floor.
                var end = try feed.floor()
                for row in rows {
                    #expect(row.seq - row.count >= end, comment)
                    end = row.seq
                }
                let older = rows.filter { $0.seq <= newest }
                let bytes = older.reduce(0) { $0 + $1.bytes }
                #expect(bytes <= 20_000 + 20_000 / 16, comment)
                #expect(older.allSatisfy { $0.seq >= now - 10_000 - 10_000 / 16 }, comment)
                newest = last.seq
            }
            #expect(try feed.floor() > 500, comment)
        }
    }
}
