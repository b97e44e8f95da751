import Glibc

/// The few system calls with which the log changes files, behind a protocol so that tests can make each
/// of them fail. All throw an ``IOFailure``.
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
    package func write(_ file: Int32, _ bytes: [UInt8], at position: Int) throws(IOFailure) {
        var failure: IOFailure?
        bytes.withUnsafeBytes { bytes in
            do throws(IOFailure) { try write(file, bytes, at: position) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

/// The calls of the operating system.
package struct SystemFiles: FileSystem {
    package init() {}

    package func open(_ path: String, _ flags: Int32) throws(IOFailure) -> Int32 {
        // Opening a pipe that somebody has put in a file's place must not wait for its other end.
        let file = Glibc.open(path, flags | O_CLOEXEC | O_NONBLOCK, 0o644)
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
