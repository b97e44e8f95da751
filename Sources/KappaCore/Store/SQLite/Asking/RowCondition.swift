/// A condition in SQL over the columns of one table, as a person writes it.
struct RowCondition {
    private let statement: SQLStatement

    /// - Throws: `.usage` where it is not one whole expression, or compares what cannot be compared.
    init(
        _ condition: String, _ schema: TableSchema, _ connection: SQLiteConnection
    ) throws(KappaError) {
        statement = try SQLStatement.condition(condition, schema)
        let table = VersionSchema.quoted(schema.name)
        do throws(KappaError) {
            _ = try connection.prepare("SELECT (\(statement.text)) FROM \(table)")
        } catch {
            throw statement.restated(
                error, "the condition cannot be used",
                advice: "Write an SQL expression over the columns "
                    + schema.columns.map(\.name).joined(separator: ", "))
        }
    }

    /// - Parameter table: One of the version's tables that readers see.
    /// - Throws: As the other initializer does.
    init(_ condition: String, _ table: TableSchema, of reader: VersionReader) throws(KappaError) {
        SQLFunctions.add(to: reader.connection)
        let guardian = SQLGuard(reader.connection, tables: [table.name])
        try self.init(condition, table, reader.connection)
        withExtendedLifetime(guardian) {}
    }

    /// What SQLite gets for it: one whole expression.
    var sql: String { statement.text }

    /// An error of SQLite in the terms of what the person wrote.
    func restated(_ error: KappaError) -> KappaError { statement.restated(error) }
}

extension TableSchema {
    /// The parts of a key from JSON: a value, or an array or object of the parts.
    package func key(_ json: JSONValue) throws(KappaError) -> [Value] {
        let columns = keyColumns.map { self.columns[$0] }
        let parts: [JSONValue?] =
            switch json {
            case .array(let elements): elements.count == columns.count ? elements : []
            case .object: columns.map { json[$0.name] }
            default: [json]
            }
        var values: [Value] = []
        for (part, column) in zip(parts, columns) {
            if let part, let value = Value(part, kind: column.kind), value != .null {
                values.append(value)
            }
        }
        guard values.count == columns.count, parts.count == columns.count else {
            let names = columns.map { "\($0.name) (\($0.kind.rawValue))" }.joined(separator: ", ")
            throw KappaError(
                .usage, "this is no key of \(name)", because: "its key is \(names)",
                advice: columns.count == 1
                    ? columns[0].kind.howToWrite : "Write a JSON array of the parts, in this order")
        }
        return values
    }
}

extension ColumnKind {
    /// Advice for somebody whose value is of another kind.
    fileprivate var howToWrite: String {
        switch self {
        case .integer: "Write a whole number, such as 5"
        case .double, .decimal: "Write a number, such as 12.5"
        case .bool: "Write true or false"
        case .timestamp: "Write a time in double quotes, such as \"2024-01-15T14:30:00Z\""
        case .text, .json: "Write the value as JSON, a text in double quotes"
        }
    }
}
