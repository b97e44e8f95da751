import Glibc

/// Held by the one process that pulls a source. It ends with the process, however that ends.
struct SourceLock {
    private let file: OpenFile

    /// - Parameter log: The folder of the log.
    /// - Throws: `.heldElsewhere` with the holder's process number.
    init(of name: String, in log: String) throws(KappaError) {
        let path = "\(log)/\(Self.fileName(name))"
        do throws(IOFailure) {
            file = OpenFile(try SystemFiles().open(path, O_RDWR | O_CREAT), path: path)
        } catch {
            throw error.error("cannot open the lock of a source", at: path)
        }
        // A holder that has ended may have just started another process, which has the lock until it runs.
        for _ in 0..<20 {
            if flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 { return }
            let number = errno
            guard number == EWOULDBLOCK || number == EINTR else {
                throw IOFailure("flock", number).error("cannot lock a source", at: path)
            }
            Pause.forALook()
        }
        let holder = LockWatch.holder(of: path)
        throw KappaError(
            .heldElsewhere, "source \(name) is pulled by another process", at: path,
            because: holder.map { "process \($0.pid) (\($0.command)) holds its lock" },
            advice: "Wait until it has ended, or stop it\(holder.map { ": kill \($0.pid)" } ?? "")")
    }

    /// A source's name may be long and have slashes, so the file is named by its checksum. Two sources of the
    /// same checksum are pulled one at a time.
    private static func fileName(_ name: String) -> String {
        let checksum = Array(name.utf8).withUnsafeBytes { crc32c($0) }
        let digits = String(checksum, radix: 16)
        return "pull-" + String(repeating: "0", count: 8 - digits.count) + digits + ".lock"
    }
}
