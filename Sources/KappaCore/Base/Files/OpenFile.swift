import Glibc

/// An open file that closes itself.
package final class OpenFile: Sendable {
    package let descriptor: Int32
    let path: String

    package init(_ descriptor: Int32, path: String) {
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

    var identity: FileIdentity? { FileIdentity(of: descriptor) }

    /// Why its path no longer names this file; see ``FileIdentity/loss(of:)``.
    var nameLoss: String? { identity?.loss(of: path) }

    /// Reads up to `bytes.count` bytes; fewer only at the file's end.
    func read(_ bytes: UnsafeMutableRawBufferPointer, at position: Int) throws(KappaError) -> Int {
        var done = 0
        while done < bytes.count {
            let count = pread(
                descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done,
                position + done)
            if count < 0 {
                if errno == EINTR { continue }
                throw IOFailure("read", errno).error("cannot read a file", at: path)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }
}
