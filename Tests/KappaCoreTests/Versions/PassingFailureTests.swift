import Glibc
import Testing

@testable import KappaCore

/// Transient failures are retried and shown; permanent ones end a run that has nothing else to do.
@Suite("Transient and permanent failures")
struct PassingFailureTests {
    private let folder: VersionsFolder

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 20)
    }

    private func id(_ number: Int, _ view: String = "tally") -> VersionID {
        VersionID(view, VersionNumber(number))
    }

    private func position(_ number: Int, _ view: String = "tally") throws -> UInt64 {
        try folder.reader(view, number).checkpoint().offset.rawValue
    }

    private func status(_ number: Int, _ view: String = "tally") throws -> VersionStatus? {
        try VersionStatus.all(folder.catalog(), view: view).first { $0.id == id(number, view) }
    }

    /// Makes commits of a view fail: a folder takes the name of its lock.
    private func block(_ view: String = "tally") {
        let lock = folder.data.switchLock(view)
        rename(lock, lock + ".aside")
        mkdir(lock, 0o755)
    }

    private func unblock(_ view: String = "tally") {
        let lock = folder.data.switchLock(view)
        rmdir(lock)
        rename(lock + ".aside", lock)
    }

    @Test("a live version that cannot commit is retried until it can, and its status says so")
    func live() throws {
        let build = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        try build.until("both are live") {
            try status(1)?.isLive == true && status(1, "more")?.isLive == true
        }
        block()
        try folder.append(ticks: 10, first: 20)
        try build.until("it is tried again") {
            build.said.contains { $0.hasPrefix("retrying tally@1") }
        }
        try build.until("the other one is current") { try position(1, "more") == 30 }
        let standing = try #require(try status(1))
        #expect(standing.state == .live && standing.position == Offset(20))
        let reason = try #require(standing.reason)
        #expect(reason.contains("cannot open a view's switch lock"), "\(reason)")
        #expect(reason.contains("; it has stood still since 20"), "\(reason)")
        #expect(reason.hasSuffix("and resumes automatically once that has passed"), "\(reason)")
        let since = try folder.entry("tally", 1)?.failure?.sinceMicros
        // The time since when it is stuck is kept over several tries.
        for _ in 0..<10 { Pause.forALook() }
        #expect(try folder.entry("tally", 1)?.failure?.sinceMicros == since)
        unblock()
        try build.until("it is current again") { try position(1) == 30 }
        try build.until("its status is clear") { try status(1)?.reason == nil }
        #expect(build.said.contains("recovered tally@1"))
        #expect(build.said.count { $0.hasPrefix("retrying tally@1") } == 1)
        #expect(build.runner.unresolved == nil)
        try build.stop()
    }

    @Test("a version that waits for a retry is dropped when another version is live instead")
    func replaced() throws {
        let build = try RunningBuild(folder.data, [tally("a")])
        try build.until("it is live") { try status(1)?.isLive == true }
        block()
        try folder.append(ticks: 10, first: 20)
        // After that it waits for seconds before each retry.
        try build.until("it has been tried for a while") {
            build.runner.state.withLock { state in
                state.posts.contains { $0.retries.values.contains { $0.delay >= .seconds(3) } }
            }
        }
        unblock()
        try folder.catchUp([tally("a")], rebuilds: true)
        try folder.append(ticks: 10, first: 30)
        try build.until("the new one is current") { try position(2) == 40 }
        #expect(build.runner.unresolved == nil)
        try build.stop()
    }

    @Test("a version being built is paused, and resumes automatically")
    func building() throws {
        let build = try RunningBuild(folder.data, [tally("x", named: "more")])
        try build.until("another view is live") { try status(1, "more")?.isLive == true }
        try build.stop()
        try Folder.make(folder.data.view("tally"))
        block()
        let again = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        try again.until("it is paused") { try folder.entry("tally", 1)?.state == .paused }
        #expect(try folder.entry("tally", 1)?.reason?.contains("Is a directory") == true)
        unblock()
        try again.until("it is live") { try status(1)?.isLive == true }
        #expect(try status(1)?.reason == nil)
        try again.stop()
    }

    @Test("while one process waits for a retry, another that stands by takes over")
    func standbyTakesOver() throws {
        let first = try RunningBuild(folder.data, [tally("a")])
        try first.until("it is live") { try status(1)?.isLive == true }
        let second = try RunningBuild(folder.data, [tally("a")])
        try second.until("it stands by") { second.said == ["left tally@1"] }
        block()
        try folder.append(ticks: 10, first: 20)
        try waitFor("both have tried") {
            [first, second].allSatisfy { $0.said.contains { $0.hasPrefix("retrying") } }
        }
        unblock()
        try waitFor("one of them has it") { try position(1) == 30 }
        // For the other one it is like any version that another process keeps current.
        try waitFor("nothing is left to repair") {
            [first, second].allSatisfy { $0.runner.unresolved == nil }
        }
        try first.stop()
        try folder.append(ticks: 10, first: 30)
        try second.until("the second has it") { try position(1) == 40 }
        try second.stop()
    }

    @Test("a run whose last version has failed for good ends, with the reason")
    func nothingLeft() throws {
        try folder.catchUp([tally("a"), tally("x", named: "more")])
        for view in ["tally", "more"] {
            try SQLiteConnection(folder.data.file(id(1, view)), .readWrite)
                .execute("UPDATE _kappa_checkpoint SET digest_crc = digest_crc + 1")
        }
        try folder.append(ticks: 10, first: 20)
        let build = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        try build.wait()
        #expect(
            build.runner.unresolved?.what
                == "the log is not the one that this version was made from")
        #expect(try status(1)?.reason?.contains("it has stood still since") == true)
        #expect(try status(1)?.reason?.contains("tried again") == false)
        // A rebuild repairs it, and leaves no trace of the failure.
        try folder.catchUp([tally("a")], rebuilds: true)
        #expect(try status(2)?.reason == nil)
        #expect(try status(1)?.reason == nil)
    }

    @Test("a run with something left to do ends with the reason when it is stopped")
    func somethingLeft() throws {
        try folder.catchUp([tally("a"), tally("x", named: "more")])
        try SQLiteConnection(folder.data.file(id(1)), .readWrite)
            .execute("UPDATE _kappa_checkpoint SET digest_crc = digest_crc + 1")
        try folder.append(ticks: 10, first: 20)
        let build = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        try build.until("the other is current") { try position(1, "more") == 30 }
        try build.until("one has failed") { build.runner.unresolved != nil }
        #expect(!build.isDone)
        // The version that replaces it is taken over, and nothing has failed any more.
        try folder.catchUp([tally("a")], rebuilds: true)
        try folder.append(ticks: 10, first: 30)
        try build.until("the new one is current") { try position(2) == 40 }
        #expect(build.runner.unresolved == nil)
        try build.stop()
    }

    @Test(
        "an aborted version is abandoned by the process that builds it, and not built again")
    func aborted() throws {
        try folder.catchUp([tally("a")])
        let gated = tally("b").promote(when: .manualApproval)
        let build = try RunningBuild(folder.data, [gated])
        try build.until("it waits for a person") { build.said.contains("refused tally@2") }
        try Garbage(folder.catalog()).abort(id(2))
        try build.until("it has reported that") { build.said.last == "released tally@2" }
        #expect(try folder.entry("tally", 2) == nil)
        for _ in 0..<6 { Pause.forALook() }
        #expect(try folder.catalog().entries().map(\.id) == [id(1)])
        let error = #expect(throws: KappaError.self) { try Garbage(folder.catalog()).abort(id(1)) }
        #expect(error?.what == "tally@1 is live")
        #expect(error?.advice?.contains("`kappa rebuild tally`") == true)
        try build.stop()
    }
}
