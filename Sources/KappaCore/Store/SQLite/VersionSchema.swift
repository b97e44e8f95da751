/// The SQL of a version's file.
///
/// Tables are `STRICT` and `WITHOUT ROWID`, their primary key is the view's key. Cells are stored as
/// follows: booleans, integers and timestamps (microseconds) as INTEGER, doubles as REAL, texts and JSON as
/// TEXT, decimals as ANY (see ``DecimalCell``).
enum VersionSchema {
    /// Format 2 changed what aggregates keep beside their columns. A file of format 1 can be read but not
    /// continued: its view is rebuilt, under another digest. Format 3 packs the change feed and has recent events in
    /// key indexes; a file of format 2 gets the new format when it is continued.
    static let format = 3
    static let oldestContinued = 2

    /// A name in quotes. Names are checked when a view is defined; quoting is for SQL's keywords.
    static func quoted(_ name: String) -> String {
        "\""
            + name.split(separator: "\"", omittingEmptySubsequences: false).joined(
                separator: "\"\"") + "\""
    }

    static let own = """
        CREATE TABLE _kappa_version (
            view TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT NOT NULL,
            format INTEGER NOT NULL) STRICT;
        CREATE TABLE _kappa_columns (
            table_index INTEGER NOT NULL, table_name TEXT NOT NULL, position INTEGER NOT NULL,
            name TEXT NOT NULL, kind TEXT NOT NULL, is_key INTEGER NOT NULL,
            has_state INTEGER NOT NULL, is_internal INTEGER NOT NULL, PRIMARY KEY (table_index, position)) STRICT;
        CREATE TABLE _kappa_checkpoint (
            id INTEGER PRIMARY KEY CHECK (id = 1), offset INTEGER NOT NULL,
            digest_bytes INTEGER NOT NULL, digest_crc INTEGER NOT NULL,
            applied INTEGER NOT NULL, filtered INTEGER NOT NULL, late INTEGER NOT NULL,
            dead INTEGER NOT NULL, stream_times TEXT NOT NULL) STRICT;
        CREATE TABLE _kappa_dead (
            offset INTEGER PRIMARY KEY, reason TEXT NOT NULL, event TEXT NOT NULL) STRICT;
        \(FeedRecords.createChanges)
        \(FeedRecords.create)
        """

    static func create(_ table: TableSchema) -> String {
        var lines = table.columns.map { column in
            "\(quoted(column.name)) \(type(of: column.kind))\(column.isKey ? " NOT NULL" : "")"
        }
        if table.hasState { lines.append("_kappa_state BLOB") }
        let key = table.keyColumns.map { quoted(table.columns[$0].name) }.joined(separator: ", ")
        lines.append("PRIMARY KEY (\(key))")
        return """
            CREATE TABLE \(quoted(table.name)) (
                \(lines.joined(separator: ",\n    "))) STRICT, WITHOUT ROWID
            """
    }

    private static func type(of kind: ColumnKind) -> String {
        switch kind {
        case .bool, .integer, .timestamp: "INTEGER"
        case .double: "REAL"
        case .text, .json: "TEXT"
        case .decimal: "ANY"
        }
    }

    static func upsert(_ table: TableSchema) -> String {
        let count = table.columns.count + (table.hasState ? 1 : 0)
        let marks = Array(repeating: "?", count: count).joined(separator: ", ")
        return "INSERT OR REPLACE INTO \(quoted(table.name)) VALUES (\(marks))"
    }

    static func delete(_ table: TableSchema) -> String {
        "DELETE FROM \(quoted(table.name)) WHERE \(keyEquals(table, parts: nil))"
    }

    /// All columns of the rows whose key begins with some parts.
    static func select(_ table: TableSchema, keyParts parts: Int) -> String {
        let condition = parts == 0 ? "" : " WHERE \(keyEquals(table, parts: parts))"
        return "SELECT * FROM \(quoted(table.name))\(condition) ORDER BY \(keyList(table))"
    }

    static func keyList(_ table: TableSchema) -> String {
        table.keyColumns.map { quoted(table.columns[$0].name) }.joined(separator: ", ")
    }

    private static func keyEquals(_ table: TableSchema, parts: Int?) -> String {
        table.keyColumns.prefix(parts ?? .max).map { "\(quoted(table.columns[$0].name)) = ?" }
            .joined(separator: " AND ")
    }
}
