/// Runs a table of a stream's elements: rows are only added, in the order of their keys.
final class RowsRunner: StepRunner {
    private let schema: TableSchema
    private let input: any RowsInput
    private let store: any RowStore
    private let tableIndex: Int
    /// Whether rows may be written before the first commit: nobody else has to see them before.
    private let writesAhead: Bool

    init(
        _ schema: TableSchema, input: any RowsInput, store: any RowStore, table: Int,
        writesAhead: Bool
    ) {
        self.schema = schema
        self.input = input
        self.store = store
        tableIndex = table
        self.writesAhead = writesAhead
    }

    /// Fewer bytes of rows wait for the next commit; tests have none wait.
    @TaskLocal static var mostWaitingBytes = 1 << 22

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        let (taken, failed) = input.take(batch, range)
        pass.markApplied(taken)
        for (event, outcome) in failed { pass.note(event, outcome) }
        guard writesAhead, input.rows.memoryBytes > Self.mostWaitingBytes else { return }
        if try store.writeAhead(input.rows, table: tableIndex) { input.rows.removeAll() }
    }

    func write(to transaction: any StoreTransaction, changesAt offset: Offset?) throws {
        if offset != nil { try noteChanges(transaction, offset) }
        try transaction.append(input.rows, to: tableIndex)
    }

    private func noteChanges(_ transaction: any StoreTransaction, _ offset: Offset?) throws {
        let changes = RowChanges(
            transaction: transaction, table: tableIndex, schema: schema, offset: offset)
        let cursor = RecordCursor(schema)
        let rows = input.rows
        try rows.forEachRow(cursor) {
            let cells = schema.columns.indices.map { schema.columns[$0].kind.value(cursor, $0) }
            try changes.note(before: nil, after: cells)
        }
    }

    func committed(mayEvict: Bool) { input.rows.removeAll() }

    // No row is ever made twice: those that spill stay where they are written.
    var canSpill: Bool { true }
    func spill(keepingMemory: Bool) { input.rows.removeAll() }

    var memoryBytes: Int { input.rows.memoryBytes }
    var dirtyRows: Int { input.rows.count }
}

/// Adds changes to the feed of a table whose runner knows its rows before and after.
struct RowChanges {
    let transaction: any StoreTransaction
    let table: Int
    let schema: TableSchema
    /// The offset after the commit's last event; nil where nobody follows.
    let offset: Offset?

    /// Notes what a row was and what it is; nil where it was not, or is not, there.
    func note(before: [Value]?, after: [Value]?) throws {
        guard let offset, before != after, let row = after ?? before else { return }
        var key = JSONSink()
        for part in schema.keyColumns { key.append(row[part]) }
        try transaction.add(
            ChangeRecord(
                offset: offset, table: table, key: key.finish(), before: before.map(json),
                after: after.map(json)))
    }

    private func json(_ row: [Value]) -> String {
        var sink = JSONSink(names: schema.columns.map(\.name))
        row.emit(to: &sink)
        return sink.finish()
    }
}
