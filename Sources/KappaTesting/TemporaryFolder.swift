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
        path = try Folder.makeTemporary(in: parent, prefix: "kappa-test")
    }

    deinit { Folder.remove(path) }
}
