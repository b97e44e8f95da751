import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// Readers stop at any change and resume with the id that they have stored.
@Suite("Followers that resume")
struct ResumingTests {
    /// What happens to the view `latest` while it is read.
    private struct World {
        let folder: VersionsFolder
        var build = 0

        init() throws { folder = try VersionsFolder() }

        /// Versions differ in values, in columns, and in the key.
        var views: [any AnyView] {
            let digest = "d\(build)"
            switch build % 5 {
            case 3:
                return [
                    View("latest", digest: digest) {
                        Events(Tick.self).grouped(by: \.k).aggregate(.count().as("n"))
                    }
                ]
            case 4:
                return [
                    View("latest", digest: digest) {
                        Events(Tick.self).grouped(by: \.v).aggregate(.count().as("n"))
                    }
                ]
            default: return [latest(digest, noting: ["a", nil, "b"][build % 3])]
            }
        }

        mutating func append(_ random: inout SplitMix) throws {
            try folder.append(
                (0..<Int.random(in: 1...40, using: &random)).map { _ in
                    Tick.line(
                        "k\(Int.random(in: 0..<40, using: &random))",
                        Int.random(in: -9...20, using: &random))
                })
            try folder.catchUp(views)
        }

        mutating func rebuild() throws {
            build += 1
            try folder.catchUp(views)
        }

        mutating func rollBack() throws {
            if (try? Promotion(folder.catalog()).rollBack(["latest"])) != nil { build += 1 }
        }

        /// Goes on with the live version's definition after a rollback, which changes its rows.
        func catchUpLive() throws {
            guard let live = try folder.catalog().live("latest"),
                let digest = try folder.entry("latest", live.rawValue)?.digest,
                let number = Int(digest.dropFirst())
            else { return }
            var past = self
            past.build = number
            try folder.catchUp(past.views)
        }

        /// Deletes the older changes of a feed.
        func prune(_ random: inout SplitMix) throws {
            let entries = try folder.catalog().entries(of: "latest")
            guard let entry = entries.randomElement(using: &random),
                folder.data.hasFile(entry.id)
            else { return }
            let connection = try SQLiteConnection(folder.data.file(entry.id), .readWrite)
            try connection.transaction {
                let floor = try connection.integer(
                    "SELECT seq FROM _kappa_changes ORDER BY random() LIMIT 1")
                guard let floor else { return }
                try connection.execute(
                    "UPDATE _kappa_feed SET floor = \(floor); "
                        + "DELETE FROM _kappa_changes WHERE seq <= \(floor)")
            }
        }

        /// Deletes all that can be built again, and builds it.
        mutating func lose() throws {
            Folder.remove(folder.data.path + "/views")
            for suffix in ["", "-wal", "-shm"] { unlink(folder.data.catalog + suffix) }
            try folder.catchUp(views)
        }

        func wanted() throws -> KeyedReader.Rows {
            guard let live = try folder.catalog().live("latest") else { return [:] }
            return try Mirror.rows(folder.reader("latest", live.rawValue))
        }
    }

    @Test("keyed rows end up as the view's, wherever readers stop and resume")
    func random() throws {
        var resumptions = 0
        var resets = 0
        for seed in Seeds.random(8) {
            let readers = try Self.run(seed)
            resumptions += readers.map(\.resumptions).reduce(0, +)
            resets += readers.map(\.resets).reduce(0, +)
        }
        #expect(resets > 0 && resumptions > resets)
    }

    private static func run(_ seed: UInt64) throws -> [KeyedReader] {
        let comment: Comment = "KAPPA_SEED=\(seed)"
        var random = SplitMix(state: seed)
        var world = try World()
        try world.append(&random)
        let readers = (0..<6).map {
            KeyedReader("latest", $0 % 3 == 2 ? .exact : .loose, world.folder)
        }
        func finish() throws {
            let wanted = try world.wanted()
            for reader in readers {
                while try reader.read(atMost: .max, &random, comment) {}
                #expect(reader.present == wanted, "\(reader.kind) \(comment)")
                #expect(!reader.hasPending, comment)
            }
        }
        for _ in 0..<60 {
            switch Int.random(in: 0..<20, using: &random) {
            case 0...8: try world.append(&random)
            case 9, 10: try world.rebuild()
            case 11: try world.rollBack()
            case 12: try world.catchUpLive()
            case 13: try world.prune(&random)
            case 14: _ = try Garbage(world.folder.catalog()).collect(keep: 1)
            case 15:
                for reader in readers { reader.kill() }
                try world.lose()
            case 16: try finish()
            default: break
            }
            for reader in readers {
                if Int.random(in: 0..<4, using: &random) == 0 { reader.kill() }
                for _ in 0..<Int.random(in: 0...2, using: &random) {
                    let most = Int.random(in: 1...15, using: &random)
                    if try !reader.read(atMost: most, &random, comment) { break }
                }
            }
        }
        for reader in readers { reader.kill() }
        try finish()
        return readers
    }
}

/// Where a resumed follower begins.
@Suite("The ids of changes")
struct ChangeIDTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private func changes(_ start: FollowStart) throws -> [Change] {
        let follower = ChangeFollower("tally", try folder.catalog(), from: start)
        var changes: [Change] = []
        _ = try follower.poll { changes.append($0) }
        return changes
    }

    /// The id of the last of the present rows.
    private func present() throws -> ChangeID { try #require(try changes(.rows).last?.id) }

    @Test("an id reads back as it is printed", arguments: ["1:0", "3:1042", "12:1733000000000042"])
    func parses(text: String) throws {
        #expect(try ChangeID(text).description == text)
    }

    @Test(
        "what is no id is refused",
        arguments: [
            "", ":", "1", "1:", ":1", "0:1", "-1:1", "1:-1", "1:2:3", "1 :2", "+1:2", "a:b",
            "orders@1:2", "1:9223372036854775808", "99999999999999999999:1", "１:2",
        ])
    func refused(text: String) {
        let error = #expect(throws: KappaError.self) { try ChangeID(text) }
        #expect(error?.code == .usage)
        #expect(error?.what == "\"\(text)\" is not the id of a change")
    }

    @Test("a reader that resumes gets what came after, and ids grow")
    func resumes() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let first = try present()
        #expect(try changes(.after(first)) == [])
        try folder.append([Tick.line("k0", 1), Tick.line("new", 1)])
        try folder.catchUp([tally("a")])
        let two = try changes(.after(first))
        #expect(two.map(\.key) == [#"["k0"]"#, #"["new"]"#])
        let ids = [first] + two.compactMap(\.id)
        #expect(ids.map(\.sequence) == ids.map(\.sequence).sorted())
        #expect(Set(ids).count == 3)
        #expect(ids.allSatisfy { $0.sequence < 1 << 53 })
        #expect(try changes(.after(ids[1])) == [two[1]])
    }

    @Test("a reader that missed one promotion gets the difference; two, and all rows come again")
    func promotions() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let first = try present()
        try folder.append(ticks: 3)
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b", below: 3)])
        let missed = try changes(.after(first))
        #expect(
            missed.map(\.operation.rawValue).prefix(4) == [
                "update", "update", "update", "promoted",
            ])
        #expect(missed.last?.id == (try present()))
        #expect(try changes(.exactlyAfter(first)) == missed)
        try folder.catchUp([tally("c", below: 4)])
        let again = try changes(.after(first))
        #expect(again.first?.operation == .reset)
        #expect(again.dropFirst().map(\.operation) == Array(repeating: .insert, count: 4))
        #expect(again.dropLast().allSatisfy { $0.id == nil })
        #expect(again.last?.id == (try present()))
        #expect(try changes(.exactlyAfter(first)).contains { $0.operation == .promoted })
    }

    @Test("an id of a version that went and came back is not taken for one of the present time")
    func rolledBack() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let first = try present()
        try folder.catchUp([tally("b", below: 3)])
        _ = try Promotion(folder.catalog()).rollBack(["tally"])
        // A reader may have received rows of tally@2 in between.
        #expect(try changes(.after(first)).first?.operation == .reset)
        #expect(try changes(.exactlyAfter(first)) == [])
    }

    @Test("an id of another life of the folder, of another view, or of no version is a reset")
    func otherLife() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let first = try present()
        for id in [
            ChangeID(VersionNumber(1), 0), ChangeID(VersionNumber(1), first.sequence - 1),
            ChangeID(VersionNumber(1), first.sequence + 1), ChangeID(VersionNumber(9), 1),
            ChangeID(VersionNumber(.max), .max),
        ] {
            #expect(try changes(.after(id)).first?.operation == .reset, "\(id)")
            #expect(try changes(.exactlyAfter(id)).first?.operation == .reset, "\(id)")
        }
        Folder.remove(folder.data.path + "/views")
        for suffix in ["", "-wal", "-shm"] { unlink(folder.data.catalog + suffix) }
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let again = try changes(.after(first))
        #expect(again.map(\.operation.rawValue) == ["reset"] + Array(repeating: "insert", count: 5))
    }

    @Test("an empty view's reset has the id, and an empty difference's promotion")
    func empty() throws {
        try folder.append(ticks: 3)
        try folder.catchUp([tally("a", below: -100)])
        let all = try changes(.after(ChangeID(VersionNumber(5), 5)))
        #expect(all.map(\.operation) == [.reset])
        let first = try #require(all.first?.id)
        try folder.catchUp([tally("b", below: -100)])
        let promoted = try changes(.after(first))
        #expect(promoted.map(\.operation) == [.promoted])
        #expect(promoted.first?.id?.version == VersionNumber(2))
    }

    @Test("commits that a power cut took back do not give their numbers to others")
    func lostCommits() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let first = try present()
        let file = folder.data.file(VersionID("tally", VersionNumber(1)))
        let copy = folder.data.path + "/copy.db"
        try VersionReader(file).copy(to: copy)
        try folder.append([Tick.line("k0", 1), Tick.line("k1", 1)])
        try folder.catchUp([tally("a")])
        let lost = try present()
        #expect(lost != first)
        // The file is as it was before the commit, and its events are applied again in other commits.
        for suffix in ["-wal", "-shm"] { unlink(file + suffix) }
        #expect(rename(copy, file) == 0)
        for key in ["k2", "k3"] {
            try folder.append([Tick.line(key, 1)])
            try folder.catchUp([tally("a")])
        }
        #expect(try changes(.after(lost)).first?.operation == .reset)
        #expect(try changes(.after(first)).count == 4)
    }

    @Test("the feed of a file of format 2 begins anew when the version is continued")
    func earlierFiles() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        try folder.append(ticks: 3)
        try folder.catchUp([tally("a")])
        let file = folder.data.file(VersionID("tally", VersionNumber(1)))
        // Some of these had no table for the floor, and numbers from 1 on.
        try SQLiteConnection(file, .readWrite).execute(
            """
            DROP TABLE _kappa_changes; DROP TABLE _kappa_feed;
            CREATE TABLE _kappa_changes (
                seq INTEGER PRIMARY KEY AUTOINCREMENT, offset INTEGER NOT NULL,
                table_index INTEGER NOT NULL, key TEXT NOT NULL, before TEXT, after TEXT) STRICT;
            INSERT INTO _kappa_changes VALUES
                (1, 13, 0, '["k0"]', NULL, '{"k":"k0","n":1,"total":1}'),
                (2, 13, 0, '["k1"]', NULL, '{"k":"k1","n":1,"total":1}'),
                (3, 13, 0, '["k2"]', NULL, '{"k":"k2","n":1,"total":1}');
            UPDATE _kappa_version SET format = 2
            """)
        try SQLiteConnection(folder.data.catalog, .readWrite).execute("DROP TABLE feed_starts")
        // Its rows can be read, and its newest change be followed.
        #expect(try present() == ChangeID(VersionNumber(1), 3))
        #expect(try changes(.after(ChangeID(VersionNumber(1), 3))).isEmpty)
        #expect(try changes(.after(ChangeID(VersionNumber(1), 1))).first?.operation == .reset)
        try folder.append(ticks: 2)
        try folder.catchUp([tally("a")])
        #expect(try folder.reader("tally", 1).format == 3)
        #expect(try changes(.after(ChangeID(VersionNumber(1), 3))).count == 2)
        #expect(try changes(.after(ChangeID(VersionNumber(1), 1))).first?.operation == .reset)
        #expect(try present().sequence > 1_000_000)
    }
}

/// What is deleted of a feed.
@Suite("The length of the change feed")
struct FeedLengthTests {
    @Test("the newest changes are kept, as many as the policy says, also over restarts")
    func trimmed() throws {
        let folder = try VersionsFolder()
        let key = ColumnSchema("k", .integer, isKey: true)
        let reader = try folder.make(
            1, [(TableSchema(name: "t", columns: [key], hasState: false), [])])
        let first = try reader.newestChange()
        let file = folder.data.file(VersionID("t", VersionNumber(1)))
        func add(_ changes: Range<Int>) throws {
            let store = try VersionStore(opening: file)
            store.feedPolicy.bytes = 200_000
            try store.commit(Checkpoint(offset: Offset(UInt64(changes.upperBound)))) {
                transaction in
                for number in changes {
                    try transaction.add(
                        ChangeRecord(
                            offset: .zero, table: 0, key: "[\(number)]", before: nil, after: "{}"))
                }
            }
        }
        let size = "SELECT coalesce(sum(length(changes)), 0) FROM _kappa_changes"
        try add(0..<10_000)
        let middle = try reader.newestChange()
        #expect(try reader.keepsChanges(after: first) && reader.feedFloor() == first)
        var end = 10_000
        while try reader.feedFloor() == first, end < 1_000_000 {
            #expect(try reader.connection.integer(size) ?? 0 <= 200_000 * 17 / 16)
            try add(end..<(end + 10_000))
            end += 10_000
        }
        #expect(try !reader.keepsChanges(after: first))
        #expect(try reader.connection.integer(size) ?? 0 <= 200_000)
        var keys: [String] = []
        try reader.changes(after: reader.feedFloor()) { keys.append($1.key) }
        #expect(keys == ((end - keys.count)..<end).map { "[\($0)]" })
        #expect(keys.count > 20_000)
        #expect(try reader.newestChange() > middle + Int64(end - 10_001))
    }
}
