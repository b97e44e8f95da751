/// Passes everything on, and tells what is written to one table.
final class CapturingTransaction: StoreTransaction {
    private let transaction: any StoreTransaction
    private let table: Int
    private let cursor: RecordCursor
    private let listener: any RowListener
    private let writer: CapturingWriter
    private let deleter: CapturingWriter

    init(
        _ transaction: any StoreTransaction, table: Int, _ schema: TableSchema,
        telling listener: any RowListener
    ) {
        self.transaction = transaction
        self.table = table
        self.listener = listener
        cursor = RecordCursor(schema)
        writer = CapturingWriter(transaction.upsert(into: table), written: listener.take)
        deleter = CapturingWriter(transaction.delete(from: table), written: listener.remove)
    }

    func upsert(into table: Int) -> any RowWriter {
        table == self.table ? writer : transaction.upsert(into: table)
    }
    func delete(from table: Int) -> any RowWriter {
        table == self.table ? deleter : transaction.delete(from: table)
    }

    func upsertRows(
        into table: Int, count: Int, telling other: (any RowListener)?,
        _ write: (Int, any RowWriter) throws -> Void
    ) throws {
        try transaction.upsertRows(
            into: table, count: count, telling: table == self.table ? listener : other, write)
    }
    func merge(
        _ rows: any SpilledRows, into table: Int, sideBySide: Bool,
        telling other: (any RowListener)?,
        combine: ([any RowCursor], any RowWriter) throws -> Void
    ) throws {
        try transaction.merge(
            rows, into: table, sideBySide: sideBySide,
            telling: table == self.table ? listener : other, combine: combine)
    }
    func append(_ rows: RecordList, to table: Int) throws {
        if table == self.table { try rows.forEachRow(cursor) { try listener.take(cursor) } }
        try transaction.append(rows, to: table)
    }

    func add(_ deadLetter: DeadLetter) throws(KappaError) { try transaction.add(deadLetter) }
    func add(_ change: ChangeRecord) throws(KappaError) { try transaction.add(change) }
}
