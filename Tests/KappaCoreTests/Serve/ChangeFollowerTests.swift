import KappaTesting
import Testing

@testable import KappaCore

@Suite("Following the changes of a view")
struct ChangeFollowerTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    @Test("the changes alone give exactly the rows, across commits, promotions and rollbacks")
    func mirrors() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let early = try Mirror("latest", folder)
        let tallies = try Mirror("tally", folder)
        try early.poll()
        var late: Mirror?
        var build = 0
        var notes = ["a", nil, "b"]
        for round in 0..<25 {
            try folder.append(
                (0..<Int.random(in: 0...30, using: &random)).map { _ in
                    Tick.line(
                        "k\(Int.random(in: 0..<12, using: &random))",
                        Int.random(in: -5...20, using: &random))
                })
            switch Int.random(in: 0..<6, using: &random) {
            case 0:
                build += 1
                notes.shuffle(using: &random)
            case 1 where round > 3:
                _ = try? Promotion(folder.catalog()).rollBack(["latest", "tally"])
                if Bool.random(using: &random) {
                    try early.poll(mayGoBack: true)
                    try tallies.poll(mayGoBack: true)
                }
                // A version that was rolled back from waits for a person; a changed definition does not.
                build += 1
            default: break
            }
            try folder.catchUp([
                latest("d\(build)", noting: notes[0]), tally("d\(build)", below: 15 - build % 3),
            ])
            if Bool.random(using: &random) { try early.poll() }
            try tallies.poll()
            if round == 12 { late = try Mirror("latest", folder) }
            try late?.poll()
        }
        try early.poll()
        for (view, mirrors) in [("latest", [early, late]), ("tally", [tallies])] {
            let live = try #require(try folder.catalog().live(view))
            let wanted = try Mirror.rows(folder.reader(view, live.rawValue))
            for mirror in mirrors {
                #expect(
                    mirror?.rows[view]?.filter { !$0.value.isEmpty } == wanted[view],
                    "KAPPA_SEED=\(seed)")
            }
        }
    }

    @Test("a promotion is reported before its difference, with both versions; so is a rollback")
    func marker() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let follower = ChangeFollower("tally", try folder.catalog(), from: .rows)
        var last: ChangeID?
        _ = try follower.poll {
            #expect($0.version == VersionNumber(1))
            #expect(last == nil, "only the last of the first rows has an id")
            last = $0.id
        }
        func switched() throws -> [Change] {
            var changes: [Change] = []
            _ = try follower.poll { changes.append($0) }
            return changes
        }
        try folder.append(ticks: 5)
        try folder.catchUp([tally("b", below: 3)])
        let promoted = try switched()
        #expect(promoted.count == 6)
        #expect(
            promoted.first
                == Change(
                    offset: Offset(15), table: "", operation: .promoted, key: "",
                    version: VersionNumber(2), previous: VersionNumber(1), id: last))
        #expect(last?.version == VersionNumber(1))
        #expect(promoted.dropLast().allSatisfy { $0.id == last })
        #expect(promoted.last?.id?.version == VersionNumber(2))
        #expect(promoted.dropFirst().allSatisfy { $0.offset == Offset(15) && $0.previous == nil })
        #expect(promoted.allSatisfy { $0.version == VersionNumber(2) })
        _ = try Promotion(folder.catalog()).rollBack(["tally"])
        let back = try switched()
        #expect(back.first?.operation == .promoted)
        #expect(back.first?.offset == Offset(10))
        #expect(back.first?.version == VersionNumber(1))
        #expect(back.count == 6)
    }

    @Test("a view without a live version has no changes yet; its first promotion brings the rows")
    func beforeFirst() throws {
        let mirror = try Mirror("tally", folder)
        try mirror.poll()
        #expect(mirror.changes == 0)
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")], promotes: false)
        try mirror.poll()
        #expect(mirror.changes == 0)
        try folder.catchUp([tally("a")])
        try mirror.poll()
        #expect(mirror.changes == 5)
    }

    @Test("following from now on starts without the current rows")
    func fromNow() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let follower = ChangeFollower("tally", try folder.catalog(), from: .now)
        #expect(try follower.poll { _ in Issue.record("nothing has changed yet") } == false)
        try folder.append([Tick.line("new", 1), Tick.line("k0", 1)])
        try folder.catchUp([tally("a")])
        var changes: [Change] = []
        #expect(try follower.poll { changes.append($0) })
        #expect(changes.map(\.key).sorted() == [#"["k0"]"#, #"["new"]"#])
        let change = try #require(changes.first { $0.operation == .insert })
        #expect(change.after == #"{"k":"new","n":1,"total":1}"#)
        #expect(change.before == nil)
        #expect(change.offset == Offset(12))
        #expect(try follower.poll { _ in } == false)
    }

    @Test("changes come in portions as small as requested, and so does a promotion's difference")
    func portions() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let follower = ChangeFollower("tally", try folder.catalog(), from: .now)
        _ = try follower.poll { _ in }
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b", below: 3)])
        var portions = [0]
        while try follower.poll(atMost: 2, { _ in portions[portions.count - 1] += 1 }) {
            portions.append(0)
        }
        // Five changes, the promotion, and its difference, five more.
        #expect(portions == [2, 2, 2, 2, 2, 1, 0])
    }

    @Test("a version that retired, came back and was brought forward has all changes in its feed")
    func awayAndBack() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let mirror = try Mirror("tally", folder)
        try mirror.poll()
        try folder.catchUp([tally("b", below: 3)])
        try folder.append(ticks: 10)
        _ = try Promotion(folder.catalog()).rollBack(["tally"])
        try folder.catchUp([tally("a")])
        try mirror.poll()
        #expect(try mirror.rows == Mirror.rows(folder.reader("tally", 1)))
    }

    @Test("a follower that is too far behind gets an error, not a gap")
    func tooFarBehind() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let follower = ChangeFollower("tally", try folder.catalog(), from: .rows)
        _ = try follower.poll { _ in }
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        try SQLiteConnection(folder.data.file(VersionID("tally", VersionNumber(1))), .readWrite)
            .execute(
                "UPDATE _kappa_feed SET floor = (SELECT min(seq) + 1 FROM _kappa_changes); "
                    + "DELETE FROM _kappa_changes WHERE seq <= (SELECT floor FROM _kappa_feed)")
        let error = #expect(throws: KappaError.self) { try follower.poll { _ in } }
        #expect(error?.code == .notFound)
        #expect(error?.what == "changes of tally@1 are no longer kept")
    }
}
