import Glibc

/// Which file an open file is, whatever its name.
///
/// A file that a process keeps open must keep its name: the process could go on writing to one that
/// somebody has removed or replaced, and nobody would ever read it.
struct FileIdentity: Equatable, Sendable {
    private let device: UInt64
    private let number: UInt64

    private init(_ status: stat) {
        device = UInt64(status.st_dev)
        number = UInt64(status.st_ino)
    }

    /// The file that a path names now; nil where that cannot be found out.
    init?(of path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    init?(of descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }

    /// Why a path no longer names this file. Nil while it does, and while nobody can say: a folder that
    /// cannot be searched for a moment has lost nothing.
    func loss(of path: String) -> String? {
        var status = stat()
        if stat(path, &status) == 0 {
            return FileIdentity(status) == self ? nil : "another file has its name"
        }
        return errno == ENOENT || errno == ENOTDIR ? "somebody has removed or moved it" : nil
    }
}
