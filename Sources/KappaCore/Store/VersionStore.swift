/// The file of one version: its rows, its checkpoint, its dead letters.
///
/// Rows and checkpoint are committed in one transaction of SQLite (WAL, `synchronous=NORMAL`: after a
/// power cut the last commits may be gone, whole, and the log gives them again).
package final class VersionStore: RowStore {
    package let connection: SQLiteConnection
    package let tables: [TableSchema]
    private let upserts: [SQLiteStatement]
    private let deletes: [SQLiteStatement]
    private let selects: [[SQLiteStatement]]
    private let saveCheckpoint: SQLiteStatement
    private let addDead: SQLiteStatement
    private let addChange: SQLiteStatement
    private let trimChanges: SQLiteStatement
    private var rowCounts: [Int]

    /// How many changes are kept for followers.
    private static let keptChanges = 200_000

    /// Makes the file of a new version.
    package convenience init(
        creating path: String, view: String, number: Int, digest: String, tables: [TableSchema]
    ) throws {
        let connection = try SQLiteConnection(path, .create)
        try connection.execute("PRAGMA page_size = 8192")
        try connection.useWAL()
        try connection.transaction {
            try connection.execute(VersionSchema.own)
            for table in tables { try connection.execute(VersionSchema.create(table)) }
            let version = try connection.prepare(
                "INSERT INTO _kappa_version VALUES (?, ?, ?, ?)")
            version.bind(0, view)
            version.bind(1, Int64(number))
            version.bind(2, digest)
            version.bind(3, Int64(VersionSchema.format))
            try version.execute()
            try Self.describe(tables, connection)
        }
        try self.init(connection, tables)
    }

    private static func describe(
        _ tables: [TableSchema], _ connection: SQLiteConnection
    ) throws(KappaError) {
        let insert = try connection.prepare(
            "INSERT INTO _kappa_columns VALUES (?, ?, ?, ?, ?, ?, ?)")
        for (index, table) in tables.enumerated() {
            for (position, column) in table.columns.enumerated() {
                insert.bind(0, Int64(index))
                insert.bind(1, table.name)
                insert.bind(2, Int64(position))
                insert.bind(3, column.name)
                insert.bind(4, column.kind.rawValue)
                insert.bind(5, Int64(column.isKey ? 1 : 0))
                insert.bind(6, Int64(table.hasState ? 1 : 0))
                try insert.execute()
            }
        }
    }

    /// Opens the file of a version that was made before.
    package convenience init(opening path: String) throws(KappaError) {
        let connection = try SQLiteConnection(path, .readWrite)
        let tables = try VersionReader.tables(connection)
        try self.init(connection, tables)
    }

    private init(_ connection: SQLiteConnection, _ tables: [TableSchema]) throws(KappaError) {
        self.connection = connection
        self.tables = tables
        try connection.useWAL()
        try connection.execute(
            """
            PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;
            PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000
            """)
        var upserts: [SQLiteStatement] = []
        var deletes: [SQLiteStatement] = []
        var selects: [[SQLiteStatement]] = []
        var counts: [Int] = []
        for table in tables {
            upserts.append(try connection.prepare(VersionSchema.upsert(table)))
            deletes.append(try connection.prepare(VersionSchema.delete(table)))
            var byParts: [SQLiteStatement] = []
            for parts in 0...table.keyColumns.count {
                byParts.append(
                    try connection.prepare(VersionSchema.select(table, keyParts: parts)))
            }
            selects.append(byParts)
            let count = "SELECT count(*) FROM \(VersionSchema.quoted(table.name))"
            counts.append(Int(try connection.integer(count) ?? 0))
        }
        self.upserts = upserts
        self.deletes = deletes
        self.selects = selects
        rowCounts = counts
        saveCheckpoint = try connection.prepare(
            "INSERT OR REPLACE INTO _kappa_checkpoint VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)")
        addDead = try connection.prepare("INSERT OR REPLACE INTO _kappa_dead VALUES (?, ?, ?)")
        addChange = try connection.prepare(
            """
            INSERT INTO _kappa_changes (offset, table_index, key, before, after)
            VALUES (?, ?, ?, ?, ?)
            """)
        trimChanges = try connection.prepare(
            """
            DELETE FROM _kappa_changes
            WHERE seq <= (SELECT max(seq) FROM _kappa_changes) - \(Self.keptChanges)
            """)
    }

    package func lastCheckpoint() throws(KappaError) -> Checkpoint? {
        try VersionReader.checkpoint(connection)
    }

    package func rowCount(table: Int) throws(KappaError) -> Int { rowCounts[table] }

    package func lookUp(
        table: Int, bindKey: (any RowWriter) -> Void, read: (any RowCursor) throws -> Void
    ) throws -> Bool {
        guard let select = selects[table].last else { return false }
        defer { select.reset() }
        bindKey(select)
        guard try select.step() else { return false }
        try read(select)
        return true
    }

    package func scan(
        table: Int, prefix parts: Int, bindKey: (any RowWriter) -> Void,
        _ visit: (any RowCursor) throws -> Void
    ) throws {
        let select = selects[table][parts]
        defer { select.reset() }
        bindKey(select)
        while try select.step() { try visit(select) }
    }

    package func scan(table: Int, _ visit: (any RowCursor) throws -> Void) throws {
        try scan(table: table, prefix: 0, bindKey: { _ in }, visit)
    }

    package func commit(
        _ checkpoint: Checkpoint, write: (any StoreTransaction) throws -> Void
    ) throws {
        try connection.transaction {
            let transaction = Transaction(self)
            try write(transaction)
            if transaction.addedChanges { try trimChanges.execute() }
            try save(checkpoint)
        }
    }

    private func save(_ checkpoint: Checkpoint) throws(KappaError) {
        saveCheckpoint.bind(0, Int64(bitPattern: checkpoint.offset.rawValue))
        saveCheckpoint.bind(1, Int64(bitPattern: checkpoint.digest.bytes))
        saveCheckpoint.bind(2, Int64(checkpoint.digest.crc))
        saveCheckpoint.bind(3, Int64(bitPattern: checkpoint.counters.applied))
        saveCheckpoint.bind(4, Int64(bitPattern: checkpoint.counters.filtered))
        saveCheckpoint.bind(5, Int64(bitPattern: checkpoint.counters.late))
        saveCheckpoint.bind(6, Int64(bitPattern: checkpoint.counters.dead))
        saveCheckpoint.bind(
            7, checkpoint.streamTimes.map(String.init).joined(separator: ","))
        try saveCheckpoint.execute()
    }

    /// Ends a rebuild: statistics for the query planner, and the write-ahead log into the file.
    package func finish() throws(KappaError) {
        try connection.execute("PRAGMA analysis_limit = 1000; ANALYZE")
        try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    private final class Transaction: StoreTransaction {
        private let store: VersionStore
        private(set) var addedChanges = false

        init(_ store: VersionStore) { self.store = store }

        func upsert(into table: Int) -> any RowWriter { store.upserts[table] }
        func delete(from table: Int) -> any RowWriter { store.deletes[table] }

        func add(_ deadLetter: DeadLetter) throws(KappaError) {
            store.addDead.bind(0, Int64(bitPattern: deadLetter.offset.rawValue))
            store.addDead.bind(1, deadLetter.reason)
            store.addDead.bind(2, deadLetter.event)
            try store.addDead.execute()
        }

        func add(_ change: ChangeRecord) throws(KappaError) {
            addedChanges = true
            store.addChange.bind(0, Int64(bitPattern: change.offset.rawValue))
            store.addChange.bind(1, Int64(change.table))
            store.addChange.bind(2, change.key)
            store.addChange.bind(3, change.before)
            store.addChange.bind(4, change.after)
            try store.addChange.execute()
        }
    }
}
