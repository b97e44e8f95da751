import Glibc

/// A folder for temporary files, which is removed with all its contents.
final class ScratchFolder {
    let path: String
    /// Locked while the folder is in use: an unlocked folder is a leftover.
    private let lock: OpenFile

    init(_ folder: DataFolder) throws(KappaError) {
        (path, lock) = try Self.make(folder)
    }

    /// Makes the folder in the data folder, so that all files are on one disk. If that disk cannot be
    /// written, or is nearly full, it uses the system's folder for temporary files: a comparison only needs
    /// to read the data folder.
    private static func make(_ folder: DataFolder) throws(KappaError) -> (String, OpenFile) {
        let other = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        let isShort = freeBytes(folder.path) < min(leastFreeBytes, freeBytes(other))
        if isShort, let made = try? make(in: other) { return made }
        do throws(KappaError) { return try make(in: folder.path) } catch {
            guard error.isOfSystem, let made = try? make(in: other) else {
                throw error
            }
            return made
        }
    }

    private static let leastFreeBytes = 64 << 20

    private static func freeBytes(_ path: String) -> Int {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return 0 }
        return Int(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
    }

    private static func make(in parent: String) throws(KappaError) -> (String, OpenFile) {
        while true {
            let path = try Folder.makeTemporary(in: parent, prefix: "scratch")
            let lock: OpenFile
            do throws(IOFailure) {
                lock = OpenFile(try SystemFiles().open(path, O_RDONLY), path: path)
            } catch {
                // Another process that cleans up may have removed it as a leftover before it was locked.
                if IOFailure.isAbsence(error.number) { continue }
                rmdir(path)
                throw error.error("cannot lock a temporary folder", at: path)
            }
            flock(lock.descriptor, LOCK_EX)
            if access(path, F_OK) != 0 { continue }
            // The mark identifies the folder as kappa's.
            let mark = "\(path)/\(DataFolder.scratchMark)"
            do {
                _ = OpenFile(try SystemFiles().open(mark, O_WRONLY | O_CREAT | O_EXCL), path: mark)
            } catch {
                rmdir(path)
                throw error.error("cannot mark a temporary folder", at: mark)
            }
            return (path, lock)
        }
    }

    deinit { Folder.remove(path) }

    /// Copies a version's file in the state that a reader sees.
    func copy(_ reader: VersionReader) throws(KappaError) -> String {
        let copy = path + "/copy.db"
        try reader.copy(to: copy)
        return copy
    }
}
