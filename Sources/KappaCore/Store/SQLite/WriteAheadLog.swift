import CSQLite

/// The write-ahead log of a version's file, kept short: once it has a few megabytes it is moved into the file and
/// cut to nothing.
///
/// A reader that holds an old snapshot pins it: what was committed since stays in the log until the reader ends.
final class WriteAheadLog {
    private let connection: SQLiteConnection
    /// The pages in the log after the last commit; SQLite writes it.
    private let pages = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
    private var triedAt = 0
    /// A page with its header in the log.
    private let pageBytes: Int
    /// The size of the log if a reader pins it; otherwise 0.
    private(set) var pinnedBytes = 0

    /// From this size on it is moved into the file.
    private static let longBytes = 4 << 20
    /// A pinned log is tried again when it has grown by this much.
    private static let moreBytes = 1 << 20
    private static let headerBytes = 24

    init(_ connection: SQLiteConnection) throws(KappaError) {
        self.connection = connection
        let size = try connection.integer("PRAGMA page_size") ?? 0
        pageBytes = Int(size) + Self.headerBytes
        pages.initialize(to: 0)
        // It replaces SQLite's own rule, which never cuts the log.
        sqlite3_wal_hook(
            connection.handle,
            { pages, _, _, count in
                pages?.assumingMemoryBound(to: Int32.self).pointee = count
                return SQLITE_OK
            }, pages)
    }

    deinit {
        sqlite3_wal_hook(connection.handle, nil, nil)
        pages.deallocate()
    }

    private var bytes: Int { Int(pages.pointee) * pageBytes }

    /// Moves a long log into the file; called after a commit.
    func shorten() {
        let bytes = bytes
        if bytes < triedAt { triedAt = 0 }
        guard bytes >= max(Self.longBytes, triedAt + Self.moreBytes) else { return }
        retry()
    }

    /// Moves the log into the file if the readers that pinned it are gone. It waits for nobody. A failure does no
    /// harm: the commits are in the log, and it is tried again.
    func retry() {
        sqlite3_busy_timeout(connection.handle, 0)
        defer { sqlite3_busy_timeout(connection.handle, SQLiteConnection.busyMilliseconds) }
        let code = sqlite3_wal_checkpoint_v2(
            connection.handle, "main", SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
        if code == SQLITE_OK { pages.pointee = 0 }
        triedAt = bytes
        pinnedBytes = bytes
    }
}
