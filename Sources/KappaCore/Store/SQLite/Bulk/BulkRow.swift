import CKappa
import Glibc

/// Encodes rows, one at a time, as records for a ``BulkTable`` or a run.
final class BulkRow: RowWriter {
    let schema: TableSchema
    private let table: any RecordSink
    private let encoder: RecordEncoder
    private let cursor: RecordCursor
    /// Gets each row once it is in the table.
    private var listener: (any RowListener)?
    private let keyParts: Int
    private let record = ScratchMemory()
    private let firstKey: PackedKey
    /// The key of the last row.
    private(set) var lastKey: PackedKey
    /// The key of the current row.
    private var key: PackedKey

    init(_ schema: TableSchema, _ table: any RecordSink) {
        self.schema = schema
        self.table = table
        encoder = RecordEncoder(schema)
        cursor = RecordCursor(schema)
        keyParts = schema.keyColumns.count
        (firstKey, lastKey, key) = (PackedKey(schema), PackedKey(schema), PackedKey(schema))
    }

    func bindNull(_ index: Int) { encoder.setNull(index) }
    func bind(_ index: Int, _ value: Int64) { encoder.set(index, value) }
    func bind(_ index: Int, _ value: Double) { encoder.set(index, value) }
    func bind(_ index: Int, text: UnsafeRawBufferPointer) { encoder.set(index, text: text) }
    func bind(_ index: Int, blob: UnsafeRawBufferPointer) { encoder.set(index, blob: blob) }
    func bind(_ index: Int, _ text: String) { encoder.set(index, text) }

    /// Appends the row to the table.
    /// - Throws: `.bug` if its key does not sort after that of the row before it.
    func execute() throws(KappaError) {
        guard encoder.set(key, parts: keyParts) else { throw Self.wrongOrder() }
        try checkOrder()
        let start = record.reserve(encoder.mostBytes)
        try put(UnsafeRawBufferPointer(start: start, count: encoder.write(to: start)))
    }

    /// Passes all rows that `body` appends to a listener.
    func observing(with listener: (any RowListener)?, _ body: () throws -> Void) rethrows {
        self.listener = listener
        defer { self.listener = nil }
        try body()
    }

    private func put(_ record: UnsafeRawBufferPointer) throws(KappaError) {
        try table.append(record)
        guard let listener else { return }
        guard cursor.take(record) else { throw RecordList.damage(schema) }
        try listener.take(cursor)
    }

    /// Appends a row that was written before, as it is.
    func copy(_ record: UnsafeRawBufferPointer, _ itsKey: PackedKey) throws(KappaError) {
        key.set(itsKey)
        try checkOrder()
        try put(record)
    }

    /// Appends rows that are records already.
    func append(_ records: RecordList) throws(KappaError) {
        try records.forEachRecord { record throws(KappaError) in
            guard cursor.take(record) else { throw RecordList.damage(schema) }
            key.set(cursor)
            try checkOrder()
            try put(record)
        }
    }

    /// Appends the rows of a piece.
    func append(_ piece: RowPiece) throws(KappaError) {
        guard piece.hasRows else { return }
        if table.hasRows, !lastKey.isBefore(piece.row.firstKey) { throw Self.wrongOrder() }
        try piece.records.forEachRecord { record throws(KappaError) in try put(record) }
        lastKey.set(piece.row.lastKey)
    }

    /// The table has rows already, up to one with this key.
    func resume(after key: PackedKey) { lastKey.set(key) }

    /// Rows in the wrong order would damage the table, so the order is checked each time.
    private func checkOrder() throws(KappaError) {
        if !table.hasRows {
            firstKey.set(key)
        } else if !lastKey.isBefore(key) {
            throw Self.wrongOrder()
        }
        swap(&key, &lastKey)
    }

    private static func wrongOrder() -> KappaError {
        KappaError(
            .bug, "rows of a new version are not in the order of their keys",
            advice: "Please report it; `kappa rebuild` is safe to run again")
    }
}

/// Some consecutive rows of a table, encoded on any thread; a ``BulkRow`` takes them all at once.
///
/// `@unchecked Sendable`: only one thread at a time has a piece; ``OrderedWork`` hands it over.
final class RowPiece: @unchecked Sendable {
    /// Encodes the piece's rows.
    let row: BulkRow
    let records: RecordList

    init(_ schema: TableSchema) {
        records = RecordList(schema)
        row = BulkRow(schema, records)
    }

    var hasRows: Bool { records.hasRows }
    func removeAll() { records.removeAll() }
}

extension RecordList: RecordSink {
    var hasRows: Bool { count > 0 }
}

extension BulkRow {
    /// Appends rows in the order of their keys; `write` binds and executes one with the writer that it
    /// gets. If there are many, several threads encode them at once, while this one puts them into the
    /// table.
    func append(_ count: Int, _ write: (Int, any RowWriter) throws -> Void) throws {
        guard count >= Self.manyRows, kappa_core_count() > 1 else {
            for index in 0..<count { try write(index, self) }
            return
        }
        let rows = Self.rowsOfPiece
        try append(pieces: (count + rows - 1) / rows) { piece, row in
            for index in (piece * rows)..<min(count, (piece + 1) * rows) { try write(index, row) }
        }
    }

    /// Appends rows piece by piece; `make` appends those of a piece to the row that it gets, on several
    /// threads at once.
    func append(pieces: Int, _ make: (Int, BulkRow) throws -> Void) throws {
        let threads = min(Int(kappa_core_count()), Self.mostThreads)
        let slots = (0..<(threads + 2)).map { _ in RowPiece(schema) }
        // The caller guarantees that pieces do not share anything that changes.
        nonisolated(unsafe) let make = make
        try OrderedWork.run(pieces: pieces, slots: slots, threads: threads) { piece, slot in
            slot.removeAll()
            try make(piece, slot.row)
        } take: { slot in
            try append(slot)
        }
    }

    /// Fewer rows are written before other threads would have started.
    private static let manyRows = 20_000
    private static let rowsOfPiece = 4_096
    /// One thread puts rows into the table about as fast as this many encode them.
    private static let mostThreads = 4
}
