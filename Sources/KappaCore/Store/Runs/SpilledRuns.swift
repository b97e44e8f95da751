import Glibc

/// Where a rebuild puts rows that do not fit its memory, until its first commit: runs, each in the
/// order of its keys.
///
/// A row of a run holds what happened to its key since the run before; the rows of one key become one
/// when the version's file is made. A run is durable before the checkpoint that goes with it, so that a
/// rebuild that was killed goes on behind its last run.
final class SpilledRuns: SpilledRows {
    private let folder: String
    /// The tables that every run has: without an index that was asked for later.
    private(set) var tables: [TableSchema]
    private let connection: SQLiteConnection
    private let records: VersionRecords
    private(set) var count: Int

    static func path(_ version: String) -> String { version + ".runs" }
    private static func database(_ version: String) -> String { path(version) + "/records.db" }

    /// Whether there are runs of the version with this file.
    static func exist(_ version: String) -> Bool { access(database(version), F_OK) == 0 }

    /// How far the runs reach of a version that has no file yet.
    static func checkpoint(_ version: String) throws(KappaError) -> Checkpoint? {
        guard exist(version) else { return nil }
        return try VersionReader.checkpoint(SQLiteConnection(database(version), .readWrite))
    }

    /// Opens the runs of a version, none at first.
    init(_ version: String, _ tables: [TableSchema]) throws {
        folder = Self.path(version)
        self.tables = tables
        try DataFolder.make(folder)
        let connection = try SQLiteConnection(Self.database(version), .create)
        self.connection = connection
        try connection.useWAL()
        if try connection.integer("SELECT count(*) FROM sqlite_schema") == 0 {
            try connection.transaction {
                try connection.execute(VersionSchema.own)
                try connection.execute("CREATE TABLE runs (number INTEGER PRIMARY KEY) STRICT")
            }
        }
        records = try VersionRecords(connection)
        count = Int(try connection.integer("SELECT count(*) FROM runs") ?? 0)
        while self.tables.last?.isKeyIndex == true,
            (0..<count).contains(where: { access(file($0, self.tables.count - 1), F_OK) != 0 })
        {
            self.tables.removeLast()
        }
    }

    static func remove(_ version: String) { DataFolder.remove(path(version)) }

    func checkpoint() throws(KappaError) -> Checkpoint? {
        try VersionReader.checkpoint(connection)
    }

    private func file(_ run: Int, _ table: Int) -> String { "\(folder)/\(run)-\(table).run" }

    /// Adds a run: what `write` upserts, table by table in the order of the keys.
    func add(
        _ checkpoint: Checkpoint, write: (any StoreTransaction) throws -> Void
    ) throws {
        let number = count
        let writers = try tables.indices.map { try RunWriter(file(number, $0)) }
        let transaction = BulkTransaction(zip(tables, writers).map { BulkRow($0, $1) })
        try write(transaction)
        for writer in writers { try writer.finish() }
        do { try SystemFiles().syncFolder(folder) } catch {
            throw error.error("cannot make rows durable that do not fit memory", at: folder)
        }
        try connection.transaction {
            for letter in transaction.deadLetters { try records.add(letter) }
            try connection.execute("INSERT INTO runs VALUES (\(number))")
            try records.save(checkpoint)
        }
        count += 1
    }

    func merge(
        table: Int, to writer: any RowWriter,
        combine: (ArraySlice<any RowCursor>) throws -> Void
    ) throws {
        guard let writer = writer as? BulkRow else {
            throw KappaError(.bug, "rows that were put aside go into a new version only")
        }
        var cursors: [RunCursor] = []
        for run in 0..<count {
            let cursor = try RunCursor(file(run, table), tables[table])
            if try cursor.next() { cursors.append(cursor) }
        }
        var least: [Int] = []
        while !cursors.isEmpty {
            // All runs that stand at the least key, the earliest first.
            least.removeAll(keepingCapacity: true)
            least.append(0)
            for index in cursors.indices.dropFirst() {
                let order = cursors[index].compareKey(cursors[least[0]])
                if order < 0 {
                    least.removeAll(keepingCapacity: true)
                    least.append(index)
                } else if order == 0 {
                    least.append(index)
                }
            }
            if least.count == 1 {
                try writer.copy(cursors[least[0]])
            } else {
                try combine(least.map { cursors[$0] }[...])
            }
            for index in least.reversed() where try !cursors[index].next() {
                cursors.remove(at: index)
            }
        }
    }

    func forEachDeadLetter(_ visit: (DeadLetter) throws -> Void) throws {
        let select = try connection.prepare(
            "SELECT offset, reason, event FROM _kappa_dead ORDER BY offset")
        while try select.step() {
            try visit(
                DeadLetter(
                    offset: Offset(UInt64(bitPattern: select.integer(0))),
                    reason: select.string(1), event: select.string(2)))
        }
    }
}
