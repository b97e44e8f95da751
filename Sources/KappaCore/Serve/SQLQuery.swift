import CSQLite

/// Read-only SQL over the live versions of all views, by their tables' names.
package struct SQLQuery {
    private let connection: SQLiteConnection
    private var readers: [String: TableSchema] = [:]

    /// Attaches the live versions whose tables the statement names.
    /// - Parameter seconds: How long it may run.
    package init(_ statement: String, _ catalog: Catalog, seconds: Int = 60) throws {
        connection = try SQLiteConnection(":memory:", .create)
        let words = Self.words(statement)
        var views: [String: String] = [:]
        var tableNames: Set<String> = []
        for entry in try catalog.entries() where entry.isLive {
            let reader = try VersionReader(catalog.folder.file(entry.id))
            tableNames.formUnion(reader.tables.map(\.name))
            guard reader.tables.contains(where: { words.contains($0.name) }) else { continue }
            let schema = "live_\(entry.id.view)"
            let attach = try connection.prepare(
                "ATTACH ? AS \(VersionSchema.quoted(schema))")
            attach.bind(0, catalog.folder.file(entry.id))
            do { try attach.execute() } catch {
                throw KappaError(
                    .usage, "too many views in one statement", because: error.reason,
                    advice: "SQLite joins ten files at most: split the question")
            }
            for table in reader.tables where words.contains(table.name) {
                if let other = views[table.name] {
                    throw KappaError(
                        .usage, "there are two tables \(table.name)",
                        because: "the views \(other) and \(entry.id.view) have one each",
                        advice: "Look at each with `kappa query VIEW --table \(table.name)`")
                }
                let columns = table.columns.map { VersionSchema.quoted($0.name) }
                    .joined(separator: ", ")
                try connection.execute(
                    """
                    CREATE TEMP VIEW \(VersionSchema.quoted(table.name)) AS SELECT \(columns)
                    FROM \(VersionSchema.quoted(schema)).\(VersionSchema.quoted(table.name))
                    """)
                readers[table.name] = table
                views[table.name] = entry.id.view
            }
        }
        try connection.execute("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF")
        SQLGuard.addFunctions(to: connection)
        guardian = SQLGuard(connection, tables: Set(views.keys), seconds: seconds)
        do throws(KappaError) { self.statement = try Self.only(statement, connection) } catch {
            // Which tables there are is what one asks next.
            guard error.reason?.hasPrefix("no such table") == true else { throw error }
            throw KappaError(
                error.code, error.what, at: statement, because: error.reason,
                advice: tableNames.isEmpty
                    ? "No view is live yet: `kappa run` builds them"
                    : "There are \(tableNames.sorted().joined(separator: ", "))")
        }
    }

    private let guardian: SQLGuard
    private let statement: SQLiteStatement

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

    /// The kind of a plain column of a view; nil for an expression.
    private func kind(of index: Int) -> ColumnKind? {
        guard let table = sqlite3_column_table_name(statement.handle, Int32(index)),
            let column = sqlite3_column_origin_name(statement.handle, Int32(index))
        else { return nil }
        let name = String(cString: column)
        return readers[String(cString: table)]?.columns.first { $0.name == name }?.kind
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

    /// Words that could be names, of any case.
    private static func words(_ sql: String) -> Set<String> {
        let isWord = { (character: Character) in
            character.isLetter || character.isNumber || character == "_"
        }
        return Set(sql.lowercased().split { !isWord($0) }.map(String.init))
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
