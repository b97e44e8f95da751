import Glibc

/// A write-ahead log that grows because a reader holds an old snapshot of a version's file: later commits
/// cannot be moved into the file.
package enum PinnedLog {
    /// Well past the size that it reaches without slow readers: 4 MB, or for a moment one large commit.
    package static let usualBytes = 16 << 20

    /// How long the commits of a version wait for each other while a reader pins its log. Readers then see rows that
    /// are as old as that; the log grows by one commit in that time.
    static func pauseMilliseconds(_ pinnedBytes: Int) -> Int {
        switch pinnedBytes >> 20 {
        case ..<8: 0
        case ..<16: 1_000
        case ..<32: 10_000
        default: 60_000
        }
    }

    /// The size of the log now.
    static func bytes(of id: VersionID, in folder: DataFolder) -> Int {
        var status = stat()
        return stat(folder.file(id) + "-wal", &status) == 0 ? Int(status.st_size) : 0
    }

    /// The status of a version whose log has grown too large.
    static func reason(_ bytes: Int, of id: VersionID, in folder: DataFolder) -> String {
        "its write-ahead log has grown to \(bytes >> 20) MB: a reader holds an old snapshot, so later "
            + "commits cannot be moved into the file, and come less often. End transactions and slow "
            + "readers (tail, changes(of:), sqlite3) of \(folder.file(id))"
    }
}
