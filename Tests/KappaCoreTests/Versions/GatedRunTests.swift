import KappaTesting
import Testing

@testable import KappaCore

/// Builds that promote automatically and obey gates.
@Suite("Running with gates")
struct GatedRunTests {
    private let folder: VersionsFolder

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 20)
    }

    private func live() throws -> Int? { try folder.catalog().live("tally")?.rawValue }

    private func position(_ number: Int) throws -> UInt64 {
        try folder.reader("tally", number).checkpoint().offset.rawValue
    }

    @Test("a refused version is kept current and not checked again until another version is live")
    func onceAndAgain() throws {
        try folder.catchUp([tally("c", below: 14)])
        try folder.catchUp([tally("a")])
        let gated = tally("b", below: 14).promote(when: .changedRows(atMost: 0))
        let build = try RunningBuild(folder.data, [gated])
        try build.until("it is refused") { build.said.contains("refused tally@3") }
        for round in 1...3 {
            try folder.append(ticks: 10, first: 10 + 10 * round)
            try build.until("it follows") { try position(3) == UInt64(20 + 10 * round) }
        }
        #expect(build.said.count { $0 == "refused tally@3" } == 1)
        #expect(try live() == 2)
        #expect(try folder.entry("tally", 3)?.reason?.hasPrefix("not promoted: ") == true)
        // Compared with rows equal to its own, it passes.
        _ = try Promotion(folder.catalog()).rollBack(["tally"])
        try build.until("it is promoted") { try live() == 3 }
        try build.stop()
        #expect(try folder.catalog().judgements(of: "tally").map(\.verdict).last == .passed)
    }

    @Test("a build that does not follow leaves a refused version ready, and checks it again")
    func ends() throws {
        try folder.catchUp([tally("a")])
        let gated = tally("b", below: 14).promote(when: .changedRows(atMost: 0))
        for _ in 0..<2 {
            let build = try RunningBuild(folder.data, [gated]) { $0.follows = false }
            try build.wait()
            #expect(build.said.last == "refused tally@2")
            let entry = try #require(try folder.entry("tally", 2))
            #expect(entry.state == .ready)
            #expect(entry.reason?.contains("max-changed=0") == true)
        }
        try folder.catchUp([tally("b", below: 14)])
        #expect(try live() == 2)
    }

    @Test("under a flow of events, both are compared at the position of the switch")
    func flow() throws {
        let old = try RunningBuild(folder.data, [tally("a")])
        try old.until("tally@1 is live") { try live() == 1 }
        let gated = tally("b", below: 50).promote(
            when: .check("sums") { new in
                let totals = try new.totals(of: "n")
                // The old definition takes every event, so its sum equals its position.
                return totals.old == Double(new.position.rawValue)
            })
        let new = try RunningBuild(folder.data, [gated])
        var appended = 20
        try new.until("tally@2 is live") {
            try folder.append(ticks: 3, first: appended)
            appended += 3
            return try live() == 2
        }
        try old.stop()
        try new.stop()
        let judgement = try #require(try folder.catalog().judgements(of: "tally").last)
        let change = try #require(try folder.catalog().history(of: "tally").last)
        #expect(judgement.verdict == .passed)
        #expect(judgement.position == change.position)
    }

    @Test("a live version that no process keeps current is compared at its position")
    func standingStill() throws {
        try folder.catchUp([tally("a")])
        try folder.append(ticks: 30, first: 20)
        try folder.catchUp([tally("b", below: 14).promote(when: .changedRows(atMost: 0))])
        var judgement = try #require(try folder.catalog().judgements(of: "tally").last)
        #expect(judgement.verdict == .refused)
        #expect(judgement.position == Offset(20))
        #expect(judgement.counts?.changed == 5)
        try folder.catchUp([tally("c").promote(when: .differingRows(atMost: 0))])
        judgement = try #require(try folder.catalog().judgements(of: "tally").last)
        #expect(judgement.verdict == .passed)
        #expect(try live() == 3)
        #expect(try position(3) == 50)
        #expect(!Folder.names(in: folder.data.path).contains { $0.hasPrefix("scratch") })
    }

    @Test("another definition with the same rows is promoted, and reported as identical")
    func identical() throws {
        try folder.catchUp([tally("a")])
        let build = try RunningBuild(folder.data, [tally("b", below: 1_000)]) { $0.follows = false }
        try build.wait()
        #expect(build.said.contains("identical tally@2"))
        #expect(try live() == 2)
        let text =
            "identical rows: the change of source did not change the view (they are those of tally@1)"
        #expect(try folder.entry("tally", 2)?.reason == text)
        let judgement = try #require(try folder.catalog().judgements(of: "tally").last)
        #expect(judgement.verdict == .identical && judgement.counts?.same == 5)
        // One differing row is enough to be different; the same definition built again is not reported.
        let other = try RunningBuild(folder.data, [tally("c", below: 19)]) { $0.follows = false }
        try other.wait()
        let again = try RunningBuild(folder.data, [tally("c", below: 19)]) {
            $0.follows = false
            $0.rebuilds = true
        }
        try again.wait()
        #expect(try live() == 4)
        let gated = try RunningBuild(
            folder.data, [tally("c", below: 19).promote(when: .changedRows(atMost: 0))]
        ) {
            $0.follows = false
            $0.rebuilds = true
        }
        try gated.wait()
        #expect(try live() == 5)
        let said = other.said + again.said + gated.said
        #expect(!said.contains { $0.hasPrefix("identical") })
    }

    @Test(
        "with another key, all rows are removed and added: a gate on changed rows has none to count"
    )
    func otherKey() throws {
        try folder.catchUp([tally("a"), tally("a", named: "other")])
        let byNumber = View("tally", digest: "b") {
            Events(Tick.self).grouped(by: \.v).aggregate(.count().as("n"))
        }
        let build = try RunningBuild(
            folder.data,
            [byNumber.promote(when: .removedRows(atMost: 4)), tally("b", below: 9, named: "other")]
        ) { $0.follows = false }
        try build.wait()
        #expect(build.said.contains("refused tally@2") && build.said.contains("promoted other@2"))
        #expect(
            try folder.entry("tally", 2)?.reason?.contains("5 removed of 5 live rows") == true)
    }

    @Test("an old build that is restarted beside the new one does not replace it")
    func stray() throws {
        try folder.catchUp([tally("a")])
        let new = try RunningBuild(folder.data, [tally("b", below: 14)])
        try new.until("tally@2 is live") { try live() == 2 }
        let old = try RunningBuild(folder.data, [tally("a")])
        try old.until("it is held back") { old.said.contains("held back tally@1") }
        try folder.append(ticks: 10)
        try old.until("both follow") { try position(1) == 30 && position(2) == 30 }
        #expect(try live() == 2)
        #expect(
            try folder.entry("tally", 1)?.reason?.contains("tally@2, which is newer, is live")
                == true)
        // A person may.
        let promotion = Promotion(try folder.catalog())
        _ = try promotion.promote([VersionID("tally", VersionNumber(1))], reason: "promote")
        #expect(try live() == 1)
        try new.until("its lease has ended") { new.said.last == "released tally@2" }
        try new.stop()
        try old.stop()
        // With no other process running, a returning build does not undo that either.
        try folder.catchUp([tally("b", below: 14)])
        #expect(try live() == 1)
    }
}
