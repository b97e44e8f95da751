/// One column of a view's table.
public struct ColumnSchema: Hashable, Sendable {
    /// The column's name, in snake_case.
    public var name: String
    /// What its cells hold.
    public var kind: ColumnKind
    /// Whether the column is part of the table's key. Key columns are compared in the order of the columns.
    public var isKey: Bool

    /// A column.
    public init(_ name: String, _ kind: ColumnKind, isKey: Bool = false) {
        self.name = name
        self.kind = kind
        self.isKey = isKey
    }
}

/// The shape of one table of a view, as readers see it.
public struct TableSchema: Hashable, Sendable {
    /// The table's name; the first table of a view has the view's name.
    public var name: String
    /// The columns that readers see, in order.
    public var columns: [ColumnSchema]
    /// Whether each row also keeps a hidden blob, for state that its columns do not show (such as the values
    /// counted by a distinct count, or the sum of an average).
    public var hasState: Bool
    /// Whether the table is kappa's own: what a view remembers between its steps, such as the sides
    /// of a join. Readers do not see it.
    package var isInternal = false

    /// A table of these columns.
    public init(name: String, columns: [ColumnSchema], hasState: Bool = false) {
        self.name = name
        self.columns = columns
        self.hasState = hasState
    }

    /// The table that keeps, for each key of one of the view's tables, the offsets of the events that touched
    /// it.
    static func keyIndex(of table: Int) -> TableSchema {
        var schema = TableSchema(
            name: keyIndexName(table),
            columns: [
                ColumnSchema("key_hash", .integer, isKey: true),
                ColumnSchema("first_offset", .integer, isKey: true),
            ], hasState: true)
        schema.isInternal = true
        return schema
    }

    private static let keyIndexPrefix = "_kappa_index_"
    static func keyIndexName(_ table: Int) -> String { "\(keyIndexPrefix)\(table)" }
    package var isKeyIndex: Bool { isInternal && name.hasPrefix(Self.keyIndexPrefix) }

    /// Indices of the key columns, in order.
    public var keyColumns: [Int] { columns.indices.filter { columns[$0].isKey } }
}

extension [TableSchema] {
    /// Finds a column of numbers by `column` or `table.column`.
    /// - Parameter place: Where the name was given, for the error.
    /// - Throws: `.usage` if there is no such column.
    package func numbers(
        _ name: String, in place: String
    ) throws(KappaError) -> (table: Int, column: String) {
        let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
            .map(String.init)
        let column = parts.last ?? name
        for (index, table) in enumerated() where parts.count < 2 || table.name == parts[0] {
            for known in table.columns where known.name == column && known.kind.isNumber {
                return (index, column)
            }
        }
        let names = flatMap { table in
            table.columns.filter(\.kind.isNumber).map {
                count > 1 ? "\(table.name).\($0.name)" : $0.name
            }
        }
        throw KappaError(
            .usage, "there is no column of numbers named \(name)", at: place,
            because: names.isEmpty
                ? "no column holds numbers" : "there are \(names.joined(separator: ", "))",
            advice: "Name one of them")
    }
}

extension ColumnKind {
    /// Whether its values can be summed.
    fileprivate var isNumber: Bool {
        switch self {
        case .integer, .double, .decimal: true
        case .bool, .text, .timestamp, .json: false
        }
    }
}
