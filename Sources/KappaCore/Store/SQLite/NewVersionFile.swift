import Glibc

/// Which version a file holds.
struct VersionIdentity {
    var view: String
    var number: Int
    var digest: String
}

/// A version's file until its first commit.
///
/// SQLite creates the tables. Their rows come in the order of their keys, and a ``BulkTable`` writes them
/// as pages, which costs less than SQLite's inserts. The file is made under another name and gets its own
/// when it is complete and durable: whoever sees it sees all of the first commit.
final class NewVersionFile {
    /// The progress of an unfinished file, so that appending can continue there.
    struct Progress {
        /// Bytes that ``SpilledRuns`` keeps with its checkpoint.
        let bytes: [UInt8]
    }

    private let path: String
    private let identity: VersionIdentity
    private let tables: [TableSchema]
    private let file: BulkFile
    private let bulk: [BulkTable]
    /// Takes the rows of each table.
    private let rows: [BulkRow]

    /// Begins the file of a version.
    init(_ path: String, _ identity: VersionIdentity, _ tables: [TableSchema]) throws {
        self.path = path
        self.identity = identity
        self.tables = tables
        Self.removeLeftovers(path)
        let roots = try Self.createTables(path, identity, tables)
        let file = try BulkFile(Self.loadingPath(path))
        self.file = file
        bulk = roots.map { BulkTable(file, root: $0) }
        rows = zip(tables, bulk).map { BulkRow($0, $1) }
    }

    /// Resumes an unfinished file.
    /// - Throws: `.damaged` where the file does not match its progress, or is gone.
    init(
        _ path: String, _ identity: VersionIdentity, _ tables: [TableSchema],
        from progress: Progress
    ) throws(KappaError) {
        self.path = path
        self.identity = identity
        self.tables = tables
        let all = try Self.read(progress, tables)
        let file = try BulkFile(Self.loadingPath(path), pages: all.pages)
        self.file = file
        bulk = all.tables.map { BulkTable(file, $0.tree) }
        rows = zip(tables, bulk).map { BulkRow($0, $1) }
        for (row, table) in zip(rows, all.tables) { row.resume(after: table.lastKey) }
    }

    static func loadingPath(_ path: String) -> String { path + ".loading" }

    /// Whether a process has begun to make a file.
    static func hasLeftovers(_ path: String) -> Bool { access(loadingPath(path), F_OK) == 0 }

    /// Removes what a killed process left of a file that it was making.
    static func removeLeftovers(_ path: String) {
        for suffix in ["", "-journal", "-wal", "-shm"] { unlink(loadingPath(path) + suffix) }
    }

    /// Adds rows to a table.
    func append(_ records: RecordList, to table: Int) throws(KappaError) {
        try rows[table].append(records)
    }

    /// Makes what was added so far durable, and returns what is needed to resume from there.
    func pause() throws(KappaError) -> Progress {
        try file.makeDurable()
        var state = StateWriter()
        state.write(file.pageCount)
        for (row, table) in zip(rows, bulk) {
            table.save(to: &state)
            row.lastKey.save(to: &state)
        }
        return Progress(bytes: state.bytes)
    }

    private static func read(
        _ progress: Progress, _ tables: [TableSchema]
    ) throws(KappaError) -> (
        pages: UInt32,
        tables: [(
            tree: BulkTable.Progress,
            lastKey:
                PackedKey
        )]
    ) {
        var result: [(BulkTable.Progress, PackedKey)] = []
        var pages: UInt32 = 0
        try progress.bytes.reading { state throws(KappaError) in
            pages = try state.readWord()
            for table in tables {
                let tree = try BulkTable.Progress(from: &state)
                let key = PackedKey(table)
                try key.load(from: &state)
                result.append((tree, key))
            }
        }
        return (pages, result)
    }

    /// Writes all other rows, completes the file, makes it durable and puts it in its place.
    /// - Parameter deadLetters: Visits the dead letters that were recorded before; they may be too many for
    ///   memory.
    func complete(
        _ checkpoint: Checkpoint,
        deadLetters: ((DeadLetter) throws -> Void) throws -> Void,
        write: (any StoreTransaction) throws -> Void
    ) throws {
        let transaction = BulkTransaction(rows) { [rows] in try rows[$1].append($0) }
        try write(transaction)
        for table in bulk { try table.finish() }
        try file.finish()
        try addRecords(checkpoint, transaction, deadLetters)
        try putInPlace()
    }

    /// Creates the empty tables; returns their root pages.
    private static func createTables(
        _ path: String, _ identity: VersionIdentity, _ tables: [TableSchema]
    ) throws -> [UInt32] {
        let connection = try SQLiteConnection(loadingPath(path), .create)
        try connection.execute(
            "PRAGMA page_size = \(BulkPage.size); PRAGMA journal_mode = DELETE; "
                + "PRAGMA synchronous = OFF")
        return try connection.transaction {
            try connection.execute(VersionSchema.own)
            let version = try connection.prepare(
                "INSERT INTO _kappa_version VALUES (?, ?, ?, ?)")
            version.bind(0, identity.view)
            version.bind(1, Int64(identity.number))
            version.bind(2, identity.digest)
            version.bind(3, Int64(VersionSchema.format))
            try version.execute()
            try FeedRecords.begin(connection)
            try describe(tables, connection)
            for table in tables { try connection.execute(VersionSchema.create(table)) }
            try ReadableViews.add(to: connection, of: tables)
            return try tables.map { table in
                let select = try connection.prepare(
                    "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = ?")
                select.bind(0, table.name)
                return try select.step() ? UInt32(select.integer(0)) : 0
            }
        }
    }

    private static func describe(
        _ tables: [TableSchema], _ connection: SQLiteConnection
    ) throws(KappaError) {
        let insert = try connection.prepare(
            "INSERT INTO _kappa_columns VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        for (index, table) in tables.enumerated() {
            for (position, column) in table.columns.enumerated() {
                insert.bind(0, Int64(index))
                insert.bind(1, table.name)
                insert.bind(2, Int64(position))
                insert.bind(3, column.name)
                insert.bind(4, column.kind.rawValue)
                insert.bind(5, Int64(column.isKey ? 1 : 0))
                insert.bind(6, Int64(table.hasState ? 1 : 0))
                insert.bind(7, Int64(table.isInternal ? 1 : 0))
                try insert.execute()
            }
        }
    }

    /// Adds the dead letters, the changes and the checkpoint.
    private func addRecords(
        _ checkpoint: Checkpoint, _ transaction: BulkTransaction,
        _ deadLetters: ((DeadLetter) throws -> Void) throws -> Void
    ) throws {
        let connection = try SQLiteConnection(Self.loadingPath(path), .readWrite)
        try connection.execute("PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF")
        let records = try VersionRecords(connection)
        try connection.transaction {
            try deadLetters { try records.add($0) }
            for letter in transaction.deadLetters { try records.add(letter) }
            for change in transaction.changes { try records.feed.add(change) }
            try records.feed.finish()
            try records.save(checkpoint)
        }
    }

    private func putInPlace() throws(KappaError) {
        let files = SystemFiles()
        do throws(IOFailure) {
            let loading = Self.loadingPath(path)
            let file = OpenFile(try files.open(loading, O_RDWR), path: loading)
            try files.sync(file.descriptor)
            try files.rename(loading, to: path)
            let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
            try files.syncFolder(folder)
        } catch {
            throw error.error("cannot put a new version's file in place", at: path)
        }
    }
}

/// A transaction of a version that has no file yet: rows go to bulk tables or runs, the rest waits for
/// SQLite.
final class BulkTransaction: StoreTransaction {
    private let rows: [BulkRow]
    private let addRecords: (RecordList, _ table: Int) throws -> Void
    private(set) var deadLetters: [DeadLetter] = []
    private(set) var changes: [ChangeRecord] = []

    /// - Parameter records: Takes rows that are records already.
    init(_ rows: [BulkRow], records: @escaping (RecordList, _ table: Int) throws -> Void) {
        self.rows = rows
        addRecords = records
    }

    func upsert(into table: Int) -> any RowWriter { rows[table] }
    func upsertRows(
        into table: Int, count: Int, observer listener: (any RowListener)?,
        _ write: (Int, any RowWriter) throws -> Void
    ) throws {
        try rows[table].observing(with: listener) { try rows[table].append(count, write) }
    }
    func merge(
        _ spilled: any SpilledRows, into table: Int, sideBySide: Bool,
        observer listener: (any RowListener)?,
        combine: ([any RowCursor], any RowWriter) throws -> Void
    ) throws {
        try rows[table].observing(with: listener) {
            try spilled.merge(
                table: table, to: rows[table], sideBySide: sideBySide, combine: combine)
        }
    }
    func append(_ rows: RecordList, to table: Int) throws { try addRecords(rows, table) }
    func delete(from table: Int) -> any RowWriter { NothingToDelete() }
    func add(_ deadLetter: DeadLetter) { deadLetters.append(deadLetter) }
    func add(_ change: ChangeRecord) { changes.append(change) }
}

/// A new version has no rows: deleting one does nothing.
private final class NothingToDelete: RowWriter {
    func bindNull(_ index: Int) {}
    func bind(_ index: Int, _ value: Int64) {}
    func bind(_ index: Int, _ value: Double) {}
    func bind(_ index: Int, text: UnsafeRawBufferPointer) {}
    func bind(_ index: Int, _ text: String) {}
    func bind(_ index: Int, blob: UnsafeRawBufferPointer) {}
    func execute() {}
}
