import KappaCore

/// Publishes to a SQLite file: `sqlite:FILE`.
public struct SQLiteSinkConnector: SinkConnector {
    public let scheme = "sqlite"
    public let usage = "sqlite:FILE"

    /// The connector.
    public init() {}

    public func sink(_ url: String, of view: String) throws(KappaError) -> any ChangeSink {
        try SQLiteSink(try SinkPath.of(url, usage), view: view)
    }
}

/// A view's tables in a SQLite file, under the names that they have in the view. Several views may be published
/// to one file.
///
/// Decimals and times are text, booleans 0 and 1. The table `kappa_publication` has the position of each view,
/// and is committed with the rows. Indexes that others have made on a table stay for as long as its columns do.
public final class SQLiteSink: ChangeSink {
    private let connection: SQLiteConnection
    private let view: String
    private var known: SinkPosition?
    private var statements: [String: (upsert: SQLiteStatement, delete: SQLiteStatement)] = [:]

    /// Opens the file, and makes it if it is not there.
    /// - Throws: `KappaError`: `.damaged` if it is no SQLite file, `.usage` if a newer kappa publishes the view to
    ///   it, and what the system says.
    public init(_ path: String, view: String) throws(KappaError) {
        self.view = view
        do {
            connection = try SQLiteConnection(path, .create, busyMilliseconds: 2_000)
            try connection.useWAL()
            try connection.execute(
                """
                PRAGMA synchronous = FULL;
                CREATE TABLE IF NOT EXISTS kappa_publication (
                    view TEXT PRIMARY KEY, change TEXT NOT NULL, position INTEGER NOT NULL,
                    digest TEXT NOT NULL, format INTEGER NOT NULL) STRICT;
                CREATE TABLE IF NOT EXISTS kappa_publication_tables (
                    name TEXT PRIMARY KEY, view TEXT NOT NULL) STRICT;
                """)
        } catch {
            guard error.code == .damaged else { throw error }
            throw KappaError(
                .damaged, "cannot publish to a file", at: path, because: error.reason,
                advice: "Name a SQLite file, or one that does not exist yet")
        }
        let found = try connection.integer("SELECT max(format) FROM kappa_publication") ?? 0
        guard found <= Self.format else {
            throw KappaError(
                .usage, "cannot publish to this file", at: path,
                because:
                    "its tables have format \(found), and this kappa writes format \(Self.format)",
                advice: "A newer kappa has published to it: use that one, or name another file")
        }
        known = try position()
    }

    /// What the tables of this sink mean.
    private static let format: Int64 = 1

    public func position() throws(KappaError) -> SinkPosition? {
        let select = try connection.prepare(
            "SELECT change, position, digest FROM kappa_publication WHERE view = ?")
        select.bind(0, view)
        guard try select.step() else { return nil }
        return SinkPosition(
            view: view, change: try ChangeID(select.string(0)),
            offset: Offset(UInt64(bitPattern: select.integer(1))), digest: select.string(2))
    }

    public func begin(anew tables: [TableSchema]?) throws(KappaError) {
        try takeTurn()
        try connection.execute("BEGIN IMMEDIATE")
        guard try position() == known else {
            throw KappaError(
                .heldElsewhere, "another process publishes \(view)", at: connection.path,
                because: "it has moved the position meanwhile", advice: "End one of the two")
        }
        if let tables { try make(tables) }
        if statements.isEmpty { try prepare() }
    }

    public func apply(_ changes: [SinkChange]) throws(KappaError) {
        for change in changes {
            guard let (upsert, delete) = statements[change.table] else {
                throw KappaError(.usage, "there is no table \(change.table)", at: connection.path)
            }
            let statement = change.row == nil ? delete : upsert
            for (index, cell) in (change.row ?? change.key).enumerated() {
                Self.bind(cell, to: statement, index)
            }
            try statement.execute()
        }
    }

    public func commit(_ position: SinkPosition) throws(KappaError) {
        let save = try connection.prepare(
            "INSERT OR REPLACE INTO kappa_publication VALUES (?, ?, ?, ?, \(Self.format))")
        save.bind(0, view)
        save.bind(1, position.change.description)
        save.bind(2, Int64(bitPattern: position.offset.rawValue))
        save.bind(3, position.digest)
        try save.execute()
        try connection.execute("COMMIT")
        giveTurn()
        known = position
    }

    public func rollBack() {
        // The tables may be others than those of the transaction.
        statements = [:]
        if connection.isInTransaction { try? connection.execute("ROLLBACK") }
        giveTurn()
    }

    public func close() { rollBack() }

    deinit { rollBack() }

    // MARK: Several views in one file

    /// The files that this process has a transaction in. SQLite lets a second one wait for a while only, and one that
    /// writes all rows of a view may take long.
    private static let written = Monitor<Set<String>>([])
    private static let longestWait = Duration.seconds(600)
    private var hasTurn = false

    private func takeTurn() throws(KappaError) {
        if hasTurn { return }
        let path = connection.path
        let isMine = Self.written.wait(atMost: Self.longestWait) { files in
            files.insert(path).inserted ? true : nil
        }
        guard isMine == true else {
            throw KappaError(
                .heldElsewhere, "another view is being written to the file", at: path,
                because: "its transaction takes long", advice: "Try again")
        }
        hasTurn = true
    }

    private func giveTurn() {
        guard hasTurn else { return }
        let path = connection.path
        hasTurn = false
        Self.written.withLock { _ = $0.remove(path) }
    }

    // MARK: Tables

    /// Makes the tables empty, and those new that are others than before.
    private func make(_ tables: [TableSchema]) throws(KappaError) {
        statements = [:]
        var old = Set(try names())
        for table in tables {
            let definition = try definition(of: table.name)
            let isOwn = old.remove(table.name) != nil
            if isOwn, definition == Self.create(table) {
                try connection.execute("DELETE FROM \(Self.quoted(table.name))")
                continue
            }
            if definition != nil {
                guard isOwn else { throw foreign(table.name) }
                try connection.execute("DROP TABLE \(Self.quoted(table.name))")
            }
            try connection.execute(Self.create(table))
            let note = try connection.prepare(
                "INSERT OR REPLACE INTO kappa_publication_tables VALUES (?, ?)")
            note.bind(0, table.name)
            note.bind(1, view)
            try note.execute()
        }
        for name in old {
            try connection.execute("DROP TABLE IF EXISTS \(Self.quoted(name))")
            let forget = try connection.prepare(
                "DELETE FROM kappa_publication_tables WHERE name = ?")
            forget.bind(0, name)
            try forget.execute()
        }
    }

    private func foreign(_ table: String) -> KappaError {
        KappaError(
            .usage, "there is a table \(table) already", at: connection.path,
            because: "kappa did not make it for \(view)",
            advice: "Name another file, or rename the table")
    }

    /// The statement that has made a table, or whatever else has its name; nil if there is none.
    private func definition(of table: String) throws(KappaError) -> String? {
        let select = try connection.prepare(
            "SELECT coalesce(sql, '') FROM sqlite_schema WHERE lower(name) = lower(?)")
        select.bind(0, table)
        return try select.step() ? select.string(0) : nil
    }

    private func names() throws(KappaError) -> [String] {
        let select = try connection.prepare(
            "SELECT name FROM kappa_publication_tables WHERE view = ?")
        select.bind(0, view)
        var names: [String] = []
        while try select.step() { names.append(select.string(0)) }
        return names
    }

    private func prepare() throws(KappaError) {
        for name in try names() {
            let columns = try connection.prepare(
                "SELECT name, pk FROM pragma_table_info(?) ORDER BY cid")
            columns.bind(0, name)
            var marks: [String] = []
            var keys: [String] = []
            while try columns.step() {
                marks.append("?")
                if columns.integer(1) > 0 { keys.append("\(Self.quoted(columns.string(0))) = ?") }
            }
            if marks.isEmpty { throw gone(name) }
            let table = Self.quoted(name)
            statements[name] = (
                upsert: try connection.prepare(
                    "INSERT OR REPLACE INTO \(table) VALUES (\(marks.joined(separator: ", ")))"),
                delete: try connection.prepare(
                    "DELETE FROM \(table) WHERE \(keys.joined(separator: " AND "))")
            )
        }
    }

    private func gone(_ table: String) -> KappaError {
        KappaError(
            .usage, "the table \(table) is gone", at: connection.path,
            because: "somebody has dropped or renamed it",
            advice: "To have it written anew, delete what kappa knows of it: "
                + "DELETE FROM kappa_publication WHERE view = '\(view)'")
    }

    private static func create(_ table: TableSchema) -> String {
        var lines = table.columns.map { column in
            let type =
                switch column.kind {
                case .bool, .integer: "INTEGER"
                case .double: "REAL"
                case .decimal, .text, .timestamp, .json: "TEXT"
                }
            return "\(quoted(column.name)) \(type)\(column.isKey ? " NOT NULL" : "")"
        }
        let key = table.keyColumns.map { quoted(table.columns[$0].name) }
        lines.append("PRIMARY KEY (\(key.joined(separator: ", ")))")
        return "CREATE TABLE \(quoted(table.name)) (\(lines.joined(separator: ", "))) STRICT"
    }

    private static func bind(_ cell: Value, to statement: SQLiteStatement, _ index: Int) {
        switch cell {
        case .null: statement.bindNull(index)
        case .bool(let bool): statement.bind(index, Int64(bool ? 1 : 0))
        case .integer(let integer): statement.bind(index, integer)
        case .double(let double): statement.bind(index, double)
        case .decimal, .text, .timestamp, .json: statement.bind(index, cell.plainText)
        }
    }

    private static func quoted(_ name: String) -> String {
        "\"\(name.replacing("\"", with: "\"\""))\""
    }
}

/// What follows the scheme of a URL.
enum SinkPath {
    static func of(_ url: String, _ usage: String) throws(KappaError) -> String {
        let path = url.split(separator: ":", maxSplits: 1).dropFirst().first.map(String.init) ?? ""
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw KappaError(
                .usage, "\"\(url)\" names no place", because: "it is written \(usage)",
                advice: "Name one")
        }
        return path
    }
}
