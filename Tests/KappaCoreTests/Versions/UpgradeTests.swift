import Glibc
import Testing

@testable import KappaCore

/// Builds that run at the same time. Leases are locks of open files, so two runners in one process behave
/// like two processes.
@Suite("An upgrade while events flow")
struct UpgradeTests {
    private let folder: VersionsFolder

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 50)
    }

    private func live(_ view: String = "tally") throws -> Int? {
        try folder.catalog().live(view)?.rawValue
    }

    private func position(_ view: String, _ number: Int) throws -> UInt64 {
        try folder.reader(view, number).checkpoint().offset.rawValue
    }

    @Test(
        "the old build keeps its version live and current until the new one is live, then stands by"
    )
    func upgrade() throws {
        let old = try RunningBuild(folder.data, [tally("a")])
        try old.until("tally@1 is live") { try live() == 1 }

        // A reader that reads all the time, through the catalog as `query` does.
        let isEnd = Monitor(false)
        let seen = Monitor<[(number: Int, position: UInt64, rows: Int64)]>([])
        let failure = Monitor<(any Error)?>(nil)
        let data = folder.data
        let polling = try WorkerThread("test-reader") {
            do {
                let readers = LiveReaders(data, WorkedOutViews())
                while !isEnd.withLock({ $0 }) {
                    let look = try readers.read("tally") { reader in
                        let total = try reader.connection.integer("SELECT sum(n) FROM tally")
                        return (
                            reader.number, try reader.checkpoint().offset.rawValue, total ?? 0
                        )
                    }
                    if let look { seen.withLock { $0.append(look) } }
                }
            } catch { failure.withLock { $0 = error } }
        }
        var appended = 50
        func appendSome() throws {
            try folder.append(ticks: 10, first: appended)
            appended += 10
        }
        for _ in 0..<5 { try appendSome() }
        try waitFor("tally@1 is current") { try position("tally", 1) == UInt64(appended) }

        let new = try RunningBuild(folder.data, [tally("b", below: 90)])
        try new.until("tally@2 is live") {
            try appendSome()
            return try live() == 2
        }
        try old.until("its lease has ended") { old.said.last == "released tally@1" }
        try old.stop()
        for _ in 0..<5 { try appendSome() }
        try new.until("tally@2 is current") { try position("tally", 2) == UInt64(appended) }
        try waitFor("the reader has seen it") {
            seen.withLock { $0.last.map { $0.number == 2 && $0.position == UInt64(appended) } }
                ?? false
        }
        isEnd.withLock { $0 = true }
        polling.join()
        try failure.withLock { if let error = $0 { throw error } }
        let samples = seen.withLock { $0 }
        for (before, after) in zip(samples, samples.dropFirst()) {
            #expect(before.position <= after.position, "readers went back")
            #expect(before.number <= after.number)
        }
        // Rows and position always agree: the old definition takes every event.
        for sample in samples where sample.number == 1 {
            #expect(sample.rows == Int64(sample.position))
        }
        try new.stop()
    }

    @Test("a new build with one changed view leaves the others to the old one, and takes them over")
    func oneOfTwo() throws {
        let same = tally("same", named: "same")
        let old = try RunningBuild(folder.data, [tally("a"), same])
        try old.until("both are live") { try live() == 1 && live("same") == 1 }
        let new = try RunningBuild(folder.data, [tally("b"), same])
        try new.until("the changed one is switched") { try live() == 2 }
        #expect(new.said.contains("left same@1"))
        // The old build continues with the unchanged view.
        try waitFor("the old one has ended that") { old.said.contains("released tally@1") }
        try folder.append(ticks: 10)
        try waitFor("both are current") {
            try position("tally", 2) == 60 && position("same", 1) == 60
        }
        #expect(!old.isDone)
        try old.stop()
        try folder.append(ticks: 10)
        try waitFor("the new one has taken over") { try position("same", 1) == 70 }
        #expect(new.said.contains("started same@1 keep"))
        try new.stop()
        #expect(try folder.catalog().entries().count == 3)
    }

    @Test(
        "a running build of the same definition keeps a rebuild beside it current afterwards"
    )
    func rebuildBeside() throws {
        let running = try RunningBuild(folder.data, [tally("a")])
        try running.until("tally@1 is live") { try live() == 1 }
        try folder.catchUp([tally("a")], rebuilds: true)
        #expect(try live() == 2)
        try folder.append(ticks: 10)
        try waitFor("tally@2 is followed") { try position("tally", 2) == 60 }
        try waitFor("it has reported that") {
            // Which of the first two comes first is chance.
            let wanted: Set = ["released tally@1", "started tally@2 keep", "caught up tally@2"]
            return wanted.isSubset(of: running.said)
        }
        try running.stop()
    }

    @Test("a build that stands by does not bring back what a newer build has replaced")
    func waitingOld() throws {
        let old = try RunningBuild(folder.data, [tally("a")])
        try old.until("tally@1 is live") { try live() == 1 }
        // A second process of the old build, with another view to work on.
        let standby = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        try standby.until("the second has begun") { try live("more") == 1 }
        let new = try RunningBuild(folder.data, [tally("b")])
        try new.until("tally@2 is live") { try live() == 2 }
        try old.stop()
        try folder.append(ticks: 10)
        try waitFor("tally@2 is current") { try position("tally", 2) == 60 }
        // It tries the lease every 50 ms; after a few tries it has had its chance.
        for _ in 0..<6 { Pause.forALook() }
        #expect(try live() == 2)
        #expect(try position("tally", 1) == 50)
        #expect(!standby.said.contains { $0.hasPrefix("started tally") })
        try standby.stop()
        try new.stop()
    }

    @Test(
        "a build that does not follow names the holder's process if everything is held elsewhere"
    )
    func allHeld() throws {
        let first = try RunningBuild(folder.data, [tally("a")])
        try first.until("tally@1 is live") { try live() == 1 }
        let second = try RunningBuild(folder.data, [tally("a")]) { $0.follows = false }
        let error = #expect(throws: KappaError.self) { try second.wait() }
        #expect(error?.code == .heldElsewhere)
        #expect(error?.reason == "process \(getpid()) holds its lease")
        try first.stop()
    }

    @Test("a stopped build resumes from its checkpoint")
    func resumes() throws {
        try folder.catchUp([tally("a")], until: Offset(30))
        let build = try RunningBuild(folder.data, [tally("a")]) { $0.follows = false }
        try build.wait()
        #expect(build.said.first == "started tally@1 resume")
        #expect(try folder.rows("tally", 1).count == 5)
        #expect(try folder.reader("tally", 1).checkpoint().counters.applied == 50)
    }

    @Test("one view that fails does not stop the others, and is paused or failed with its reason")
    func oneFails() throws {
        let build = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        try build.until("both are live") { try live() == 1 && live("more") == 1 }
        try build.stop()
        // This version has applied another log.
        try SQLiteConnection(folder.data.file(VersionID("more", VersionNumber(1))), .readWrite)
            .execute("UPDATE _kappa_checkpoint SET digest_crc = digest_crc + 1")
        try folder.append(ticks: 10)
        let again = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        try again.until("the sound one is current") { try position("tally", 1) == 60 }
        try waitFor("the other has failed") {
            again.said.contains { $0.hasPrefix("failed more@1") }
        }
        #expect(try position("more", 1) == 50)
        #expect(try folder.entry("more", 1)?.failure != nil)
        try again.stop()
    }

    @Test("a failure that could not be written to the catalog is written as soon as it can be")
    func failureLater() throws {
        try folder.catchUp([tally("a"), tally("x", named: "more")])
        try SQLiteConnection(folder.data.file(VersionID("more", VersionNumber(1))), .readWrite)
            .execute("UPDATE _kappa_checkpoint SET digest_crc = digest_crc + 1")
        let catalog = try SQLiteConnection(folder.data.catalog, .readWrite)
        try catalog.execute(
            """
            CREATE TRIGGER full BEFORE INSERT ON failures
            BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END
            """)
        try folder.append(ticks: 10)
        let build = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        try build.until("one has failed") { build.said.contains { $0.hasPrefix("failed more@1") } }
        #expect(try folder.entry("more", 1)?.failure == nil)
        try catalog.execute("DROP TRIGGER full")
        try folder.append(ticks: 10)
        try build.until("it is recorded") { try folder.entry("more", 1)?.failure != nil }
        try build.stop()
    }

    @Test("a failure that is written late does not change what was switched meanwhile")
    func failureTooLate() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b", below: 3)])
        let catalog = try folder.catalog()
        try catalog.setFailure(VersionID("tally", VersionNumber(1)), .live, "the disk was full")
        try catalog.setFailure(VersionID("tally", VersionNumber(1)), .paused, "the disk was full")
        try catalog.setFailure(VersionID("tally", VersionNumber(2)), .paused, "the disk was full")
        #expect(try catalog.entries().map(\.state) == [.retired, .live])
        #expect(try catalog.entries().allSatisfy { $0.reason == nil })
        try catalog.setFailure(VersionID("tally", VersionNumber(2)), .live, "the disk is full")
        #expect(try folder.entry("tally", 2)?.failure?.reason == "the disk is full")
        #expect(try catalog.entries().allSatisfy { $0.failure == nil || $0.isLive })
        try catalog.clearFailure(VersionID("tally", VersionNumber(2)))
        #expect(try folder.entry("tally", 2)?.failure == nil)
    }
}
