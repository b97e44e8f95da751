/// One `SELECT` that a person wrote, over tables of versions that are attached to a connection: it can read
/// those tables and do nothing else.
package final class GuardedSelect {
    private let connection: SQLiteConnection
    private let guardian: SQLGuard
    private let statement: SQLiteStatement
    private let written: SQLStatement
    /// The readers of the attached versions: they hold the locks under which the files are read.
    private let readers: [VersionReader]

    /// A table under the name that the statement uses.
    struct Table {
        /// What the statement calls it.
        var name: String
        /// The attached database that it is in.
        var database: String
        var schema: TableSchema

        init(_ name: String, in database: String, _ schema: TableSchema) {
            self.name = name
            self.database = database
            self.schema = schema
        }
    }

    /// - Parameters:
    ///   - connection: An empty database in memory, with the tables' databases attached. It cannot be used
    ///     for anything else afterwards.
    ///   - parameters: The values of `?`, in order; texts take the type of what they are compared with.
    ///   - seconds: How long the statement may run.
    init(
        _ select: String, over tables: [Table], of readers: [VersionReader],
        on connection: SQLiteConnection, parameters: [Value] = [], seconds: Int = 60
    ) throws(KappaError) {
        self.connection = connection
        self.readers = readers
        let known = tables.map { SQLTable(name: $0.name, database: $0.database, schema: $0.schema) }
        written = try SQLStatement.select(select, over: known, parameters: parameters)
        // Set this before temporary views are created: SQLite drops them when it changes.
        try connection.execute("PRAGMA temp_store = FILE")
        for table in tables { try Self.show(table, connection) }
        try connection.execute(
            "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF")
        SQLFunctions.add(to: connection)
        let names = Set(tables.map(\.name) + tables.map(\.schema.name))
        guardian = SQLGuard(connection, tables: names, seconds: seconds)
        do throws(KappaError) { statement = try connection.prepare(written.text) } catch {
            throw written.restated(error)
        }
        guardian.share(written.text, columns: statement.columnCount)
    }

    /// Makes a table available under its name, without the hidden columns.
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
        let count = statement.columnCount
        // The results of EXPLAIN have no types.
        let kinds = written.types.count == count ? written.types.map(\.kind) : []
        while try next() {
            try visit((0..<count).map { value($0, kinds.isEmpty ? nil : kinds[$0]) })
        }
    }

    private func next() throws(KappaError) -> Bool {
        do throws(KappaError) { return try statement.step() } catch {
            throw written.restated(error)
        }
    }

    private func value(_ index: Int, _ kind: ColumnKind?) -> Value {
        switch (statement.storage(index), kind) {
        case (.null, _), (.blob, _): .null
        case (.integer, .timestamp):
            .timestamp(Timestamp(microseconds: statement.integer(index)))
        case (.integer, .bool): .bool(statement.integer(index) != 0)
        case (.integer, .decimal): .decimal(ExactDecimal(statement.integer(index)))
        case (.integer, _): .integer(statement.integer(index))
        case (.double, .decimal):
            DecimalCell.read(statement, index).map { .decimal($0) }
                ?? .double(statement.double(index))
        case (.double, _): .double(statement.double(index))
        case (.text, .json): .json(statement.string(index))
        case (.text, .decimal):
            DecimalCell.read(statement, index).map { .decimal($0) }
                ?? .text(statement.string(index))
        case (.text, _): .text(statement.string(index))
        }
    }
}
