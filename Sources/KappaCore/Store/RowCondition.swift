/// A condition in SQL over the columns of one table, as a person writes it.
enum RowCondition {
    /// The condition must be one whole expression: it must stand alone in brackets.
    static func check(
        _ condition: String, _ schema: TableSchema, _ connection: SQLiteConnection
    ) throws(KappaError) {
        let table = VersionSchema.quoted(schema.name)
        let text = SQLText(condition)
        var reason: String?
        if !text.isBalanced {
            reason = "a bracket, a quote or a comment is not closed, or closed too often"
        } else if text.hasSemicolon {
            reason = "a semicolon ends a statement"
        } else {
            do {
                let statement = try connection.prepare("SELECT (\(condition)\n) FROM \(table)")
                if statement.parameterCount > 0 { reason = "nothing is bound to its parameters" }
            } catch { reason = error.reason }
        }
        if let reason {
            throw KappaError(
                .usage, "the condition cannot be used", at: condition, because: reason,
                advice: "Write an SQL expression over the columns "
                    + schema.columns.map(\.name).joined(separator: ", ")
                    + "; times as ts('2024-01-15T14:30:00Z')")
        }
    }
}

extension TableSchema {
    /// The parts of a key out of JSON: a value, or an array or object of the parts.
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
    /// What to do for somebody whose value is of another kind.
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
