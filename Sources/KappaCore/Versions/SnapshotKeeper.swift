import Glibc

/// Keeps snapshots of one version by a policy, while it is materialized. Used by the thread that
/// applies; the copying is done on another one.
final class SnapshotKeeper {
    private let id: VersionID
    private let policy: SnapshotPolicy
    private let folder: DataFolder
    private let report: @Sendable (KappaError) -> Void
    /// The interval of the log in which the version stands.
    private var interval: Int64?
    private var isDue = false
    private var thread: WorkerThread?

    /// - Parameters:
    ///   - offset: Where the version stands. The caller holds its lease.
    ///   - report: Hears of snapshots that could not be made; the version goes on without them.
    init(
        _ id: VersionID, _ policy: SnapshotPolicy, in folder: DataFolder, at offset: Offset,
        report: @escaping @Sendable (KappaError) -> Void
    ) throws(KappaError) {
        self.id = id
        self.policy = policy
        self.folder = folder
        self.report = report
        Snapshots(folder).removeLeftovers(of: id)
        if let micros = try IngestionTimes.micros(before: offset, in: folder.log) {
            interval = policy.interval(at: offset, ingestedAtMicros: micros)
        } else if case .events = policy.every {
            interval = 0
        }
    }

    deinit { finish() }

    /// Tells how far the version is; true where a commit is wanted, to make a snapshot of.
    func note(_ offset: Offset, ingestedAtMicros micros: Int64) -> Bool {
        let now = policy.interval(at: offset, ingestedAtMicros: micros)
        // A clock that was set back begins no new interval.
        if let interval, now > interval { isDue = true }
        interval = max(interval ?? now, now)
        return isDue
    }

    /// Makes a snapshot of what was just committed, if one is due. Only its moment is fixed here.
    func didCommit() {
        guard isDue else { return }
        isDue = false
        finish()
        do throws(KappaError) {
            let copy = try SnapshotCopy(id, in: folder)
            let (keep, report) = (policy.keep, report)
            thread = try WorkerThread("kappa-snapshot") {
                do throws(KappaError) { try copy.make(keeping: keep) } catch { report(error) }
            }
        } catch { report(error) }
    }

    /// Waits for the snapshot at hand.
    func finish() {
        thread?.join()
        thread = nil
    }
}

/// One snapshot on its way.
///
/// A read transaction holds the moment: what is committed meanwhile goes to the write-ahead log behind
/// it, and neither the pages nor the part of that log which the moment needs are overwritten. So the
/// writer never waits.
///
/// `@unchecked Sendable`: made on one thread, then used by the one that copies alone.
final class SnapshotCopy: @unchecked Sendable {
    /// Shares a file's blocks as they are at one moment; false where that cannot be done.
    typealias Clone = (_ source: String, _ target: String) throws(KappaError) -> Bool

    private let id: VersionID
    private let folder: DataFolder
    private let reader: VersionReader
    private let making: String
    private let clone: Clone

    /// Fixes the moment: that of the version's last commit.
    init(
        _ id: VersionID, in folder: DataFolder,
        clone: @escaping Clone = { (source, target) throws(KappaError) in
            try FileCopy.clone(source, to: target)
        }
    ) throws(KappaError) {
        self.id = id
        self.folder = folder
        self.clone = clone
        // It goes away with the last snapshot of a version that is dropped.
        try Folder.make(folder.snapshots(id.view))
        reader = try folder.reader(id)
        try reader.hold()
        let offset = try reader.checkpoint().offset
        making = Snapshots(folder).path(id, offset) + Snapshots.makingSuffix
    }

    /// Copies, gives the copy its name when it is durable, and removes those past the policy.
    @discardableResult
    func make(keeping keep: Int) throws(KappaError) -> Offset {
        do throws(KappaError) {
            try copy()
            reader.release()
            let offset = try settle()
            try putInPlace(Snapshots(folder).path(id, offset))
            Snapshots(folder).remove(of: id, keeping: keep)
            return offset
        } catch {
            // Where the disk is full, what was written is in the way of everybody else.
            reader.release()
            removeFiles()
            throw error
        }
    }

    private func copy() throws(KappaError) {
        removeFiles()
        if try cloneFiles() { return }
        removeFiles()
        try reader.copy(to: making)
    }

    /// The file, then its write-ahead log, which holds all that the file lacks: perhaps some commits
    /// more than the moment, but always whole ones.
    private func cloneFiles() throws(KappaError) -> Bool {
        guard try clone(folder.file(id), making) else { return false }
        let log = folder.file(id) + "-wal"
        return access(log, F_OK) == 0 ? try clone(log, making + "-wal") : true
    }

    /// Makes one file of the copy, which needs no others beside it to be read; returns its offset.
    private func settle() throws(KappaError) -> Offset {
        guard let checkpoint = try VersionFile.makeWhole(making) else {
            throw KappaError(.bug, "a snapshot has no checkpoint", at: making)
        }
        return checkpoint.offset
    }

    private func putInPlace(_ path: String) throws(KappaError) {
        let files = SystemFiles()
        do throws(IOFailure) {
            let file = OpenFile(try files.open(making, O_RDWR), path: making)
            try files.sync(file.descriptor)
            try files.rename(making, to: path)
            try files.syncFolder(folder.snapshots(id.view))
        } catch {
            throw error.error("cannot put a snapshot in place", at: path)
        }
    }

    private func removeFiles() {
        for suffix in ["", "-wal", "-shm", "-journal"] { unlink(making + suffix) }
    }
}
