import CSQLite

/// One `SELECT` that somebody wrote, over tables of versions that are attached to a connection: it
/// reads those tables and can do nothing else.
package final class GuardedSelect {
    private let connection: SQLiteConnection
    private let guardian: SQLGuard
    private let statement: SQLiteStatement
    private let tables: [Table]

    /// A table under the name that the statement uses.
    package struct Table {
        /// What the statement calls it.
        package var name: String
        /// The attached database that it is in.
        package var database: String
        package var schema: TableSchema

        package init(_ name: String, in database: String, _ schema: TableSchema) {
            self.name = name
            self.database = database
            self.schema = schema
        }
    }

    /// - Parameters:
    ///   - connection: An empty database in memory, with the tables' databases attached. It is of no
    ///     other use afterwards.
    ///   - seconds: How long the statement may run.
    package init(
        _ select: String, over tables: [Table], on connection: SQLiteConnection, seconds: Int = 60
    ) throws(KappaError) {
        self.connection = connection
        self.tables = tables
        for table in tables { try Self.show(table, connection) }
        try connection.execute("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF")
        SQLFunctions.add(to: connection)
        let names = Set(tables.map(\.name) + tables.map(\.schema.name))
        guardian = SQLGuard(connection, tables: names, seconds: seconds)
        statement = try Self.only(select, connection)
    }

    /// Attaches the file of a version.
    package static func attach(
        _ path: String, as database: String, to connection: SQLiteConnection
    ) throws(KappaError) {
        let attach = try connection.prepare("ATTACH ? AS \(VersionSchema.quoted(database))")
        attach.bind(0, path)
        try attach.execute()
    }

    /// Lets the statement call a table by its name, without the hidden columns.
    private static func show(_ table: Table, _ connection: SQLiteConnection) throws(KappaError) {
        let columns = table.schema.columns.map { VersionSchema.quoted($0.name) }
            .joined(separator: ", ")
        try connection.execute(
            """
            CREATE TEMP VIEW \(VersionSchema.quoted(table.name)) AS SELECT \(columns)
            FROM \(VersionSchema.quoted(table.database)).\(VersionSchema.quoted(table.schema.name))
            """)
    }

    package var columns: [String] {
        (0..<statement.columnCount).map { statement.columnName($0) }
    }

    /// Visits the rows of the result.
    package func run(_ visit: ([Value]) throws -> Void) throws {
        let kinds = (0..<statement.columnCount).map { kind(of: $0) }
        while try statement.step() {
            try visit(kinds.indices.map { value($0, kinds[$0]) })
        }
    }

    /// The kind of a plain column of a table; nil for an expression.
    private func kind(of index: Int) -> ColumnKind? {
        guard let database = sqlite3_column_database_name(statement.handle, Int32(index)),
            let table = sqlite3_column_table_name(statement.handle, Int32(index)),
            let column = sqlite3_column_origin_name(statement.handle, Int32(index))
        else { return nil }
        let place = (String(cString: database), String(cString: table))
        let name = String(cString: column)
        return tables.first { ($0.database, $0.schema.name) == place }?.schema.columns
            .first { $0.name == name }?.kind
    }

    private func value(_ index: Int, _ kind: ColumnKind?) -> Value {
        switch (statement.storage(index), kind) {
        case (.null, _), (.blob, _): .null
        case (.integer, .timestamp):
            .timestamp(Timestamp(microseconds: statement.integer(index)))
        case (.integer, .bool): .bool(statement.integer(index) != 0)
        case (.integer, _): .integer(statement.integer(index))
        case (.double, .decimal):
            DecimalCell.read(statement, index).map { .decimal($0) } ?? .null
        case (.double, _): .double(statement.double(index))
        case (.text, .json): .json(statement.string(index))
        case (.text, .decimal):
            DecimalCell.read(statement, index).map { .decimal($0) }
                ?? .text(statement.string(index))
        case (.text, _): .text(statement.string(index))
        }
    }

    private static func only(
        _ sql: String, _ connection: SQLiteConnection
    ) throws(KappaError) -> SQLiteStatement {
        let text = SQLText(sql)
        guard ["select", "with", "values"].contains(text.firstWord) else {
            throw KappaError(
                .usage, "only SELECT can be run", at: sql, because: "views are made from the log",
                advice: "Ask with SELECT; change rows by appending events")
        }
        // What stands behind a first statement would be passed over: so it is refused.
        if text.isMoreThanOne {
            throw KappaError(
                .usage, "this is more than one statement", at: sql,
                advice: "Run them one at a time")
        }
        let statement = try connection.prepare(sql)
        guard statement.columnCount > 0 else {
            throw KappaError(.usage, "the statement gives no rows", at: sql)
        }
        return statement
    }
}
