import Glibc

/// Reads the file of one version, without the code of its view; queries and comparisons use it.
///
/// All reads inside one ``snapshot(_:)`` are of one moment, whatever a materializer commits meanwhile.
package final class VersionReader {
    package let connection: SQLiteConnection
    /// Keeps writers out where the file is read without a -shm file.
    private let lock: OpenFileLock?
    package let view: String
    package let number: Int
    package let digest: String
    /// The format of the file, one of those that this build reads.
    let format: Int
    /// The tables that readers see. They come before those that readers do not see.
    package let tables: [TableSchema]
    /// All tables.
    let allTables: [TableSchema]
    private var dataVersion: SQLiteStatement?

    private static func missing(_ path: String) -> KappaError {
        KappaError(
            .notFound, "the file of a version is not there", at: path,
            because: "nothing was committed to it yet, or it was removed",
            advice: "`kappa run` builds what is missing; `kappa status` lists the versions")
    }

    /// Opens a version's file for reading.
    package init(_ path: String) throws(KappaError) {
        guard try IOFailure.isThere(path) else { throw Self.missing(path) }
        guard !Folder.isFolder(path) else {
            throw Self.damage(at: path, because: "it is a folder")
        }
        let lease = path.hasSuffix(".db") ? path.dropLast(2) + "lease" : nil
        do throws(KappaError) {
            (connection, lock) = try ReadingConnection.open(path, lease: lease.map(String.init))
        } catch {
            // It may have been dropped meanwhile.
            throw try IOFailure.isThere(path) ? error : Self.missing(path)
        }
        try connection.execute("PRAGMA cache_size = -16384; PRAGMA temp_store = FILE")
        // An empty file is a database without tables.
        let hasIdentity = try connection.integer(
            "SELECT count(*) FROM sqlite_schema WHERE name = '_kappa_version'")
        guard hasIdentity == 1 else {
            throw Self.damage(at: path, because: "it is empty, or no file of a version")
        }
        let statement = try connection.prepare(
            "SELECT view, number, digest, format FROM _kappa_version")
        guard try statement.step() else {
            throw Self.damage(at: path, because: "it does not say which version it is of")
        }
        view = statement.string(0)
        number = Int(statement.integer(1))
        digest = statement.string(2)
        format = Int(statement.integer(3))
        statement.reset()
        guard (1...VersionSchema.format).contains(format) else {
            throw KappaError(
                .usage, "the file of \(view)@\(number) cannot be read", at: path,
                because: "it has format \(format), and this kappa reads formats 1 to "
                    + "\(VersionSchema.format)",
                advice: "A newer kappa made it: use that one, or make a new version with "
                    + "`kappa rebuild \(view)`")
        }
        allTables = try Self.tables(connection)
        tables = allTables.filter { !$0.isInternal }
    }

    private static func damage(at path: String, because reason: String) -> KappaError {
        KappaError(
            .damaged, "the file of a version is damaged", at: path, because: reason,
            advice: "`kappa rebuild VIEW` makes a new version from the log")
    }

    /// - Throws: `.damaged` where the file belongs to another version.
    func require(_ id: VersionID) throws(KappaError) {
        if view == id.view, number == id.number.rawValue { return }
        throw KappaError(
            .damaged, "the file of \(id) belongs to another version", at: connection.path,
            because: "it says that it is \(view)@\(number)",
            advice: "Put the right file back, or make a new version with `kappa rebuild \(id.view)`"
        )
    }

    /// The version that a file says it belongs to, whatever is beside it; nil where it says none.
    static func owner(ofFile path: String) -> VersionID? {
        guard
            let connection = try? SQLiteConnection(
                path, .readOnly, parameters: "mode=ro&immutable=1"),
            let statement = try? connection.prepare("SELECT view, number FROM _kappa_version"),
            (try? statement.step()) == true
        else { return nil }
        return VersionID(statement.string(0), VersionNumber(Int(statement.integer(1))))
    }

    /// Throws where this build cannot continue what an earlier one has begun.
    func requirePresentFormat() throws(KappaError) {
        guard format < VersionSchema.oldestContinued else { return }
        throw KappaError(
            .usage, "\(view)@\(number) cannot be continued", at: connection.path,
            because: "an earlier kappa made it, in format \(format); this one writes format "
                + "\(VersionSchema.format)",
            advice: "Its rows can be read. `kappa rebuild \(view)` makes a new version")
    }

    /// Runs `body` on a snapshot of the version: the one that is held, or else the current state.
    package func snapshot<R>(_ body: () throws -> R) throws -> R {
        if connection.isInTransaction { return try body() }
        try hold()
        defer { release() }
        return try body()
    }

    /// From now on all reads see the version as of this moment, until ``release()``.
    func hold() throws(KappaError) {
        try connection.execute("BEGIN")
        // A read transaction begins with its first read.
        _ = try connection.integer("SELECT count(*) FROM _kappa_checkpoint")
    }

    func release() { try? connection.execute("ROLLBACK") }

    /// Whether its connection must not be kept open; see ``SQLiteConnection/isMakeshift``.
    var isMakeshift: Bool { connection.isMakeshift }

    /// What is wrong with the file's structure; nil if it is sound.
    func structureComplaint() throws(KappaError) -> String? {
        try connection.integrityComplaint()
    }

    /// Copies the version's file as this reader sees it; where it holds a snapshot, as of that moment.
    func copy(to path: String) throws(KappaError) { try connection.copy(to: path) }

    package func checkpoint() throws(KappaError) -> Checkpoint {
        try Self.checkpoint(connection) ?? Checkpoint()
    }

    /// The index of the table with a name; for nil, that of the view's first table.
    package func table(_ name: String?) throws(KappaError) -> Int {
        guard let name else { return 0 }
        guard let index = tables.firstIndex(where: { $0.name == name }) else {
            throw KappaError(
                .notFound, "view \(view) has no table \(name)", at: connection.path,
                because: "its tables are " + tables.map(\.name).joined(separator: ", "),
                advice: "Name one of them with --table")
        }
        return index
    }

    package func rowCount(table: Int) throws(KappaError) -> Int {
        let name = VersionSchema.quoted(tables[table].name)
        return Int(try connection.integer("SELECT count(*) FROM \(name)") ?? 0)
    }

    /// The rows of any table, and the bytes of its pages; no bytes where SQLite was built without
    /// `dbstat`.
    func pages(of table: TableSchema) throws(KappaError) -> (rows: Int, bytes: Int?) {
        let select = try? connection.prepare(
            "SELECT sum(ncell), sum(pgsize) FROM dbstat WHERE name = ? AND aggregate = 1")
        if let select {
            select.bind(0, table.name)
            // Each row is one cell of the table's tree, in a leaf or above.
            if try select.step() { return (Int(select.integer(0)), Int(select.integer(1))) }
        }
        let name = VersionSchema.quoted(table.name)
        return (Int(try connection.integer("SELECT count(*) FROM \(name)") ?? 0), nil)
    }

    /// Visits the rows of a table in key order.
    package func forEachRow(table: Int, _ visit: (any RowCursor) throws -> Void) throws {
        let select = try connection.prepare(
            VersionSchema.select(tables[table], keyParts: 0))
        while try select.step() { try visit(select) }
    }

    /// Visits the row under a key, if it is there.
    package func forRow(
        table: Int, key: [Value], _ visit: (any RowCursor) throws -> Void
    ) throws {
        let schema = tables[table]
        let select = try connection.prepare(
            VersionSchema.select(schema, keyParts: schema.keyColumns.count))
        var sink = StoreSink(select)
        try key.withTexts {
            sink.append($0)
        } then: {
            if try select.step() { try visit(select) }
        }
    }

    /// The offset up to which the index of a table holds events; nil where the version has no such index.
    func keyIndexEnd(ofTable table: Int) throws(KappaError) -> Offset? {
        let name = TableSchema.keyIndexName(table)
        guard allTables.contains(where: { $0.name == name }) else { return nil }
        let select = try connection.prepare(
            "SELECT _kappa_state FROM \(VersionSchema.quoted(name)) WHERE key_hash = ?")
        select.bind(0, KeyIndexFormat.markHash)
        return try select.step() ? KeyIndexFormat.end(ofMark: select.blob(0)) : nil
    }

    /// The chunks of one hash in the index of a table, in log order.
    /// - Parameter keepsTimes: Whether the index has stream times.
    func keyIndexChunks(
        ofTable table: Int, hash: UInt32, keepsTimes: Bool
    ) throws(KappaError) -> KeyIndexChunks {
        let name = VersionSchema.quoted(TableSchema.keyIndexName(table))
        let select = try connection.prepare(
            "SELECT first_offset, _kappa_state FROM \(name) WHERE key_hash = ? ORDER BY first_offset"
        )
        select.bind(0, Int64(hash))
        return KeyIndexChunks(
            select, recent: try recentEntries(ofTable: name, hash, keepsTimes),
            keepsTimes: keepsTimes)
    }

    /// The recent events of one hash, which are not in chunks yet, in log order.
    private func recentEntries(
        ofTable name: String, _ hash: UInt32, _ keepsTimes: Bool
    ) throws(KappaError) -> [KeyIndexFormat.Entry] {
        let select = try connection.prepare(
            "SELECT first_offset, _kappa_state FROM \(name) WHERE key_hash = ? ORDER BY first_offset"
        )
        select.bind(0, KeyIndexFormat.recentHash)
        var entries: [KeyIndexFormat.Entry] = []
        while try select.step() {
            for event in try KeyIndexFormat.recent(
                from: UInt64(bitPattern: select.integer(0)), select.blob(1))
            where event.hash == hash {
                let time = keepsTimes ? event.entry.streamTime : .min
                entries.append(.init(offset: event.entry.offset, streamTime: time))
            }
        }
        // An event counts once, as in a chunk.
        return entries.sorted { $0.offset < $1.offset }.reduce(into: []) { kept, entry in
            if kept.last?.offset != entry.offset { kept.append(entry) }
        }
    }

    package func deadLetters(
        limit: Int? = nil, _ visit: (DeadLetter) throws -> Void
    ) throws {
        let letters = try DeadLetterCursor(connection, limit: limit)
        while let letter = try letters.next() { try visit(letter) }
    }

    /// The dead letters, in the order of their offsets.
    func deadLetters() throws(KappaError) -> DeadLetterCursor { try DeadLetterCursor(connection) }

    /// A number that changes whenever another connection has changed the file.
    func changeCounter() throws(KappaError) -> Int64 {
        if dataVersion == nil { dataVersion = try connection.prepare("PRAGMA data_version") }
        guard let statement = dataVersion else { return 0 }
        defer { statement.reset() }
        return try statement.step() ? statement.integer(0) : 0
    }

    // MARK: Shared with the store

    static func tables(_ connection: SQLiteConnection) throws(KappaError) -> [TableSchema] {
        let select = try connection.prepare(
            """
            SELECT table_name, name, kind, is_key, has_state, is_internal FROM _kappa_columns
            ORDER BY table_index, position
            """)
        var tables: [TableSchema] = []
        while try select.step() {
            let table = select.string(0)
            guard let kind = ColumnKind(rawValue: select.string(2)) else {
                throw KappaError(
                    .damaged, "a column has the unknown kind \(select.string(2))",
                    at: connection.path,
                    advice: "A newer kappa may have made this version: use that one")
            }
            if tables.last?.name != table {
                tables.append(
                    TableSchema(name: table, columns: [], hasState: select.integer(4) != 0))
                tables[tables.count - 1].isInternal = select.integer(5) != 0
            }
            tables[tables.count - 1].columns.append(
                ColumnSchema(select.string(1), kind, isKey: select.integer(3) != 0))
        }
        return tables
    }

    static func checkpoint(_ connection: SQLiteConnection) throws(KappaError) -> Checkpoint? {
        let select = try connection.prepare(
            """
            SELECT offset, digest_bytes, digest_crc, applied, filtered, late, dead, stream_times
            FROM _kappa_checkpoint
            """)
        guard try select.step() else { return nil }
        var checkpoint = Checkpoint()
        checkpoint.offset = Offset(UInt64(bitPattern: select.integer(0)))
        checkpoint.digest = LogDigest(
            bytes: UInt64(bitPattern: select.integer(1)),
            crc: UInt32(truncatingIfNeeded: select.integer(2)))
        checkpoint.counters.applied = UInt64(bitPattern: select.integer(3))
        checkpoint.counters.filtered = UInt64(bitPattern: select.integer(4))
        checkpoint.counters.late = UInt64(bitPattern: select.integer(5))
        checkpoint.counters.dead = UInt64(bitPattern: select.integer(6))
        checkpoint.streamTimes = try StreamTimes(select.string(7))
        return checkpoint
    }
}

extension TableSchema {
    /// The cells of a row, without the hidden state.
    package func values(_ cursor: any RowCursor) -> [Value] {
        columns.indices.map { value(cursor, $0) }
    }

    /// One cell of a row, by its column's kind.
    package func value(_ cursor: any RowCursor, _ index: Int) -> Value {
        columns[index].kind.value(cursor, index)
    }
}
