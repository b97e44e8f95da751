import KappaTesting
import Testing

@testable import KappaCore

@Suite("Gates")
struct GateTests {
    private let folder: VersionsFolder

    /// Twenty events: k0 has 0, 5, 10, 15, and so on to k4.
    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 20)
    }

    private func id(_ number: Int, _ view: String = "tally") -> VersionID {
        VersionID(view, VersionNumber(number))
    }

    private func live(_ view: String = "tally") throws -> Int? {
        try folder.catalog().live(view)?.rawValue
    }

    private func promote(
        _ ids: [VersionID], _ gates: [Gate] = [], as promoter: GateJudge.Promoter = .person,
        views: [any AnyView] = []
    ) throws -> Promotion.Outcome {
        let judge = try GateJudge(
            folder.data, ViewSet(views), further: gates, promoter: promoter)
        return try Promotion(folder.catalog(), judge).promote(ids, reason: "test")
    }

    /// What a gate says about tally@2 compared with tally@1, or about tally@1 alone.
    private func finding(
        _ gate: Gate, ofFirst isFirst: Bool = false
    ) throws -> Judgement.GateFinding {
        let judge = try GateJudge(folder.data, .empty, further: [gate], promoter: .person)
        let judgement = try judge.judge(id(isFirst ? 1 : 2), against: isFirst ? nil : id(1))
        return try #require(judgement?.findings.first)
    }

    @Test("each gate reports its figures, and shows the rows that it refuses")
    func figures() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b", below: 14)], promotes: false)
        // k4 loses 14 and 19; k0 to k3 lose one each.
        try expect(.changedRows(atMost: 5), true, "5 changed of 5 live rows (100%)")
        try expect(.changedRows(atMost: .percent(99)), false, "5 changed of 5 live rows (100%)")
        try expect(.removedRows(atMost: 0), true, "0 removed of 5 live rows (0%)")
        try expect(.addedRows(atMost: 0), true, "0 added of 5 live rows (0%)")
        try expect(.differingRows(atMost: 4), false, "5 differ of 5 live rows (100%)")
        try expect(
            .columnDrift("n", atMost: .percent(30)), true, "its sum goes from 20 to 14 (30%)")
        try expect(.columnDrift("tally.n", atMost: 5), false, "its sum goes from 20 to 14 (30%)")
        let changed = try finding(.changedRows(atMost: 0))
        #expect(changed.sample.first == "~ k0  n 4 → 3, total 30 → 15")
        #expect(changed.sample.count == 5)
        let rows = try finding(.sql("SELECT k, n FROM new WHERE n < 3"))
        #expect(!rows.passes && rows.figures == "it returns 1 row" && rows.sample == ["k k4, n 2"])
        #expect(
            try finding(.sql("SELECT 1 FROM old JOIN new USING (k) WHERE new.n > old.n")).passes)
        #expect(try finding(.sql("SELECT 1 FROM old_tally EXCEPT SELECT 1 FROM new_tally")).passes)
    }

    private func expect(_ gate: Gate, _ passes: Bool, _ figures: String) throws {
        let finding = try finding(gate)
        #expect(finding.passes == passes, "\(gate)")
        #expect(finding.figures == figures)
    }

    @Test("a check in Swift sees counts, sums and rows; what it throws is a refusal")
    func checks() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b", below: 14)], promotes: false)
        let check = Gate.check("half") { new in
            let totals = try new.totals(of: "n")
            #expect(totals == (old: 20, new: 14))
            let rows = try new.rows("SELECT k, n FROM new ORDER BY k")
            #expect(rows.map { $0["n"] } == [3, 3, 3, 3, 2].map { .integer($0) })
            #expect(new.view == "tally" && new.position == Offset(20) && !new.isFirst)
            #expect(new.oldRows == 5 && new.newRows == 5 && new.changed == 5)
            return totals.new * 2 > totals.old
        }
        #expect(try finding(check).passes)
        struct Wrong: Error {}
        #expect(try !finding(.check("no") { _ in false }).passes)
        let thrown = try finding(.check("throws") { _ in throw Wrong() })
        #expect(!thrown.passes && thrown.figures == "it says no: Wrong()")
    }

    @Test(
        "a gate that cannot be checked refuses, and reads nothing but the two versions",
        arguments: [
            "SELECT nothing FROM new", "SELECT * FROM _kappa_version", "DELETE FROM old",
            "SELECT 1; SELECT 2", "SELECT * FROM sqlite_master", "ATTACH 'x' AS x",
            "SELECT * FROM new_version._kappa_checkpoint", "PRAGMA query_only = OFF",
        ])
    func hostile(select: String) throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")], promotes: false)
        let finding = try finding(.sql(select))
        #expect(!finding.passes)
        #expect(finding.figures.hasPrefix("it cannot be judged, "))
    }

    @Test("a first version passes gates that compare; SQL and Swift gates see only that version")
    func first() throws {
        try folder.catchUp([tally("a")], promotes: false)
        for gate in [
            Gate.changedRows(atMost: 0), .addedRows(atMost: 0), .columnDrift("n", atMost: 0),
        ] {
            #expect(try finding(gate, ofFirst: true).passes)
        }
        #expect(try finding(.sql("SELECT old.k FROM old"), ofFirst: true).passes)
        #expect(try !finding(.sql("SELECT 1 FROM new WHERE n > 3"), ofFirst: true).passes)
        let check = Gate.check("first") { new in new.isFirst && new.added == 5 && new.oldRows == 0 }
        #expect(try finding(check, ofFirst: true).passes)
    }

    @Test("a refusal switches nothing, keeps its figures, and leaves the version ready")
    func refused() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b", below: 14)], promotes: false)
        guard case .refused(let judgements) = try promote([id(2)], [.changedRows(atMost: 0)]) else {
            Issue.record("not refused")
            return
        }
        #expect(judgements.map(\.candidate) == [id(2)])
        #expect(try live() == 1)
        let entry = try #require(try folder.entry("tally", 2))
        #expect(entry.state == .ready)
        #expect(
            entry.reason == "not promoted: max-changed=0: 5 changed of 5 live rows (100%)")
        #expect(try folder.catalog().history(of: "tally").count == 1)

        guard case .switched = try promote([id(2)], [.changedRows(atMost: 5)]) else {
            Issue.record("not promoted")
            return
        }
        #expect(try folder.entry("tally", 2)?.reason == nil)
        let kept = try folder.catalog().judgements(of: "tally")
        #expect(kept.map(\.verdict) == [.refused, .passed])
        #expect(kept.map(\.position) == [Offset(20), Offset(20)])
        #expect(kept.allSatisfy { $0.live == VersionNumber(1) && $0.counts?.changed == 5 })
        #expect(kept.map { $0.findings[0].gate } == ["max-changed=0", "max-changed=5"])
    }

    @Test("gates can be skipped, and the catalog records it")
    func forced() throws {
        try folder.catchUp([tally("a")])
        let view = tally("b", below: 14).promote(when: .changedRows(atMost: 0), .manualApproval)
        try folder.catchUp([view])
        #expect(try live() == 1)
        _ = try promote([id(2)], as: .force, views: [view])
        #expect(try live() == 2)
        let judgement = try #require(try folder.catalog().judgements(of: "tally").last)
        #expect(judgement.verdict == .forced)
        #expect(judgement.findings.map(\.gate) == ["max-changed=0", "manual approval"])
    }

    @Test("a view that asks for approval waits for a person, also with its first version")
    func approval() throws {
        let view = tally("a").promote(when: .manualApproval)
        try folder.catchUp([view])
        #expect(try live() == nil)
        #expect(
            try folder.entry("tally", 1)?.reason
                == "not promoted: manual approval: it waits for `kappa promote`")
        _ = try promote([id(1)], views: [view])
        #expect(try live() == 1)
    }

    @Test("several views are checked together, and none is switched if one is refused")
    func several() throws {
        try folder.catchUp([tally("a"), tally("a", named: "other")])
        try folder.append(ticks: 10, first: 20)
        let gate = Gate.changedRows(atMost: 0)
        try folder.catchUp(
            [tally("b"), tally("b", below: 14, named: "other")], promotes: false)
        let outcome = try promote(
            [id(2), id(2, "other")], [gate],
            views: [tally("a"), tally("a", named: "other")])
        guard case .refused(let judgements) = outcome else {
            Issue.record("not refused")
            return
        }
        #expect(judgements.map(\.candidate) == [id(2, "other")])
        #expect(judgements.map(\.position) == [Offset(30)])
        #expect(try [live(), live("other")] == [1, 1])
    }

    @Test(
        "run promotes versions that become ready together in one step, and the others when it may")
    func oneStep() throws {
        try folder.catchUp([tally("a"), tally("a", named: "other"), tally("a", named: "third")])
        let seen = Monitor<[VersionNumber?]>([])
        let data = folder.data
        let looks = tally("b", below: 9, named: "other").promote(
            when: .check("nothing is switched yet") { _ in
                let live = try Catalog(data).live("tally")
                seen.withLock { $0.append(live) }
                return true
            })
        let refused = tally("b", below: 9, named: "third").promote(when: .changedRows(atMost: 1))
        try folder.catchUp([tally("b", below: 9), looks, refused])
        #expect(seen.withLock { $0 } == [VersionNumber(1)])
        #expect(try [live(), live("other"), live("third")] == [2, 2, 1])
    }

    @Test("a gate that names a missing column is refused when the view is defined")
    func columns() throws {
        let view = tally("a").promote(when: .columnDrift("revenue", atMost: 1))
        let error = #expect(throws: KappaError.self) { try ViewSet([view]).definitions() }
        #expect(error?.code == .usage)
        #expect(error?.reason == "there are n, total")
    }

    @Test("gates do not affect a digest")
    func digests() throws {
        let plain = View("tally") { Events(Tick.self).grouped(by: \.k).aggregate(.count().as("n")) }
        let gated = plain.promote(when: .changedRows(atMost: .percent(1)), .manualApproval)
        #expect(gated.gates.map(\.description) == ["max-changed=1%", "manual approval"])
        let digests = try [plain, gated].map { try ViewSet([$0]).definitions()[0].digest }
        #expect(digests[0] == digests[1])
    }

    @Test("gates refuse exactly what a slow comparison of all rows refuses")
    func reference() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        for round in 0..<20 {
            let folder = try VersionsFolder()
            let keys = Int.random(in: 1...30, using: &random)
            try folder.append(
                (0..<Int.random(in: 0...120, using: &random)).map { _ in
                    Tick.line(
                        "k\(Int.random(in: 0..<keys, using: &random))",
                        Int.random(in: 0..<20, using: &random))
                })
            let limits = (0..<2).map { _ in Int.random(in: 0...20, using: &random) }
            try folder.catchUp([tally("a", below: limits[0])])
            try folder.catchUp([tally("b", below: limits[1])], promotes: false)
            let old = try table(folder.rows("tally", 1))
            let new = try table(folder.rows("tally", 2))
            let added = new.keys.count { old[$0] == nil }
            let removed = old.keys.count { new[$0] == nil }
            let changed = old.count { key, row in new[key] != nil && new[key] != row }
            let percent = Int.random(in: 0...100, using: &random)
            let judge = try GateJudge(
                folder.data, .empty,
                further: [
                    .addedRows(atMost: .percent(Double(percent))),
                    .removedRows(atMost: .percent(Double(percent))),
                    .changedRows(atMost: .percent(Double(percent))),
                    .differingRows(atMost: Allowance(Double(percent % 10))),
                ])
            let judgement = try #require(try judge.judge(id(2), against: id(1)))
            let parts = [added, removed, changed].map { $0 * 100 <= percent * old.count }
            let wanted = parts + [added + removed + changed <= percent % 10]
            #expect(
                judgement.findings.map(\.passes) == wanted,
                "round \(round), KAPPA_SEED=\(seed)")
        }
    }

    private func table(_ rows: [String]) throws -> [Substring: Substring] {
        var table: [Substring: Substring] = [:]
        for row in rows {
            let comma = try #require(row.firstIndex(of: ","))
            table[row[..<comma]] = row[comma...]
        }
        return table
    }
}
