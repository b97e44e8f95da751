import Glibc

/// A folder for files that are needed for a moment; removed with all in it.
final class ScratchFolder {
    let path: String
    /// Locked for as long as the folder is in use: what nobody holds was left behind.
    private let lock: OpenFile

    init(_ folder: DataFolder) throws(KappaError) {
        (path, lock) = try Self.make(folder)
    }

    private static func make(_ folder: DataFolder) throws(KappaError) -> (String, OpenFile) {
        while true {
            let path = try DataFolder.makeTemporary(in: folder.path, prefix: "scratch")
            // Somebody who cleans up may have taken it for a leftover before it was locked.
            guard let lock = try? OpenFile(reading: path) else { continue }
            flock(lock.descriptor, LOCK_EX)
            if access(path, F_OK) != 0 { continue }
            // Without the mark nobody takes the folder for kappa's.
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

    deinit { DataFolder.remove(path) }

    /// A copy of a version's file as it is for a reader.
    func copy(_ reader: VersionReader) throws(KappaError) -> String {
        let copy = path + "/copy.db"
        try reader.connection.copy(to: copy)
        return copy
    }
}
