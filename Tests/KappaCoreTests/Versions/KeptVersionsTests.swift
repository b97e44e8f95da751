import KappaTesting
import Testing

@testable import KappaCore

@Suite("Retired versions that a run keeps")
struct KeptVersionsTests {
    private let folder: VersionsFolder
    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 20)
    }

    /// Runs a build to the log's end, under a policy.
    private func run(_ digest: String, keep: Int?) throws {
        var options = ViewRunner.Options()
        options.follows = false
        options.keepVersions = keep
        try ViewRunner(folder.data, ViewSet([tally(digest)]), options: options).run()
    }

    private func numbers() throws -> [Int] {
        try folder.catalog().entries(of: "tally").map(\.id.number.rawValue)
    }

    @Test("as many are kept as the policy says, those that were live last; without one, all are")
    func kept() throws {
        for digest in ["a", "b", "c"] { try run(digest, keep: nil) }
        #expect(try numbers() == [1, 2, 3])
        try run("d", keep: 2)
        #expect(try numbers() == [2, 3, 4])
        try run("e", keep: 1)
        #expect(try numbers() == [4, 5])
        #expect(!folder.data.hasFile(VersionID("tally", VersionNumber(2))))
        try run("e", keep: 0)
        #expect(try numbers() == [5])
    }

    @Test("the version to which a rollback would go stays, whatever its number is")
    func rollback() throws {
        for digest in ["a", "b"] { try run(digest, keep: nil) }
        // Version 1 is live again, then version 3 after it.
        _ = try Promotion(folder.catalog(), nil).rollBack(["tally"])
        try run("c", keep: nil)
        #expect(try folder.catalog().live("tally") == VersionNumber(3))
        try run("c", keep: 1)
        #expect(try numbers() == [1, 3])
        let back = try Promotion(folder.catalog(), nil).rollBack(["tally"])
        #expect(back.first?.change.to == VersionNumber(1))
    }

    @Test("a version that a follower reads stays until the follower has gone on")
    func followed() throws {
        try run("a", keep: 1)
        let follower = ChangeFollower("tally", try folder.catalog(), from: .rows)
        #expect(try follower.poll { _ in })
        try folder.append(ticks: 5)
        try run("b", keep: 0)
        #expect(try numbers() == [1, 2])
        var operations: [Change.Operation] = []
        _ = try follower.poll { operations.append($0.operation) }
        #expect(operations.contains(.promoted) && !operations.contains(.reset))
        try run("b", keep: 0)
        #expect(try numbers() == [2])
    }

    @Test("a version whose lease a process holds stays")
    func leased() throws {
        for digest in ["a", "b"] { try run(digest, keep: nil) }
        let lease = try Lease(VersionID("tally", VersionNumber(1)), in: folder.data)
        try run("b", keep: 0)
        #expect(try numbers() == [1, 2])
        lease.release()
        try run("b", keep: 0)
        #expect(try numbers() == [2])
    }

    @Test("a run that follows drops versions as it promotes others, and says so")
    func following() throws {
        let old = try RunningBuild(folder.data, [tally("a")]) { $0.keepVersions = 1 }
        try old.until("it is live") { try folder.catalog().live("tally") != nil }
        var builds = [old]
        for digest in ["b", "c"] {
            let next = try RunningBuild(folder.data, [tally(digest)]) { $0.keepVersions = 1 }
            builds.append(next)
            let number = VersionNumber(builds.count)
            try next.until("\(digest) is live") {
                try folder.catalog().live("tally") == number
            }
        }
        try builds[2].until("the first is dropped") { try numbers() == [2, 3] }
        try builds[2].until("it is said") {
            builds.contains { $0.said.contains("dropped tally@1") }
        }
        for build in builds { try build.stop() }
        #expect(try numbers() == [2, 3])
    }
}
