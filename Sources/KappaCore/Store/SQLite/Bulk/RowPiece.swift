import CKappa

/// Some rows of a table, one behind the other, encoded on whichever thread: a ``BulkRow`` takes them in one
/// go.
///
/// `@unchecked Sendable`: a piece is with one thread at a time; ``OrderedWork`` hands it over.
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
    /// Appends rows in the order of their keys; `write` binds and executes one with the writer that it is
    /// given. Many are encoded on several threads at once, while this one puts them into the table.
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

    /// Appends rows piece by piece; `make` appends those of a piece to the row that it is given, on several
    /// threads at once.
    func append(pieces: Int, _ make: (Int, BulkRow) throws -> Void) throws {
        let threads = min(Int(kappa_core_count()), Self.mostThreads)
        let slots = (0..<(threads + 2)).map { _ in RowPiece(schema) }
        // Whoever calls this has seen to it that pieces do not touch each other.
        nonisolated(unsafe) let make = make
        try OrderedWork.run(pieces: pieces, slots: slots, threads: threads) { piece, slot in
            slot.removeAll()
            try make(piece, slot.row)
        } take: { slot in
            try append(slot)
        }
    }

    /// Fewer are written before other threads have begun.
    private static let manyRows = 20_000
    private static let rowsOfPiece = 4_096
    /// One thread puts rows into the table as fast as so many encode them, about.
    private static let mostThreads = 4
}
