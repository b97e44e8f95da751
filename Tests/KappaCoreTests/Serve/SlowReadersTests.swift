import KappaTesting
import Testing

@testable import KappaCore

/// Rows and promotions arrive in steps as small as the reader's room, while rows change in between.
@Suite("Arbitrarily slow readers")
struct SlowReadersTests {
    /// The rows that a reader makes from its changes.
    private final class Reader {
        let follower: ChangeFollower
        let step: Int
        var rows: [String: [String: String]] = [:]
        var version: VersionNumber?
        var offset = Offset.zero

        init(_ view: String, _ catalog: Catalog, step: Int) {
            follower = ChangeFollower(view, catalog, from: .rows)
            self.step = step
        }

        /// Takes the changes of one step; false if there were none.
        func read(_ comment: Comment) throws -> Bool {
            try follower.poll(atMost: step) { change in
                defer { offset = change.offset }
                if change.operation == .promoted {
                    #expect(change.previous == version, comment)
                    version = change.version
                    return
                }
                if version == nil { version = change.version }
                #expect(change.version == version, comment)
                let before = rows[change.table]?[change.key]
                #expect(before == change.before, "\(change) \(comment)")
                #expect((change.before == nil) == (change.operation == .insert), comment)
                #expect((change.after == nil) == (change.operation == .delete), comment)
                rows[change.table, default: [:]][change.key] = change.after
            }
        }
    }

    @Test("the changes alone give exactly the rows, however these change between two steps")
    func random() throws {
        for round in 0..<4 {
            let seed = Seeds.one() &+ UInt64(round)
            try Self.run(seed)
        }
    }

    private static func run(_ seed: UInt64) throws {
        let comment: Comment = "KAPPA_SEED=\(seed)"
        var random = SplitMix(state: seed)
        let folder = try VersionsFolder()
        var readers: [Reader] = []
        var build = 0
        func views() -> [any AnyView] {
            // Sometimes with one column more or less.
            let latest = latest("d\(build)", noting: ["a", nil, "b"][build % 3])
            return build % 4 == 3
                ? [
                    View("latest", digest: "d\(build)") {
                        Events(Tick.self).grouped(by: \.k).aggregate(.count().as("n"))
                    }
                ] : [latest]
        }
        try folder.append(ticks: 40, keys: 30)
        try folder.catchUp(views())
        for _ in 0..<60 {
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                build += 1
                try folder.catchUp(views())
            case 1:
                if (try? Promotion(folder.catalog()).rollBack(["latest"])) != nil { build += 1 }
            case 2, 3:
                try folder.append(
                    (0..<Int.random(in: 1...40, using: &random)).map { _ in
                        Tick.line(
                            "k\(Int.random(in: 0..<60, using: &random))",
                            Int.random(in: -5...20, using: &random))
                    })
                try folder.catchUp(views())
            case 4 where readers.count < 6:
                readers.append(
                    Reader(
                        "latest", try folder.catalog(), step: Int.random(in: 1...7, using: &random))
                )
            default: break
            }
            for reader in readers {
                for _ in 0..<Int.random(in: 0...3, using: &random) {
                    if try !reader.read(comment) { break }
                }
            }
        }
        let live = try #require(try folder.catalog().live("latest"))
        let wanted = try Mirror.rows(folder.reader("latest", live.rawValue))["latest"] ?? [:]
        for reader in readers {
            while try reader.read(comment) {}
            #expect(reader.rows["latest"] ?? [:] == wanted, comment)
            #expect(reader.version == live, comment)
        }
    }

    @Test("rows that arrive while rows are read are from their own snapshot; offsets never go back")
    func betweenSteps() throws {
        let folder = try VersionsFolder()
        try folder.append((0..<10).map { Tick.line("k\($0)", 1) })
        try folder.catchUp([tally("a")])
        let follower = ChangeFollower("tally", try folder.catalog(), from: .rows)
        var seen: [String] = []
        var offsets: [Offset] = []
        func read(_ most: Int) throws {
            _ = try follower.poll(atMost: most) { change in
                seen.append("\(change.operation.rawValue) \(change.key)")
                offsets.append(change.offset)
            }
        }
        try read(5)
        // One that the reader has already, and one that it has yet to get.
        try folder.append([Tick.line("k1", 1), Tick.line("k7", 1)])
        try folder.catchUp([tally("a")])
        try read(100)
        #expect(
            seen == (0..<6).map { "insert [\"k\($0)\"]" } + ["update [\"k1\"]"]
                + (6..<10).map { "insert [\"k\($0)\"]" })
        #expect(
            offsets == Array(repeating: Offset(10), count: 6)
                + Array(repeating: Offset(12), count: 5))
    }

    @Test("no transaction stays open between two steps: the write-ahead log can be emptied")
    func holdsNothing() throws {
        let folder = try VersionsFolder()
        try folder.append(ticks: 100, keys: 100)
        try folder.catchUp([tally("a")])
        let follower = ChangeFollower("tally", try folder.catalog(), from: .rows)
        #expect(try follower.poll(atMost: 10) { _ in })
        let file = folder.data.file(VersionID("tally", VersionNumber(1)))
        let checkpoint = try SQLiteConnection(file, .readWrite).prepare(
            "PRAGMA wal_checkpoint(TRUNCATE)")
        #expect(try checkpoint.step())
        #expect(checkpoint.integer(0) == 0, "a reader was in the way")
    }
}
