/// Which rows of one table of a view to read, and in what order.
public struct RowQuery: Sendable {
    /// The table; nil for the view's first.
    public var table: String?
    /// Only the row of this key.
    public var key: RowKey?
    /// A condition in SQL over the table's columns, such as `revenue > ? AND city = ?`. A text is taken as what
    /// it is compared with: a time is `'2024-01-15T14:30:00Z'`. See `docs/sql.md`.
    public var condition: String?
    /// The values of the condition's `?`, in order.
    public var parameters: [Value] = []
    /// Columns to order by, each optionally followed by ` desc`; rows come in the order of their key otherwise.
    public var order: [String] = []
    /// At most this many rows.
    public var limit: Int?
    /// Only rows after this key, for the next page; not together with ``order``.
    public var after: RowKey?
    /// Only rows whose window has ended in this period, in microseconds.
    package var ended: (after: Int64?, until: Int64)?
    /// How long it may run, in seconds. A query that takes longer is an error.
    public var seconds = 60

    /// All rows of the first table, unless properties are set.
    public init(
        table: String? = nil, key: RowKey? = nil, where condition: String? = nil,
        parameters: [Value] = [], order: [String] = [], limit: Int? = nil, after: RowKey? = nil
    ) {
        self.table = table
        self.key = key
        self.condition = condition
        self.parameters = parameters
        self.order = order
        self.limit = limit
        self.after = after
    }

    /// Visits the rows of the result.
    package func run(
        on reader: VersionReader, _ visit: ([Value]) throws -> Void
    ) throws {
        let schema = reader.tables[try reader.table(table)]
        try run(on: reader, withState: false) { try visit(schema.values($0)) }
    }

    /// Visits the rows of the result.
    /// - Parameter withState: Whether the hidden state, if there is any, follows the table's columns.
    func run(
        on reader: VersionReader, withState: Bool, _ visit: (any RowCursor) throws -> Void
    ) throws {
        let schema = reader.tables[try reader.table(table)]
        try check(schema)
        let connection = reader.connection
        SQLFunctions.add(to: connection)
        // Without a condition no values are computed, so rows of any size can be read.
        let guardian = SQLGuard(
            connection, tables: [schema.name], readsState: withState, seconds: seconds,
            valueBytes: condition == nil ? nil : SQLLimits.valueBytes)
        defer { withExtendedLifetime(guardian) {} }
        let judge = try condition.map {
            try RowCondition($0, schema, connection, parameters: parameters)
        }
        let statement = try connection.prepare(try sql(schema, judge?.sql, withState: withState))
        if let judge { guardian.share(judge.sql, columns: 0) }
        var keyParts = try key.map { try $0.cells(of: schema) } ?? []
        keyParts += try after.map { try $0.cells(of: schema) } ?? []
        var sink = StoreSink(statement)
        try keyParts.withTexts {
            sink.append($0)
        } then: {
            while try step(statement, judge) { try visit(statement) }
        }
    }

    private func check(_ schema: TableSchema) throws(KappaError) {
        func unusable(_ what: String, _ reason: String, _ advice: String) -> KappaError {
            KappaError(
                .usage, what, at: "table \(schema.name)", because: reason, advice: advice)
        }
        if after != nil, !order.isEmpty {
            throw unusable(
                "rows after a key cannot be ordered by \(order.joined(separator: ", "))",
                "pages follow each other in the order of the key",
                "Leave one of the two out")
        }
        if let limit, limit < 0 {
            throw unusable(
                "at most \(limit) rows cannot be read", "a limit is 0 or more", "Give another limit"
            )
        }
        if condition == nil, !parameters.isEmpty {
            throw unusable(
                "there are parameters without a condition", "they are the values of its ?",
                "Write a condition, such as revenue > ?")
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
        _ schema: TableSchema, _ condition: String?, withState: Bool
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
        let keys = schema.keyColumns.map { VersionSchema.quoted(schema.columns[$0].name) }
        if after != nil {
            let places = keys.map { _ in "?" }.joined(separator: ", ")
            conditions.append("(\(keys.joined(separator: ", "))) > (\(places))")
        }
        var columns = schema.columns.map { VersionSchema.quoted($0.name) }.joined(separator: ", ")
        if withState, schema.hasState { columns += ", _kappa_state" }
        var sql = "SELECT \(columns) FROM \(VersionSchema.quoted(schema.name))"
        if !conditions.isEmpty { sql += " WHERE " + conditions.joined(separator: " AND ") }
        var orders: [String] = []
        for column in order { orders.append(try Self.order(column, schema)) }
        if orders.isEmpty { orders = keys }
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
