import Glibc
import KappaCore

/// A folder that is removed, with everything in it, when its last reference is released.
public final class TemporaryFolder: Sendable {
    /// Where the folder is.
    public let path: String

    /// Makes a new, empty folder in `$TMPDIR`, else in `/tmp`.
    /// - Parameter inMemory: Whether to make it in memory, in `/dev/shm`, if that is possible. Commits do not
    ///   wait for a disk there: for small files and many commits.
    /// - Throws: `KappaError` with `.cannotCreate`.
    public init(inMemory: Bool = false) throws {
        let memory = "/dev/shm"
        let usual = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        let parent = inMemory && access(memory, W_OK | X_OK) == 0 ? memory : usual
        path = try Folder.makeTemporary(in: parent, prefix: "kappa-test")
    }

    deinit { Folder.remove(path) }
}
