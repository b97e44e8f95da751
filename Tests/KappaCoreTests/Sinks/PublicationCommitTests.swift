import KappaTesting
import Testing

@testable import KappaCore

@Suite("The transactions of a sink")
struct PublicationCommitTests {
    @Test("after each of its transactions, a sink has the view's rows as of its position")
    func commits() throws {
        for seed in Seeds.random(4) { try commits(seed) }
    }

    private func commits(_ seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let folder = try VersionsFolder(inMemory: true)
        var events: [(k: String, v: Int)] = []
        var (build, limit) = (0, Int.max)
        /// What each version takes.
        var limits: [VersionNumber: Int] = [:]
        let place = MemoryPlace()
        var transactions = 0
        func check() {
            transactions += 1
            guard let position = place.position, let limit = limits[position.change.version] else {
                Issue.record("a transaction without a position")
                return
            }
            var sums: [String: (n: Int, total: Int)] = [:]
            for event in events[..<Int(position.offset.rawValue)] where event.v < limit {
                let old = sums[event.k] ?? (0, 0)
                sums[event.k] = (old.n + 1, old.total + event.v)
            }
            let wanted = sums.map { [$0.key, "\($0.value.n)", "\($0.value.total)"] }
            #expect(
                place.read().sortedRows == ["tally": wanted].sortedRows,
                "KAPPA_SEED=\(seed), at \(position)")
        }
        for _ in 0..<8 {
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                if Int.random(in: 0..<4, using: &random) == 0 {
                    build += 1
                    limit = Int.random(in: 1...9, using: &random)
                }
                let new = (0..<Int.random(in: 1...200, using: &random)).map { _ in
                    (
                        k: "k\(Int.random(in: 0..<150, using: &random))",
                        v: Int.random(in: 0..<10, using: &random)
                    )
                }
                events += new
                try folder.append(new.map { Tick.line($0.k, $0.v) })
                try folder.catchUp([tally("\(build)", below: limit)])
                let live = try #require(try folder.catalog().live("tally"))
                limits[live] = limit
            }
            try folder.publish(
                "tally", batch: Int.random(in: 1...100, using: &random),
                to: { () throws(KappaError) in MemorySink(place, committed: check) })
        }
        #expect(transactions >= 4)
    }

    private func change(
        _ number: Int64?, _ offset: UInt64, of version: Int = 1, in idVersion: Int = 1,
        _ operation: Change.Operation = .update
    ) -> Change {
        Change(
            offset: Offset(offset), table: "t", operation: operation, key: "[1]",
            version: VersionNumber(version),
            id: number.map { ChangeID(VersionNumber(idVersion), $0) })
    }

    @Test(
        "a transaction may end after the last change of a commit, and after the last of a promotion"
    )
    func ends() {
        let row = SinkChange(table: "t", key: [.integer(1)], row: nil)
        var pending = PendingChanges(after: .zero)
        pending.add(change(1, 10), row)
        pending.add(change(2, 10), row)
        #expect(pending.end == nil)
        pending.add(change(3, 20), row)
        #expect(pending.end?.count == 2 && pending.end?.place == ChangeID(VersionNumber(1), 2))
        #expect(pending.end?.offset == Offset(10))
        #expect(pending.takeUpToEnd().count == 2 && pending.changes.count == 1)
        // The promotion ends the commit before it, although its offset is the same.
        pending.add(change(3, 20, of: 2, .promoted), nil)
        #expect(pending.end?.count == 1 && pending.end?.offset == Offset(20))
        for offset in [21, 22, 23] as [UInt64] { pending.add(change(3, offset, of: 2), row) }
        #expect(pending.end?.count == 1)
        pending.add(change(9, 24, of: 2, in: 2), row)
        #expect(pending.end?.count == 1)
        pending.add(change(10, 25, of: 2, in: 2), row)
        #expect(pending.end?.count == 5 && pending.end?.place == ChangeID(VersionNumber(2), 9))
        #expect(pending.takeUpToEnd().count == 5)
        #expect(pending.takeAll().count == 1 && pending.end == nil)
        pending.end(at: ChangeID(VersionNumber(2), 10))
        #expect(pending.end?.count == 0 && pending.end?.offset == Offset(25))
    }
}
