/// A row on its way through a view, in one stretch of memory: its cells as the store keeps them.
///
/// It begins with its size (4 bytes), then the ``CellStorage`` of each cell (a byte), then 8 bytes for
/// each cell, then the texts. The 8 bytes of a text or a blob are its place and its length.
package struct PackedRow: Equatable {
    let base: UnsafeMutableRawPointer

    /// Bytes in all.
    @inline(__always)
    var byteCount: Int { Int(base.load(as: UInt32.self)) }

    @inline(__always)
    func storage(_ cell: Int) -> CellStorage {
        CellStorage(rawValue: base.load(fromByteOffset: 4 + cell, as: UInt8.self)) ?? .null
    }

    /// A cell that is known to be an integer.
    @inline(__always)
    func integer(_ cell: Int, of cells: Int) -> Int64 {
        base.load(fromByteOffset: Self.place(cell, of: cells), as: Int64.self)
    }

    @inline(__always)
    func double(_ cell: Int, of cells: Int) -> Double {
        base.load(fromByteOffset: Self.place(cell, of: cells), as: Double.self)
    }

    /// A cell that is known to be a text or a blob.
    @inline(__always)
    func bytes(_ cell: Int, of cells: Int) -> UnsafeRawBufferPointer {
        let place = Self.place(cell, of: cells)
        let start = base.load(fromByteOffset: place, as: UInt32.self)
        let count = base.load(fromByteOffset: place + 4, as: UInt32.self)
        return UnsafeRawBufferPointer(start: base + Int(start), count: Int(count))
    }

    /// Where the 8 bytes of a cell stand; for the cell behind the last one, where the texts begin.
    @inline(__always)
    static func place(_ cell: Int, of cells: Int) -> Int { (cells + 11) / 8 * 8 + 8 * cell }
}

/// Reads the cells of one packed row after another.
final class PackedCursor: RowCursor {
    private var row: PackedRow?
    private var cells = 0

    /// Turns to a row of so many cells.
    func take(_ row: PackedRow, of cells: Int) {
        self.row = row
        self.cells = cells
    }

    func isNull(_ index: Int) -> Bool { storage(index) == .null }
    func integer(_ index: Int) -> Int64 {
        switch storage(index) {
        case .integer: row?.integer(index, of: cells) ?? 0
        case .double: row.flatMap { Int64(exactly: $0.double(index, of: cells)) } ?? 0
        case .null, .text, .blob: 0
        }
    }
    func double(_ index: Int) -> Double {
        switch storage(index) {
        case .integer: row.map { Double($0.integer(index, of: cells)) } ?? 0
        case .double: row?.double(index, of: cells) ?? 0
        case .null, .text, .blob: 0
        }
    }
    func text(_ index: Int) -> UnsafeRawBufferPointer {
        switch storage(index) {
        case .text, .blob: row?.bytes(index, of: cells) ?? Self.nothing
        case .null, .integer, .double: Self.nothing
        }
    }
    func blob(_ index: Int) -> UnsafeRawBufferPointer { text(index) }
    func storage(_ index: Int) -> CellStorage { row?.storage(index) ?? .null }

    private static var nothing: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: nil, count: 0)
    }
}

extension PackedRow {
    /// Binds the first `count` cells, beginning at index `first`.
    func bind(_ count: Int, of cells: Int, to writer: any RowWriter, at first: Int) {
        for cell in 0..<count {
            // SQLite has no NaN: it would store NULL.
            if storage(cell) == .double, double(cell, of: cells).isNaN {
                writer.bindNull(first + cell)
            } else {
                writer.bind(first + cell, self, cell, of: cells)
            }
        }
    }
}

extension PackedRow {
    /// The cells from one on as values of the given kinds; a double that is no number is null, as it is when
    /// it is stored.
    func values(_ kinds: [ColumnKind], at first: Int = 0, of cells: Int) -> [Value] {
        let cursor = PackedCursor()
        cursor.take(self, of: cells)
        return kinds.indices.map { index in
            let value = kinds[index].value(cursor, first + index)
            if case .double(let double) = value, double.isNaN { return .null }
            return value
        }
    }
}
