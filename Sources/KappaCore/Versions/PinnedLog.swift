import Glibc

/// The write-ahead log of a version's file that grows because somebody reads an old state of the file: what was
/// committed since cannot be moved into it.
package enum PinnedLog {
    /// Well past what a writer without slow readers lets it become: 16 MB, or one large commit.
    package static let usualBytes = 256 << 20

    /// How large the log is now.
    static func bytes(of id: VersionID, in folder: DataFolder) -> Int {
        var status = stat()
        return stat(folder.file(id) + "-wal", &status) == 0 ? Int(status.st_size) : 0
    }

    /// What is said of one that has grown too large.
    static func reason(_ bytes: Int, of id: VersionID, in folder: DataFolder) -> String {
        "its write-ahead log has grown to \(bytes >> 20) MB: somebody reads an old state of it, and "
            + "what was committed since cannot be moved into the file. End transactions and slow "
            + "readers (tail, changes(of:), sqlite3) of \(folder.file(id))"
    }
}
