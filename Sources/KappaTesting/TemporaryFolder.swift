import Glibc
import KappaCore

/// A folder that goes away with all in it when nobody holds it any more.
public final class TemporaryFolder: Sendable {
    /// Where the folder is.
    public let path: String

    /// Makes a new, empty folder in `$TMPDIR`, else in `/tmp`.
    /// - Parameter inMemory: Whether to make it where writing costs no wait for a disk, if there is
    ///   such a place: for small files and many commits.
    /// - Throws: `KappaError` with `.cannotCreate`.
    public init(inMemory: Bool = false) throws {
        let memory = "/dev/shm"
        let usual = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        let parent = inMemory && access(memory, W_OK | X_OK) == 0 ? memory : usual
        var template = Array((parent + "/kappa-test-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw KappaError(
                .cannotCreate, "cannot create a temporary folder", at: parent,
                because: String(cString: strerror(errno)))
        }
        path = template.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { String(cString: $0) } ?? ""
        }
    }

    deinit { DataFolder.remove(path) }
}
