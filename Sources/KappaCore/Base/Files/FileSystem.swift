import Glibc

/// The few system calls by which the log changes files: a seam, so that tests can make each of them
/// fail. All throw an ``IOFailure``.
package protocol FileSystem: Sendable {
    func open(_ path: String, _ flags: Int32) throws(IOFailure) -> Int32
    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, at position: Int) throws(IOFailure)
    /// Makes a file's bytes durable.
    func sync(_ file: Int32) throws(IOFailure)
    /// Makes a folder's names durable.
    func syncFolder(_ path: String) throws(IOFailure)
    func truncate(_ file: Int32, to size: Int) throws(IOFailure)
    func rename(_ old: String, to new: String) throws(IOFailure)
    func remove(_ path: String) throws(IOFailure)
}

extension FileSystem {
    func write(_ file: Int32, _ bytes: [UInt8], at position: Int) throws(IOFailure) {
        var failure: IOFailure?
        bytes.withUnsafeBytes { bytes in
            do throws(IOFailure) { try write(file, bytes, at: position) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

/// The real thing.
package struct SystemFiles: FileSystem {
    package init() {}

    package func open(_ path: String, _ flags: Int32) throws(IOFailure) -> Int32 {
        let file = Glibc.open(path, flags | O_CLOEXEC, 0o644)
        if file < 0 { throw IOFailure("open", errno) }
        return file
    }

    package func write(
        _ file: Int32, _ bytes: UnsafeRawBufferPointer, at position: Int
    ) throws(IOFailure) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(
                file, bytes.baseAddress.map { $0 + done }, bytes.count - done,
                position + done)
            if count < 0 {
                if errno == EINTR { continue }
                throw IOFailure("write", errno)
            }
            done += count
        }
    }

    package func sync(_ file: Int32) throws(IOFailure) {
        if fdatasync(file) != 0 { throw IOFailure("fdatasync", errno) }
    }

    package func syncFolder(_ path: String) throws(IOFailure) {
        let folder = try open(path, O_RDONLY | O_DIRECTORY)
        defer { close(folder) }
        if fsync(folder) != 0 { throw IOFailure("fsync", errno) }
    }

    package func truncate(_ file: Int32, to size: Int) throws(IOFailure) {
        if ftruncate(file, size) != 0 { throw IOFailure("ftruncate", errno) }
    }

    package func rename(_ old: String, to new: String) throws(IOFailure) {
        if Glibc.rename(old, new) != 0 { throw IOFailure("rename", errno) }
    }

    package func remove(_ path: String) throws(IOFailure) {
        if unlink(path) != 0, errno != ENOENT { throw IOFailure("unlink", errno) }
    }
}

/// An open file that closes itself.
final class OpenFile: Sendable {
    let descriptor: Int32
    let path: String

    init(_ descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    convenience init(reading path: String) throws(KappaError) {
        do {
            self.init(try SystemFiles().open(path, O_RDONLY), path: path)
        } catch {
            throw error.error("cannot open a file", at: path)
        }
    }

    var size: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    /// The same, but zero where the file has no name any more: what is written to it is lost.
    var sizeByName: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_nlink > 0 ? Int(status.st_size) : 0
    }

    /// Reads up to `bytes.count` bytes; fewer only at the file's end.
    func read(_ bytes: UnsafeMutableRawBufferPointer, at position: Int) throws(KappaError) -> Int {
        var done = 0
        while done < bytes.count {
            let count = pread(
                descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done,
                position + done)
            if count < 0 {
                if errno == EINTR { continue }
                throw IOFailure("read", errno).error("cannot read the log", at: path)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }
}

/// A system call that failed, and what that means for people: the one place where the system's error
/// numbers become words, whichever layer meets them.
package struct IOFailure: Error {
    package let call: String
    package let number: Int32

    package init(_ call: String, _ number: Int32) {
        self.call = call
        self.number = number
    }

    package var reason: String { "\(call): \(Self.text(of: number))" }

    /// The system's words for an error number, such as `No space left on device`.
    package static func text(of number: Int32) -> String { String(cString: strerror(number)) }

    /// The failure as an error that a person reads.
    package func error(_ what: String, at path: String) -> KappaError {
        KappaError(
            Self.code(of: number), what, at: path, because: reason,
            advice: Self.advice(for: number))
    }

    /// The same for a file that a person has named: one that is not there is not found.
    package func error(naming what: String, at path: String) -> KappaError {
        var error = error(what, at: path)
        if Self.isAbsence(number) {
            error.code = .notFound
            error.advice = "Check the name and who may read it"
        }
        // The name is what a person asks about, not the call.
        error.reason = Self.text(of: number)
        return error
    }

    /// The same for what could not be created.
    package func error(creating what: String, at path: String) -> KappaError {
        var error = error("cannot create \(what)", at: path)
        if error.code == .inputOutput { error.code = .cannotCreate }
        error.advice = error.advice ?? "Name another folder with --data, or check the one above it"
        return error
    }

    /// Whether an error number says that nothing stands at a path.
    package static func isAbsence(_ number: Int32) -> Bool { number == ENOENT || number == ENOTDIR }

    package static func code(of number: Int32) -> KappaError.Code {
        number == EACCES || number == EPERM ? .notPermitted : .inputOutput
    }

    package static func advice(for number: Int32) -> String? {
        switch number {
        case ENOSPC: "Free some space on this disk and try again"
        case EDQUOT:
            "Free some of this user's space on this disk, or raise the quota, and try again"
        case EACCES, EPERM: "Check who owns the file and its folder"
        case EROFS: "The file system is read-only: mount it for writing, or choose another folder"
        case EMFILE: "Raise the limit on open files (ulimit -n)"
        case ENFILE: "Raise the system's limit on open files (sysctl fs.file-max)"
        case EIO: "The disk reports errors: look at the system's log before going on"
        case ENOMEM: "Free some memory and try again"
        case EFBIG: "Raise the limit on the size of files (ulimit -f)"
        default: nil
        }
    }

    /// Whether something stands at a path.
    /// - Throws: Where that cannot be found out, such as in a folder that may not be read: what cannot
    ///   be seen is not taken for absent.
    package static func isThere(_ path: String) throws(KappaError) -> Bool {
        if access(path, F_OK) == 0 { return true }
        let number = errno
        if isAbsence(number) { return false }
        throw IOFailure("access", number).error("cannot look at a file", at: path)
    }
}
