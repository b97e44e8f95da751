import Glibc
import KappaCore

/// Reads files that are named on the command line.
enum InputFile {
    /// - Throws: `.notFound` if there is no such file, or if it is a folder; `.notPermitted`, `.inputOutput`.
    static func open(_ path: String) throws(KappaError) -> Int32 {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw IOFailure("open", errno).error(naming: "cannot open a file", at: path)
        }
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
            close(descriptor)
            throw KappaError(
                .notFound, "cannot read a folder", at: path, because: "a file is needed",
                advice: "Name its files")
        }
        return descriptor
    }

    /// Whether it is a file on a disk, which can be opened and read again.
    static func isFile(_ descriptor: Int32) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// The text of a file of at most `most` bytes; nil for a longer one.
    static func text(of path: String, atMost most: Int) throws(KappaError) -> String? {
        let descriptor = try open(path)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: most + 1)
        var count = 0
        while count < bytes.count {
            let read = bytes.withUnsafeMutableBytes { bytes in
                Glibc.read(descriptor, bytes.baseAddress.map { $0 + count }, bytes.count - count)
            }
            if read < 0, errno == EINTR { continue }
            if read < 0 { throw IOFailure("read", errno).error("cannot read", at: path) }
            if read == 0 { break }
            count += read
        }
        return count > most ? nil : String(decoding: bytes[..<count], as: UTF8.self)
    }
}
