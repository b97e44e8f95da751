import Glibc

/// An open file that must keep its name: a process could keep writing to a file that somebody has
/// removed or replaced, and nobody would ever read it.
struct NamedFile {
    private let path: String
    private let identity: Identity?

    private struct Identity: Equatable {
        var device: UInt64
        var number: UInt64
    }

    init(_ path: String) {
        self.path = path
        identity = Self.identity(path)
    }

    private static func identity(_ path: String) -> Identity? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Identity(device: UInt64(status.st_dev), number: UInt64(status.st_ino))
    }

    /// Checks that the file still has its name.
    /// - Parameter what: What the file is, such as "the catalog".
    func requireItsName(_ what: String, advice: String) throws(KappaError) {
        guard let identity else { return }
        let present = Self.identity(path)
        if present == identity || present == nil && errno != ENOENT && errno != ENOTDIR { return }
        throw KappaError(
            .damaged, "\(what) is gone", at: path,
            because: present == nil
                ? "somebody has removed or moved it" : "another file has its name",
            advice: advice)
    }
}
