/// Runs a table of a stream's elements: rows are only added.
final class RowsRunner: StepRunner {
    private let schema: TableSchema
    private let input: any RowsInput
    private let store: any RowStore
    private let tableIndex: Int

    init(_ schema: TableSchema, input: any RowsInput, store: any RowStore, table: Int) {
        self.schema = schema
        self.input = input
        self.store = store
        tableIndex = table
    }

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        input.take(batch, range) { pass.note($0, $1) }
    }

    func write(to transaction: any StoreTransaction, changesAt offset: Offset?) throws {
        if offset != nil {
            let changes = RowChanges(
                transaction: transaction, table: tableIndex, schema: schema, offset: offset)
            for index in 0..<input.count {
                try changes.note(before: nil, after: input.values(index))
            }
        }
        try transaction.upsertRows(into: tableIndex, count: input.count) { index, writer in
            input.bind(index, to: writer)
            try writer.execute()
        }
    }

    func committed(mayEvict: Bool) { input.clear() }

    // Rows have the offsets of their events: none is made twice, so those put aside need no merging.
    var canSpill: Bool { true }
    func spill(keepingMemory: Bool) { input.clear() }
    func writeSpilled(_ rows: any SpilledRows, to transaction: any StoreTransaction) throws {
        let writer = transaction.upsert(into: tableIndex)
        try rows.merge(table: tableIndex, to: writer, sideBySide: true) { _, _ in
            throw KappaError(.bug, "a row of table \(schema.name) was put aside twice")
        }
    }

    var memoryBytes: Int { input.memoryBytes }
    var dirtyRows: Int { input.count }
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
