/// Adds the changes of one table's rows to the feed that followers read, where there is one.
///
/// What a row was before is looked up in the store just before it is written: so a version can become
/// live at any commit and its feed is right from there on.
struct ChangeLog {
    let transaction: any StoreTransaction
    let store: any RowStore
    let table: Int
    let schema: TableSchema
    /// The offset after the commit's last event; nil where nobody follows.
    let offset: Offset?

    /// Writes a row, and notes the change. `bindKey` binds the row's key, `write` writes the row.
    func note(
        key: () -> String, bindKey: (any RowWriter) -> Void, after: () -> String?,
        write: () throws -> Void
    ) throws {
        guard let offset else { return try write() }
        var before: String?
        _ = try store.lookUp(table: table, bindKey: bindKey) { before = json($0) }
        let after = after()
        try write()
        if Self.isSame(before, after) { return }
        try transaction.add(
            ChangeRecord(offset: offset, table: table, key: key(), before: before, after: after))
    }

    /// Whether two texts are the same byte for byte; Swift's strings are equal where they look alike.
    private static func isSame(_ a: String?, _ b: String?) -> Bool {
        guard let a, let b else { return a == nil && b == nil }
        return a.hasSameBytes(as: b)
    }

    /// A stored row as a JSON object.
    private func json(_ cursor: any RowCursor) -> String {
        var sink = JSONSink(names: schema.columns.map(\.name))
        for (index, column) in schema.columns.enumerated() {
            if cursor.isNull(index) {
                sink.null()
                continue
            }
            switch column.kind {
            case .bool: sink.bool(cursor.integer(index) != 0)
            case .integer: sink.integer(cursor.integer(index))
            case .double: sink.double(cursor.double(index))
            case .decimal: sink.decimal(DecimalCell.read(cursor, index) ?? 0)
            case .timestamp: sink.timestamp(cursor.integer(index))
            case .text: sink.text(cursor.text(index))
            case .json: sink.json(cursor.text(index))
            }
        }
        return sink.finish()
    }
}
