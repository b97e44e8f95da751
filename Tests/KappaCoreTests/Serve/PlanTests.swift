import Glibc
import Testing

@testable import KappaCore

@Suite("Planning a run")
struct PlanTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private func plan(_ views: [any AnyView]) throws -> [Plan.Step] {
        try Plan.steps(folder.data, ViewSet(views), sampleEvents: 1_000)
    }

    private func catchUp(_ views: [any AnyView]) throws {
        try RunningBuild(folder.data, views) { options in
            options.follows = false
            options.sampleEvents = 1_000
        }.wait()
    }

    private func word(_ step: Plan.Step) -> String {
        "\(step.view) \(step.action.rawValue) \(step.change.rawValue)"
    }

    @Test("views are new, changed, unchanged or orphaned, and nothing is built")
    func kinds() throws {
        try folder.append(ticks: 20)
        try folder.catchUp([tally("a"), tally("a", named: "same"), tally("a", named: "gone")])
        try folder.catchUp([tally("x", named: "waits")], promotes: false)
        let steps = try plan([
            tally("b", below: 14), tally("a", named: "same"), tally("a", named: "fresh"),
            tally("x", named: "waits"),
        ])
        #expect(
            steps.map(word) == [
                "tally build changed", "same keep unchanged", "fresh build new",
                "waits resume new", "gone orphaned orphaned",
            ])
        #expect(steps[0].rows == 5 && steps[1].rows == 5 && steps[1].seconds == 0)
        #expect(try folder.catalog().entries().count == 4)
        #expect(!Folder.names(in: folder.data.path).contains { $0.hasPrefix("scratch") })
    }

    @Test("a plan says what is held back, with the command, and which rebuild a run would finish")
    func heldBack() throws {
        try folder.append(ticks: 20)
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")])
        let old = try #require(try plan([tally("a")]).first)
        #expect(word(old) == "tally resume changed")
        #expect(
            old.note == """
                it is built already: `kappa diff tally@2 tally@1` compares them; tally@2, which is \
                newer, is live, so only `kappa promote tally@1` promotes it
                """)
        _ = try Promotion(folder.catalog()).rollBack(["tally"])
        let new = try #require(try plan([tally("b")]).first)
        #expect(new.note?.contains("; somebody rolled back from it, so only") == true)
        #expect(try plan([tally("a")]).first?.note == nil)
        // A rebuild that was killed.
        let catalog = try folder.catalog()
        let digest = try #require(try ViewSet([tally("a")]).definitions().first?.digest)
        let rebuild = try catalog.create(view: "tally", digest: digest)
        try catalog.wantRebuild(rebuild, promotes: true)
        let step = try #require(try plan([tally("a")]).first)
        #expect(word(step) == "tally keep unchanged")
        #expect(
            step.note
                == "tally@3 is an unfinished rebuild: the next run finishes it and promotes it")
        try folder.catchUp([tally("a")])
        #expect(try plan([tally("a")]).first?.note == nil)
        #expect(try catalog.live("tally") == VersionNumber(3))
    }

    @Test("a changed view is compared at the live version's position before it is built")
    func diff() throws {
        try folder.append(ticks: 20)
        try folder.catchUp([tally("a")])
        let before = try folder.rows("tally", 1)
        for more in [0, 3, 100] {
            if more > 0 { try folder.append(ticks: more, first: 20) }
            let step = try #require(try plan([tally("b", below: 14)]).first)
            let diff = try #require(step.diff)
            #expect(diff.against == VersionID("tally", VersionNumber(1)))
            #expect(diff.summary.position == Offset(20))
            #expect(diff.summary.changed == 5 && diff.summary.same == 0)
            #expect(diff.lines.first == "~ k0  n 4 → 3, total 30 → 15")
            #expect(step.note == nil)
        }
        let same = try #require(try plan([tally("c")]).first)
        #expect(same.change == .changed && same.diff?.summary.isSame == true)
        #expect(try folder.rows("tally", 1) == before)
        // Once it is built, the two versions can be compared.
        try folder.catchUp([tally("b", below: 14)], promotes: false)
        let built = try #require(try plan([tally("b", below: 14)]).first)
        #expect(word(built) == "tally resume changed")
        #expect(built.note?.contains("`kappa diff tally@1 tally@2`") == true)
    }

    @Test("past the sample, the comparison is with the version's sample")
    func sample() throws {
        let limit = 1_000
        try folder.append(ticks: 1_500)
        try catchUp([tally("a")])
        let id = VersionID("tally", VersionNumber(1))
        let path = try #require(VersionSample.path(of: id, in: folder.data))
        let sample = try VersionReader(path)
        #expect(try sample.checkpoint().offset == Offset(UInt64(limit)))
        let total = try sample.connection.integer("SELECT sum(n) FROM tally")
        #expect(total == Int64(limit))

        let step = try #require(try plan([tally("b", below: 99)]).first)
        #expect(step.diff?.summary.position == Offset(UInt64(limit)))
        // Only k4 has numbers of 99.
        #expect(step.diff?.summary.changed == 1 && step.diff?.summary.same == 4)
        // The same holds for an earlier definition, wherever the version is.
        unlink(path)
        let digest = try #require(try folder.entry("tally", 1)?.digest)
        let kept = ViewSet([tally("b", below: 99)], earlier: [tally("=\(digest)")])
        let replayed = try Plan.steps(folder.data, kept, sampleEvents: limit)
        #expect(replayed.first?.diff?.summary == step.diff?.summary)
        // The build that has the definition makes a lost sample again.
        let lost = try #require(try plan([tally("b", below: 99)]).first)
        #expect(lost.diff == nil)
        #expect(lost.note?.contains("`kappa rebuild tally --no-promote`") == true)
        try catchUp([tally("a")])
        #expect(try plan([tally("b", below: 99)]).first?.diff != nil)
        // It is removed with its version.
        try catchUp([tally("b", below: 99)])
        _ = try Garbage(folder.catalog()).collect(keep: 0)
        #expect(access(path, F_OK) != 0)
    }

    @Test("an empty log and an empty view need nothing")
    func empty() throws {
        let step = try #require(try plan([tally("a")]).first)
        #expect(word(step) == "tally build new" && step.rows == nil && step.diff == nil)
        try folder.catchUp([tally("a")])
        #expect(try plan([tally("b")]).first?.diff == nil)
        try folder.append(ticks: 20)
        #expect(try plan([tally("b")]).first?.diff?.summary.position == Offset(0))
        #expect(try plan([tally("a")]).first.map(word) == "tally keep unchanged")
    }
}
