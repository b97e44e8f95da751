/// The key of a row: its parts, in the order of the table's key columns.
public struct RowKey: Equatable, Sendable {
    private enum Form: Equatable {
        case parts([Value])
        case json(String)
    }
    private let form: Form

    /// A key of one or more parts.
    public init<each Part: KeyValue>(_ parts: repeat each Part) {
        var cells: [Value] = []
        for part in repeat each parts { cells.append(part.cell) }
        form = .parts(cells)
    }

    /// A key as ``Change/key`` has it: a JSON value, or an array or object of the parts.
    public init(json: String) { form = .json(json) }

    package init(cells: [Value]) { form = .parts(cells) }

    /// The key as JSON: a value, or an array of the parts.
    public var json: String {
        switch form {
        case .json(let text): text
        case .parts(let cells):
            cells.count == 1
                ? cells[0].jsonText : "[" + cells.map(\.jsonText).joined(separator: ",") + "]"
        }
    }

    /// The cells of a table's key columns.
    /// - Throws: `.usage` if it is no key of the table.
    package func cells(of schema: TableSchema) throws(KappaError) -> [Value] {
        switch form {
        case .json(let text):
            guard let json = try? JSONValue(parsing: text) else { throw schema.noKey() }
            return try schema.key(json)
        case .parts(let cells):
            let kinds = schema.keyColumns.map { schema.columns[$0].kind }
            guard cells.count == kinds.count, zip(cells, kinds).allSatisfy({ $0.kind == $1 }) else {
                throw schema.noKey()
            }
            return cells
        }
    }
}

extension Value {
    /// The kind of the columns that hold such cells; nil for null.
    var kind: ColumnKind? {
        switch self {
        case .null: nil
        case .bool: .bool
        case .integer: .integer
        case .double: .double
        case .decimal: .decimal
        case .text: .text
        case .timestamp: .timestamp
        case .json: .json
        }
    }
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
        guard values.count == columns.count, parts.count == columns.count else { throw noKey() }
        return values
    }

    fileprivate func noKey() -> KappaError {
        let columns = keyColumns.map { self.columns[$0] }
        let names = columns.map { "\($0.name) (\($0.kind.rawValue))" }.joined(separator: ", ")
        return KappaError(
            .usage, "this is no key of \(name)", because: "its key is \(names)",
            advice: columns.count == 1
                ? columns[0].kind.howToWrite : "Write a JSON array of the parts, in this order")
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
