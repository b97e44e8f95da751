/// One column of a view's table.
public struct ColumnSchema: Hashable, Sendable {
    public var name: String
    public var kind: ColumnKind
    /// Part of the table's key. Key columns are compared in the order in which they stand.
    public var isKey: Bool

    public init(_ name: String, _ kind: ColumnKind, isKey: Bool = false) {
        self.name = name
        self.kind = kind
        self.isKey = isKey
    }
}

/// The shape of one table of a view, as readers see it.
public struct TableSchema: Hashable, Sendable {
    public var name: String
    public var columns: [ColumnSchema]
    /// Whether each row also keeps a hidden blob, for state that its columns do not tell
    /// (the values behind a distinct count, the sum behind an average).
    public var hasState: Bool

    public init(name: String, columns: [ColumnSchema], hasState: Bool = false) {
        self.name = name
        self.columns = columns
        self.hasState = hasState
    }

    /// Indices of the key columns, in order.
    public var keyColumns: [Int] { columns.indices.filter { columns[$0].isKey } }
}
