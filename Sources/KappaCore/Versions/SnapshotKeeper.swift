import Glibc

/// Makes the snapshots that a policy asks for while a version is materialized. The applying thread uses it;
/// another thread does the copying.
final class SnapshotKeeper {
    private let id: VersionID
    private let policy: SnapshotPolicy
    private let folder: DataFolder
    private let report: @Sendable (KappaError) -> Void
    /// The interval of the log that the version's position is in.
    private var interval: Int64?
    private var isDue = false
    private var thread: WorkerThread?

    /// - Parameters:
    ///   - offset: The version's position. The caller holds its lease.
    ///   - report: Called for each snapshot that could not be made; the version continues without it.
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

    /// Notes how far the version is; true if a commit is wanted to make a snapshot of.
    func note(_ offset: Offset, ingestedAtMicros micros: Int64) -> Bool {
        let now = policy.interval(at: offset, ingestedAtMicros: micros)
        // Setting the clock back begins no new interval.
        if let interval, now > interval { isDue = true }
        interval = max(interval ?? now, now)
        return isDue
    }

    /// Begins a snapshot of what was just committed, if one is due. This call only opens the read
    /// transaction; a thread copies.
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

    /// Waits for the snapshot in progress.
    func finish() {
        thread?.join()
        thread = nil
    }
}

/// One snapshot in the making.
///
/// A read transaction fixes the state to copy. Later commits are appended to the write-ahead log, and SQLite
/// overwrites neither the pages nor the part of that log that the transaction needs. So the writer never
/// waits.
///
/// `@unchecked Sendable`: one thread makes it, and then only the thread that copies uses it.
final class SnapshotCopy: @unchecked Sendable {
    /// Clones a file by sharing its blocks, as of one moment; false if the file system cannot.
    typealias Clone = (_ source: String, _ target: String) throws(KappaError) -> Bool

    private let id: VersionID
    private let folder: DataFolder
    private let reader: VersionReader
    private let making: String
    private let clone: Clone

    /// Fixes the state to copy: that of the version's last commit.
    init(
        _ id: VersionID, in folder: DataFolder,
        clone: @escaping Clone = { (source, target) throws(KappaError) in
            try FileCopy.clone(source, to: target)
        }
    ) throws(KappaError) {
        self.id = id
        self.folder = folder
        self.clone = clone
        // This folder is removed with the last snapshot of a version that is dropped.
        try Folder.make(folder.snapshots(id.view))
        reader = try folder.reader(id)
        try reader.hold()
        let offset = try reader.checkpoint().offset
        making = Snapshots(folder).path(id, offset) + Snapshots.makingSuffix
    }

    /// Copies, gives the copy its name once it is durable, and removes snapshots beyond the policy's limit.
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
            // If the disk is full, remove what was written, so that others have room.
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

    /// Clones the file, then its write-ahead log, which has all that the file lacks: perhaps some later
    /// commits too, but always whole ones.
    private func cloneFiles() throws(KappaError) -> Bool {
        guard try clone(folder.file(id), making) else { return false }
        let log = folder.file(id) + "-wal"
        return access(log, F_OK) == 0 ? try clone(log, making + "-wal") : true
    }

    /// Makes the copy a single file that can be read without a write-ahead log; returns its offset.
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
