/// Forwards everything, and passes what is written to a table to the table's listener.
final class CapturingTransaction: StoreTransaction {
    private let transaction: any StoreTransaction
    private let listeners: [Int: any RowListener]
    private var writers: [Int: CapturingWriter] = [:]
    private var deleters: [Int: CapturingWriter] = [:]

    /// - Parameter listeners: The listener of each table, by the table's index.
    init(_ transaction: any StoreTransaction, _ listeners: [Int: any RowListener]) {
        self.transaction = transaction
        self.listeners = listeners
    }

    func upsert(into table: Int) -> any RowWriter {
        writer(of: table, in: &writers, made: transaction.upsert) { $0.take }
    }

    func delete(from table: Int) -> any RowWriter {
        writer(of: table, in: &deleters, made: transaction.delete) { $0.remove }
    }

    /// The one writer of a table that tells the table's listener; a plain one where nobody listens.
    private func writer(
        of table: Int, in kept: inout [Int: CapturingWriter], made make: (Int) -> any RowWriter,
        telling method: (any RowListener) -> (any RowCursor) throws(KappaError) -> Void
    ) -> any RowWriter {
        guard let listener = listeners[table] else { return make(table) }
        if let writer = kept[table] { return writer }
        let writer = CapturingWriter(make(table), written: method(listener))
        kept[table] = writer
        return writer
    }

    func upsertRows(
        into table: Int, count: Int, observer other: (any RowListener)?,
        _ write: (Int, any RowWriter) throws -> Void
    ) throws {
        try transaction.upsertRows(
            into: table, count: count, observer: try soleListener(other, table), write)
    }

    func merge(
        _ rows: any SpilledRows, into table: Int, sideBySide: Bool,
        observer other: (any RowListener)?,
        combine: ([any RowCursor], any RowWriter) throws -> Void
    ) throws {
        try transaction.merge(
            rows, into: table, sideBySide: sideBySide, observer: try soleListener(other, table),
            combine: combine)
    }

    /// The listener of a table; it can have only one.
    private func soleListener(
        _ other: (any RowListener)?, _ table: Int
    ) throws(KappaError) -> (any RowListener)? {
        guard let listener = listeners[table] else { return other }
        guard other == nil else { throw KappaError(.bug, "a table has two listeners") }
        return listener
    }

    func append(_ rows: RecordList, to table: Int) throws {
        if let listener = listeners[table] {
            let cursor = RecordCursor(rows.schema)
            try rows.forEachRow(cursor) { try listener.take(cursor) }
        }
        try transaction.append(rows, to: table)
    }

    func add(_ deadLetter: DeadLetter) throws(KappaError) { try transaction.add(deadLetter) }
    func add(_ change: ChangeRecord) throws(KappaError) { try transaction.add(change) }
}
