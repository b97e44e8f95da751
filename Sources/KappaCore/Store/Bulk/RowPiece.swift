import CKappa

/// Some rows of a table, one behind the other, encoded on whichever thread: a ``BulkRow`` takes them in one
/// go.
///
/// `@unchecked Sendable`: a piece is with one thread at a time; ``OrderedWork`` hands it over.
final class RowPiece: @unchecked Sendable {
    /// Encodes the piece's rows.
    let row: BulkRow
    private let records = Records()

    /// Records one behind the other, each behind its length.
    private final class Records: RecordSink {
        private var memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: 1 << 16, alignment: 8)
        private var used = 0

        deinit { memory.deallocate() }

        var hasRows: Bool { used > 0 }

        func append(_ record: UnsafeRawBufferPointer) {
            let end = used + 8 + record.count
            if end > memory.count { grow(to: end) }
            memory.storeBytes(of: record.count, toByteOffset: used, as: Int.self)
            if let source = record.baseAddress, let base = memory.baseAddress {
                (base + used + 8).copyMemory(from: source, byteCount: record.count)
            }
            used = (end + 7) & ~7
        }

        private func grow(to size: Int) {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(size + 8, 2 * memory.count), alignment: 8)
            larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[..<used]))
            memory.deallocate()
            memory = larger
        }

        func removeAll() { used = 0 }

        func forEach(
            _ visit: (UnsafeRawBufferPointer) throws(KappaError) -> Void
        ) throws(KappaError) {
            var at = 0
            while at < used {
                let count = memory.load(fromByteOffset: at, as: Int.self)
                try visit(UnsafeRawBufferPointer(rebasing: memory[(at + 8)..<(at + 8 + count)]))
                at = (at + 8 + count + 7) & ~7
            }
        }
    }

    init(_ schema: TableSchema) { row = BulkRow(schema, records) }

    var hasRows: Bool { records.hasRows }

    func removeAll() { records.removeAll() }

    func forEachRecord(
        _ visit: (UnsafeRawBufferPointer) throws(KappaError) -> Void
    ) throws(KappaError) {
        try records.forEach(visit)
    }
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
