import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Snapshots of versions")
struct SnapshotTests {
    private let folder: VersionsFolder
    private let id = VersionID("tally", VersionNumber(1))
    private var snapshots: Snapshots { Snapshots(folder.data) }
    init() throws { folder = try VersionsFolder() }

    private func catchUp(_ policy: SnapshotPolicy?) throws {
        var options = ViewRunner.Options()
        options.follows = false
        options.snapshots = policy
        try ViewRunner(folder.data, ViewSet([tally("a")]), options: options).run()
    }

    private func offsets() -> [UInt64] { snapshots.all(of: id).map(\.offset.rawValue) }

    /// The rows of a version that is built up to an offset in a separate folder.
    private func rows(at offset: Offset) throws -> [String] {
        let scratch = try ScratchVersion(
            try #require(ViewSet([tally("a")]).definitions().first), to: offset, in: folder.data)
        return try folder.csv(scratch.reader)
    }

    @Test(
        "are made at the first commit at or past each multiple of N events, and the newest are kept"
    )
    func everyEvents() throws {
        let policy = SnapshotPolicy(every: .events(10), keep: 3)
        var wanted: [[UInt64]] = []
        for count in [4, 5, 1, 3, 12, 100, 2, 3] {
            try folder.append(ticks: count)
            try catchUp(policy)
            wanted.append(offsets())
        }
        #expect(
            wanted == [
                [], [], [10], [10], [10, 25], [10, 25, 125], [10, 25, 125], [25, 125, 130],
            ])
        for snapshot in snapshots.all() {
            let reader = try VersionReader(snapshot.path)
            #expect(try reader.checkpoint().offset == snapshot.offset)
            #expect(try folder.csv(reader) == rows(at: snapshot.offset))
        }
        // One file each, and nothing else.
        #expect(Folder.names(in: folder.data.snapshots("tally")).count == 3)
        try catchUp(nil)
        #expect(offsets() == [25, 125, 130])
    }

    @Test("a live version continues while they are made, and each has the rows of its offset")
    func live() throws {
        let running = try RunningBuild(folder.data, [tally("a")]) {
            $0.snapshots = SnapshotPolicy(every: .events(50), keep: 100)
        }
        for round in 0..<40 {
            try folder.append(ticks: 20, first: round * 20)
            if round % 5 == 4 {
                try running.until("some are applied") {
                    let done = try? folder.reader("tally", 1).checkpoint().offset
                    return (done ?? .zero) >= Offset(UInt64(round * 20))
                }
            }
        }
        try running.until("all is applied") {
            try folder.reader("tally", 1).checkpoint().offset == Offset(800)
        }
        try running.stop()
        let kept = snapshots.all(of: id)
        #expect(kept.count >= 4)
        #expect(kept.last?.offset == Offset(800))
        for snapshot in kept {
            let reader = try VersionReader(snapshot.path)
            #expect(try reader.checkpoint().offset == snapshot.offset)
            #expect(try folder.csv(reader) == rows(at: snapshot.offset))
        }
    }

    @Test(
        "hold the complete state of a commit, or of a later one, while commits continue",
        arguments: [true, false])
    func moment(clones: Bool) throws {
        try folder.append(ticks: 30)
        let running = try RunningBuild(folder.data, [tally("a")])
        func waitFor(_ offset: UInt64) throws {
            try running.until("\(offset) is applied") {
                let done = try? folder.reader("tally", 1).checkpoint().offset
                return done == Offset(offset)
            }
        }
        try waitFor(30)
        try folder.append(ticks: 10)
        try waitFor(40)
        try Folder.make(folder.data.snapshots("tally"))
        let copy = try SnapshotCopy(id, in: folder.data) { (source, target) throws(KappaError) in
            // Nothing writes while this test copies, so a copy is as good as a clone.
            if clones { try FileCopy.copy(source, to: target) }
            return clones
        }
        try folder.append(ticks: 10)
        try waitFor(50)
        let offset = try copy.make(keeping: 5)
        #expect(offset == Offset(clones ? 50 : 40))
        let reader = try VersionReader(snapshots.path(id, offset))
        #expect(try folder.csv(reader) == rows(at: offset))
        #expect(Folder.names(in: folder.data.snapshots("tally")) == ["1@\(offset).db"])
        try folder.append(ticks: 10)
        try waitFor(60)
        try running.stop()
    }

    @Test("a snapshot does not release this process's locks on the version's file")
    func locks() throws {
        try folder.append(ticks: 3)
        try catchUp(nil)
        // Opened before all this and closed after it: closing it also drops the locks.
        let file = open(folder.data.file(id), O_RDWR)
        defer { close(file) }
        func isLocked() -> Bool {
            var lock = flock()
            lock.l_type = Int16(F_WRLCK)
            // F_OFD_GETLK, which sees the locks of this process as well.
            #expect(fcntl(file, 36, &lock) == 0)
            return lock.l_type != Int16(F_UNLCK)
        }
        #expect(!isLocked())
        let reader = try VersionReader(folder.data.file(id))
        try reader.hold()
        #expect(isLocked())
        try SnapshotCopy(id, in: folder.data).make(keeping: 5)
        #expect(isLocked())
        reader.release()
    }

    @Test("by time, they are made when the log's own clock has advanced, never when it went back")
    func everyTime() throws {
        try folder.append(ticks: 1)
        try catchUp(nil)
        let hour: Int64 = 3_600_000_000
        let keeper = try SnapshotKeeper(
            id, SnapshotPolicy(every: .micros(hour)), in: folder.data, at: .zero, report: { _ in })
        let times = [10 * hour, 10 * hour + 5, 11 * hour - 1, 11 * hour, 9 * hour, 11 * hour + 1]
        var due: [Bool] = []
        for time in times + [12 * hour + 7] {
            due.append(keeper.note(Offset(1), ingestedAtMicros: time))
            keeper.didCommit()
        }
        keeper.finish()
        #expect(due == [false, false, false, true, false, false, true])
        #expect(offsets() == [1])
    }

    @Test("half-made snapshots of a killed process are removed and never used")
    func torn() throws {
        try folder.append(ticks: 30)
        try catchUp(SnapshotPolicy(every: .events(10)))
        #expect(offsets() == [30])
        let torn = snapshots.path(id, Offset(20)) + Snapshots.makingSuffix
        for path in [torn, torn + "-wal"] { try FileCopy.copy("/etc/hostname", to: path) }
        #expect(offsets() == [30])
        let entry = try folder.catalog().resolve(try VersionReference("tally"))
        let past = try PastVersion(
            entry, at: Offset(25), folder.catalog(), ViewSet([tally("a")]))
        #expect(past.replayedFrom == .zero)
        try catchUp(SnapshotPolicy(every: .events(10)))
        #expect(access(torn, F_OK) != 0 && access(torn + "-wal", F_OK) != 0)
    }

    @Test("one that cannot be made does not stop the version")
    func failure() throws {
        try folder.append(ticks: 5)
        try catchUp(nil)
        let path = folder.data.snapshots("tally")
        // A folder has the snapshot's name.
        try Folder.make("\(path)/1@10.db/x")
        let running = try RunningBuild(folder.data, [tally("a")]) {
            $0.snapshots = SnapshotPolicy(every: .events(10))
        }
        try folder.append(ticks: 5, first: 5)
        try running.until("the failure is reported") {
            running.said.contains("no snapshot of tally@1 cannot put a snapshot in place")
        }
        try folder.append(ticks: 5)
        try running.until("the version goes on") {
            try folder.reader("tally", 1).checkpoint().offset == Offset(15)
        }
        try running.stop()
        #expect(Folder.names(in: path) == ["1@10.db"])
    }

    @Test("are removed with their version, or beyond the number that is to be kept")
    func garbage() throws {
        for _ in 0..<3 {
            try folder.append(ticks: 10)
            try catchUp(SnapshotPolicy(every: .events(10)))
        }
        let garbage = Garbage(try folder.catalog())
        #expect(try garbage.collectSnapshots(keep: nil) == [])
        #expect(try garbage.collectSnapshots(keep: 2).map(\.offset.rawValue) == [10])
        #expect(offsets() == [20, 30])
        // Snapshots of an unknown version.
        let stray = snapshots.path(VersionID("tally", VersionNumber(7)), Offset(3))
        try FileCopy.copy(snapshots.path(id, Offset(20)), to: stray)
        // A copy of another version's would be somebody's own.
        #expect(try garbage.collectSnapshots(keep: nil) == [])
        try SQLiteConnection(stray, .readWrite).execute("UPDATE _kappa_version SET number = 7")
        #expect(try garbage.collectSnapshots(keep: nil).map(\.path) == [stray])
        try folder.catchUp([tally("b")])
        #expect(try garbage.collect(keep: 0).map(\.id) == [id])
        #expect(snapshots.all() == [])
        #expect(access(folder.data.snapshots("tally"), F_OK) != 0)
    }

    @Test("a policy is read as it is written, and anything else is refused")
    func policies() throws {
        #expect(
            SnapshotPolicy("every=1000000") == SnapshotPolicy(every: .events(1_000_000)))
        #expect(
            SnapshotPolicy("every=90s,keep=2")
                == SnapshotPolicy(every: .micros(90_000_000), keep: 2))
        #expect(
            SnapshotPolicy("keep=5,every=2h")
                == SnapshotPolicy(every: .micros(7_200_000_000), keep: 5))
        for text in [
            "", "every", "every=", "every=0", "every=-5", "every=1y", "every=h", "keep=3",
            "every=1h,keep=0", "every=1h,", "each=1h", "every=99999999999999999999d",
        ] {
            #expect(SnapshotPolicy(text) == nil, "\(text)")
        }
    }
}
