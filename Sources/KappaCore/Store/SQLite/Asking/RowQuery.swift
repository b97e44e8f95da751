/// A query for the rows of one table of one version.
package struct RowQuery: Sendable {
    /// The table; nil for the view's first.
    package var table: String?
    /// The row of one key only, as JSON: a value, or an array or object of the key's parts.
    package var key: JSONValue?
    /// A condition in SQL over the table's columns.
    package var condition: String?
    /// Columns to order by, each optionally followed by `desc`; in key order otherwise.
    package var order: [String] = []
    package var limit: Int?
    /// Only rows whose window has ended in this period, in microseconds.
    package var ended: (after: Int64?, until: Int64)?
    /// How long it may run, in seconds.
    var seconds = 60

    package init() {}

    /// Visits the rows of the result.
    package func run(
        on reader: VersionReader, _ visit: ([Value]) throws -> Void
    ) throws {
        let schema = reader.tables[try reader.table(table)]
        let connection = reader.connection
        SQLFunctions.add(to: connection)
        // Without a condition no values are computed, so rows of any size can be read.
        let guardian = SQLGuard(
            connection, tables: [schema.name], seconds: seconds,
            valueBytes: condition == nil ? nil : SQLLimits.valueBytes)
        defer { withExtendedLifetime(guardian) {} }
        let judge = try condition.map { try RowCondition($0, schema, connection) }
        let statement = try connection.prepare(try sql(schema, judge?.sql))
        if let judge { guardian.share(judge.sql, columns: 0) }
        let keyParts = try key.map { try schema.key($0) } ?? []
        var sink = StoreSink(statement)
        try keyParts.withTexts {
            sink.append($0)
        } then: {
            while try step(statement, judge) { try visit(schema.values(statement)) }
        }
    }

    private func step(
        _ statement: SQLiteStatement, _ judge: RowCondition?
    ) throws(KappaError) -> Bool {
        do throws(KappaError) { return try statement.step() } catch {
            throw judge?.restated(error) ?? error
        }
    }

    private func sql(
        _ schema: TableSchema, _ condition: String?
    ) throws(KappaError) -> String {
        var conditions = condition.map { ["(\($0))"] } ?? []
        if key != nil {
            conditions += schema.keyColumns.map {
                "\(VersionSchema.quoted(schema.columns[$0].name)) = ?"
            }
        }
        if let ended {
            if let after = ended.after, after > .min { conditions.append("window_end > \(after)") }
            conditions.append("window_end <= \(ended.until)")
        }
        let columns = schema.columns.map { VersionSchema.quoted($0.name) }.joined(separator: ", ")
        var sql = "SELECT \(columns) FROM \(VersionSchema.quoted(schema.name))"
        if !conditions.isEmpty { sql += " WHERE " + conditions.joined(separator: " AND ") }
        var orders: [String] = []
        for column in order { orders.append(try Self.order(column, schema)) }
        if orders.isEmpty {
            orders = schema.keyColumns.map { VersionSchema.quoted(schema.columns[$0].name) }
        }
        sql += " ORDER BY " + orders.joined(separator: ", ")
        if let limit { sql += " LIMIT \(limit)" }
        return sql
    }

    private static func order(_ text: String, _ schema: TableSchema) throws(KappaError) -> String {
        let words = text.split(separator: " ").map(String.init)
        let direction = words.count > 1 ? words[1].lowercased() : "asc"
        guard let name = words.first,
            let column = schema.columns.first(where: { $0.name == name }), words.count <= 2,
            direction == "asc" || direction == "desc"
        else {
            throw KappaError(
                .usage, "cannot order by \"\(text)\"",
                because: "\(schema.name) has the columns "
                    + schema.columns.map(\.name).joined(separator: ", "),
                advice: "Write a column's name, followed by desc for the largest first")
        }
        let cell = VersionSchema.quoted(name)
        // Decimals of many digits are texts, which sort after all numbers.
        return (column.kind == .decimal ? "_kappa_order(\(cell))" : cell) + " \(direction)"
    }
}
