import Glibc
import KappaCore

/// A folder that goes away with all in it when nobody holds it any more.
public final class TemporaryFolder: Sendable {
    /// Where the folder is.
    public let path: String

    /// Makes a new, empty folder in `$TMPDIR`, else in `/tmp`.
    /// - Throws: `KappaError` with `.cannotCreate`.
    public init() throws {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
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
