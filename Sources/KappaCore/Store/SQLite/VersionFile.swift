import Glibc

/// The file of one version after its first commit: its rows, its checkpoint, its dead letters.
///
/// Rows and checkpoint are committed in one transaction of SQLite (WAL, `synchronous=NORMAL`: after a power
/// cut the last commits may be missing, each as a whole, and are replayed from the log).
final class VersionFile {
    private let connection: SQLiteConnection
    private let tables: [TableSchema]
    private let upserts: [SQLiteStatement]
    private let deletes: [SQLiteStatement]
    private let selects: [[SQLiteStatement]]
    private let records: VersionRecords
    let log: WriteAheadLog
    private let path: String
    private let identity: FileIdentity?
    private var nameTimer = IntervalTimer(milliseconds: 100)

    init(_ path: String, _ tables: [TableSchema]) throws(KappaError) {
        let connection = try SQLiteConnection(path, .readWrite)
        self.connection = connection
        self.tables = tables
        try connection.useWAL()
        connection.keepWAL()
        try connection.execute(
            """
            PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;
            PRAGMA cache_size = -65536
            """)
        log = try WriteAheadLog(connection)
        try Self.upgrade(connection)
        // Files of earlier builds lack these views.
        try ReadableViews.add(to: connection, of: tables)
        var upserts: [SQLiteStatement] = []
        var deletes: [SQLiteStatement] = []
        var selects: [[SQLiteStatement]] = []
        for table in tables {
            upserts.append(try connection.prepare(VersionSchema.upsert(table)))
            deletes.append(try connection.prepare(VersionSchema.delete(table)))
            var byParts: [SQLiteStatement] = []
            for parts in 0...table.keyColumns.count {
                byParts.append(
                    try connection.prepare(VersionSchema.select(table, keyParts: parts)))
            }
            selects.append(byParts)
        }
        self.upserts = upserts
        self.deletes = deletes
        self.selects = selects
        records = try VersionRecords(connection)
        self.path = path
        identity = FileIdentity(of: path)
    }

    /// Gives a file of the format before the present one.
    private static func upgrade(_ connection: SQLiteConnection) throws(KappaError) {
        func isOld() throws(KappaError) -> Bool {
            try connection.integer("SELECT format FROM _kappa_version") == 2
        }
        guard try isOld() else { return }
        do {
            try connection.transaction {
                guard try isOld() else { return }
                try FeedRecords.restart(connection)
                try connection.execute(
                    "UPDATE _kappa_version SET format = \(VersionSchema.format)")
            }
        } catch { throw error as? KappaError ?? KappaError(.bug, "\(error)", at: connection.path) }
    }

    var feedPolicy: FeedPolicy {
        get { records.feed.policy }
        set { records.feed.policy = newValue }
    }

    /// When it closes, SQLite moves the write-ahead log into the file; the log's own file stays, empty.
    deinit { try? connection.execute("PRAGMA journal_size_limit = 0") }

    /// Lets SQLite undo or finish what a killed process had begun, and removes the journal. No process may
    /// be using the journal.
    static func settle(_ path: String) throws(KappaError) {
        let journal = path + "-journal"
        guard access(journal, F_OK) == 0 else { return }
        let connection = try SQLiteConnection(path, .readWrite)
        try connection.useWAL()
        _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
        // SQLite ignores an empty journal.
        var status = stat()
        if stat(journal, &status) == 0, status.st_size == 0 { unlink(journal) }
    }

    /// Whether some connection has the file open, of this process or another one.
    static func isInUse(_ path: String) -> Bool {
        guard access(path, F_OK) == 0,
            let connection = try? SQLiteConnection(path, .readWrite, busyMilliseconds: 0)
        else { return false }
        connection.leaveWAL()
        do throws(KappaError) {
            // Each open connection shares a lock on the file, which this excludes.
            try connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
            return false
        } catch { return error.code == .heldElsewhere }
    }

    /// Moves the write-ahead log of a copy into the copy, so that it can be read without other files beside
    /// it.
    static func makeWhole(_ path: String) throws(KappaError) -> Checkpoint? {
        let connection = try SQLiteConnection(path, .readWrite)
        try connection.execute("PRAGMA journal_mode = DELETE")
        return try VersionReader.checkpoint(connection)
    }

    func checkpoint() throws(KappaError) -> Checkpoint? {
        try VersionReader.checkpoint(connection)
    }

    func rowCount(table: Int) throws(KappaError) -> Int {
        let name = VersionSchema.quoted(tables[table].name)
        return Int(try connection.integer("SELECT count(*) FROM \(name)") ?? 0)
    }

    func lookUp(
        table: Int, bindKey: (any RowWriter) -> Void, read: (any RowCursor) throws -> Void
    ) throws -> Bool {
        guard let select = selects[table].last else { return false }
        defer { select.reset() }
        bindKey(select)
        guard try select.step() else { return false }
        try read(select)
        return true
    }

    func scan(
        table: Int, prefix parts: Int, bindKey: (any RowWriter) -> Void,
        _ visit: (any RowCursor) throws -> Void
    ) throws {
        let select = selects[table][parts]
        defer { select.reset() }
        bindKey(select)
        while try select.step() { try visit(select) }
    }

    /// Uses an index, which is created when it is first needed.
    func rowsEnded(table: Int, by end: Int64) throws(KappaError) -> [[Value]] {
        let schema = tables[table]
        let name = VersionSchema.quoted(schema.name)
        let index = VersionSchema.quoted("_kappa_ends_\(schema.name)")
        try connection.execute("CREATE INDEX IF NOT EXISTS \(index) ON \(name) (window_end)")
        let select = try connection.prepare(
            "SELECT * FROM \(name) WHERE window_end <= ? ORDER BY \(VersionSchema.keyList(schema))")
        select.bind(0, end)
        var rows: [[Value]] = []
        while try select.step() { rows.append(schema.values(select)) }
        return rows
    }

    /// Checks that nobody has removed, moved or replaced the file.
    func requireItsName() throws(KappaError) {
        guard let loss = identity?.loss(of: path) else { return }
        throw KappaError(
            .damaged, "a version's file is gone", at: path, because: loss,
            advice:
                "Put it back, or start `kappa run` again, which builds a new version from the log")
    }

    /// Commits rows and checkpoint. Ten times a second it checks the file's name first.
    func commit(
        _ checkpoint: Checkpoint, write: (any StoreTransaction) throws -> Void
    ) throws {
        if nameTimer.isDue() { try requireItsName() }
        do {
            try connection.transaction {
                let transaction = Transaction(self)
                try write(transaction)
                if transaction.addedChanges { try records.feed.finish() }
                try records.save(checkpoint)
            }
        } catch {
            records.feed.wasUndone()
            throw error
        }
        log.shorten()
    }

    /// Ends a rebuild: collects statistics for the query planner, and moves the write-ahead log into the
    /// file.
    func finish() throws(KappaError) {
        try connection.execute("PRAGMA analysis_limit = 1000; ANALYZE")
        try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    private final class Transaction: StoreTransaction {
        private let file: VersionFile
        private(set) var addedChanges = false

        init(_ file: VersionFile) { self.file = file }

        func upsert(into table: Int) -> any RowWriter { file.upserts[table] }
        func delete(from table: Int) -> any RowWriter { file.deletes[table] }

        func add(_ deadLetter: DeadLetter) throws(KappaError) {
            try file.records.add(deadLetter)
        }
        func add(_ change: ChangeRecord) throws(KappaError) {
            addedChanges = true
            try file.records.feed.add(change)
        }
    }
}
