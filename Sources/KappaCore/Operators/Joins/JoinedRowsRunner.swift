/// Runs the table of an outer join: rows come, and give way to others.
final class JoinedRowsRunner: StepRunner {
    private let schema: TableSchema
    private let input: any JoinedRowsInput
    private let store: any RowStore
    private let tableIndex: Int

    init(_ schema: TableSchema, input: any JoinedRowsInput, store: any RowStore, table: Int) {
        self.schema = schema
        self.input = input
        self.store = store
        tableIndex = table
    }

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        input.take(batch, range) { pass.note($0, $1) }
    }

    func write(to transaction: any StoreTransaction, changesAt offset: Offset?) throws {
        let writer = transaction.upsert(into: tableIndex)
        let deleter = transaction.delete(from: tableIndex)
        let changes = ChangeLog(
            transaction: transaction, store: store, table: tableIndex, schema: schema,
            offset: offset)
        try input.forEachChange { row, key in
            try changes.note {
                var sink = JSONSink()
                key.emit(to: &sink)
                return sink.finish()
            } bindKey: {
                for (part, cell) in key.enumerated() { $0.bind(part, cell) }
            } after: {
                row.map { row in
                    var sink = JSONSink(names: schema.columns.map(\.name))
                    row.emit(to: &sink)
                    return sink.finish()
                }
            } write: {
                let target = row == nil ? deleter : writer
                for (index, cell) in (row ?? key).enumerated() { target.bind(index, cell) }
                try target.execute()
            }
        }
    }

    func committed(mayEvict: Bool) { input.clear() }

    var memoryBytes: Int { input.changes * input.bytesPerChange }
    var dirtyRows: Int { input.changes }
}
