import CKappaJSON

/// A row that a view is working on, in one piece of memory, with its cells as the store keeps them.
///
/// It begins with its size (4 bytes), then the ``CellStorage`` of each cell (a byte), then 8 bytes for
/// each cell, then the texts. The 8 bytes of a text or a blob are its offset and its length.
package struct PackedRow: Equatable {
    let base: UnsafeMutableRawPointer

    /// The row's size.
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

    /// The offset of a cell's 8 bytes; for the cell after the last one, the offset at which the texts begin.
    @inline(__always)
    static func place(_ cell: Int, of cells: Int) -> Int { (cells + 11) / 8 * 8 + 8 * cell }
}

/// Reads the cells of one packed row after another.
final class PackedCursor: RowCursor {
    private var row: PackedRow?
    private var cells = 0

    /// Moves to a row that has `cells` cells.
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
    /// The cells from `first` on as values of the given kinds; NaN becomes null, as it does in the store.
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

/// Builds packed rows, one after another.
package final class PackedRowBuilder: RowWriter {
    let cells: Int
    private let valuesAt: Int
    private let textsAt: Int
    private var memory: UnsafeMutableRawPointer
    private var capacity: Int
    private var used: Int

    init(cells: Int) {
        self.cells = cells
        valuesAt = PackedRow.place(0, of: cells)
        textsAt = PackedRow.place(cells, of: cells)
        capacity = max(1_024, 2 * textsAt)
        memory = .allocate(byteCount: capacity, alignment: 16)
        used = textsAt
    }

    deinit { memory.deallocate() }

    /// Begins a row. All of its cells must be set.
    @inline(__always)
    func begin() { used = textsAt }

    /// The row that was built, copied into an arena.
    @inline(__always)
    func finish(in arena: RowArena) -> PackedRow {
        memory.storeBytes(of: UInt32(used), as: UInt32.self)
        let row = arena.allocate(used)
        row.copyMemory(from: memory, byteCount: used)
        return PackedRow(base: row)
    }

    /// The row that was built; valid until the next one is begun.
    var row: PackedRow {
        memory.storeBytes(of: UInt32(used), as: UInt32.self)
        return PackedRow(base: memory)
    }

    @inline(__always)
    private func set(_ index: Int, _ storage: CellStorage) {
        memory.storeBytes(of: storage.rawValue, toByteOffset: 4 + index, as: UInt8.self)
    }

    package func bindNull(_ index: Int) { set(index, .null) }

    package func bind(_ index: Int, _ value: Int64) {
        set(index, .integer)
        memory.storeBytes(of: value, toByteOffset: valuesAt + 8 * index, as: Int64.self)
    }

    package func bind(_ index: Int, _ value: Double) {
        set(index, .double)
        memory.storeBytes(of: value, toByteOffset: valuesAt + 8 * index, as: Double.self)
    }

    package func bind(_ index: Int, text: UnsafeRawBufferPointer) { append(index, text, .text) }

    package func bind(_ index: Int, _ text: String) {
        var text = text
        text.withUTF8 { append(index, UnsafeRawBufferPointer($0), .text) }
    }

    package func bind(_ index: Int, blob: UnsafeRawBufferPointer) { append(index, blob, .blob) }

    package func execute() {}

    private func append(
        _ index: Int, _ bytes: UnsafeRawBufferPointer, _ storage: CellStorage
    ) {
        if used + bytes.count > capacity { grow(to: used + bytes.count) }
        set(index, storage)
        let place = valuesAt + 8 * index
        memory.storeBytes(of: UInt32(used), toByteOffset: place, as: UInt32.self)
        memory.storeBytes(of: UInt32(bytes.count), toByteOffset: place + 4, as: UInt32.self)
        if let source = bytes.baseAddress {
            (memory + used).copyMemory(from: source, byteCount: bytes.count)
        }
        used += bytes.count
    }

    private func grow(to size: Int) {
        let larger = UnsafeMutableRawPointer.allocate(byteCount: 2 * size, alignment: 16)
        larger.copyMemory(from: memory, byteCount: used)
        memory.deallocate()
        memory = larger
        capacity = 2 * size
    }
}
