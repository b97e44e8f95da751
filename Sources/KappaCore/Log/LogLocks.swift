import Glibc

/// The log's lock, held by one process and one batch at a time.
struct FileLock {
    private let file: OpenFile

    init(_ file: OpenFile) throws(KappaError) {
        self.file = file
        do throws(IOFailure) { try LockWatch.lock(file, LOCK_EX) } catch {
            throw error.error("cannot lock the log", at: file.path)
        }
    }

    func unlock() { flock(file.descriptor, LOCK_UN) }
}

/// Held by the one process that rewrites a log's segments. Its holder may remove the files that an earlier
/// holder left when it died.
struct SealLock {
    static let suffix = ".sealing"
    private let folder: String
    private let files: any FileSystem
    private let file: OpenFile

    /// Nil while another holder has it.
    init?(_ folder: String, _ files: any FileSystem) throws(KappaError) {
        self.folder = folder
        self.files = files
        let path = folder + "/seal.lock"
        do throws(IOFailure) {
            file = OpenFile(try files.open(path, O_RDWR | O_CREAT), path: path)
        } catch {
            throw error.error("cannot open the lock of the log's segments", at: path)
        }
        if flock(file.descriptor, LOCK_EX | LOCK_NB) != 0 { return nil }
    }

    func unlock() { flock(file.descriptor, LOCK_UN) }

    /// - Throws: `.heldElsewhere` while another caller has it.
    static func take(_ folder: String, _ files: any FileSystem) throws(KappaError) -> SealLock {
        guard let lock = try SealLock(folder, files) else {
            throw KappaError(
                .heldElsewhere, "the log's segments are being rewritten already", at: folder,
                advice: "Try again when that is done")
        }
        lock.removeLeftovers()
        return lock
    }

    func removeLeftovers() {
        for name in Folder.allNames(in: folder) ?? [] where name.hasSuffix(".log" + Self.suffix) {
            try? files.remove(folder + "/" + name)
        }
    }
}
