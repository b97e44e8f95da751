/// Adds the changes of a table's rows to the change feed that followers of a version read.
///
/// It looks up a row's previous values in the store just before the row is written. So a version can become
/// live at any commit, and its feed is right from there on. The store sets this up while it commits;
/// operators do not know about the feed.
final class ChangeFeed: RowListener {
    private let transaction: any StoreTransaction
    private let store: any RowStore
    private let table: Int
    private let schema: TableSchema
    private let names: [String]
    /// The offset after the commit's last event.
    private let offset: Offset

    private init(
        _ transaction: any StoreTransaction, _ store: any RowStore, _ table: Int,
        _ schema: TableSchema, _ offset: Offset
    ) {
        self.transaction = transaction
        self.store = store
        self.table = table
        self.schema = schema
        names = schema.columns.map(\.name)
        self.offset = offset
    }

    /// A transaction that records the changes of all tables that readers see.
    static func recording(
        _ transaction: any StoreTransaction, of store: any RowStore, _ tables: [TableSchema],
        at offset: Offset
    ) -> any StoreTransaction {
        var feeds: [Int: any RowListener] = [:]
        for (table, schema) in tables.enumerated() where !schema.isInternal {
            feeds[table] = ChangeFeed(transaction, store, table, schema, offset)
        }
        return CapturingTransaction(transaction, feeds)
    }

    func take(_ row: any RowCursor) throws(KappaError) {
        try note(row, key: schema.keyColumns, after: json(row))
    }

    func remove(_ key: any RowCursor) throws(KappaError) {
        try note(key, key: Array(schema.keyColumns.indices), after: nil)
    }

    /// - Parameter places: Where the parts of the key are in `row`.
    private func note(
        _ row: any RowCursor, key places: [Int], after: String?
    ) throws(KappaError) {
        let before = try storedRow(row, key: places)
        if Self.isSame(before, after) { return }
        var key = JSONSink()
        for (column, place) in zip(schema.keyColumns, places) {
            emit(row, place, schema.columns[column].kind, to: &key)
        }
        try transaction.add(
            ChangeRecord(
                offset: offset, table: table, key: key.finish(), before: before, after: after))
    }

    private func storedRow(
        _ row: any RowCursor, key places: [Int]
    ) throws(KappaError) -> String? {
        var found: String?
        do {
            _ = try store.lookUp(table: table) {
                for (part, place) in places.enumerated() { $0.bind(part, row, place) }
            } read: {
                found = json($0)
            }
        } catch {
            throw error as? KappaError ?? KappaError(.bug, "a row could not be looked up: \(error)")
        }
        return found
    }

    /// Whether two texts are the same byte for byte; Swift's `==` is looser, see ``ByteOrder``.
    private static func isSame(_ a: String?, _ b: String?) -> Bool {
        guard let a, let b else { return a == nil && b == nil }
        return a.hasSameBytes(as: b)
    }

    /// A row as a JSON object.
    private func json(_ row: any RowCursor) -> String {
        var sink = JSONSink(names: names)
        for (index, column) in schema.columns.enumerated() {
            emit(row, index, column.kind, to: &sink)
        }
        return sink.finish()
    }

    private func emit(
        _ row: any RowCursor, _ place: Int, _ kind: ColumnKind, to sink: inout JSONSink
    ) {
        if row.isNull(place) { return sink.null() }
        switch kind {
        case .bool: sink.bool(row.integer(place) != 0)
        case .integer: sink.integer(row.integer(place))
        case .double: sink.double(row.double(place))
        case .decimal: sink.decimal(DecimalCell.read(row, place) ?? 0)
        case .timestamp: sink.timestamp(row.integer(place))
        case .text: sink.text(row.text(place))
        case .json: sink.json(row.text(place))
        }
    }
}
