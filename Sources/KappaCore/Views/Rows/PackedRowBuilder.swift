import CKappaJSON

/// Puts packed rows together, one after another.
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

    /// Begins a row. All of its cells are to be set.
    @inline(__always)
    func begin() { used = textsAt }

    /// The row that was put together, copied into an arena.
    @inline(__always)
    func finish(in arena: RowArena) -> PackedRow {
        memory.storeBytes(of: UInt32(used), as: UInt32.self)
        let row = arena.allocate(used)
        row.copyMemory(from: memory, byteCount: used)
        return PackedRow(base: row)
    }

    /// The row that was put together, for as long as no other is begun.
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

    // MARK: Cells from elsewhere

    /// Sets a cell to what a column holds in a row.
    @inline(__always)
    func set(_ index: Int, _ column: kj_column, _ row: Int, _ kind: ColumnKind) {
        guard column.states[row] == UInt8(KJ_VALUE.rawValue) else { return bindNull(index) }
        switch kind {
        case .bool: bind(index, Int64(column.integers[row] != 0 ? 1 : 0))
        case .integer, .timestamp: bind(index, column.integers[row])
        case .double: bind(index, column.doubles[row])
        case .decimal:
            guard let value = column.decimal(row) else { return bindNull(index) }
            DecimalCell.bind(value, to: self, at: index)
        case .text, .json: append(index, column.strings[row].buffer, .text)
        }
    }

    /// Sets the first cells to what columns hold in a row.
    func set(_ columns: [kj_column], _ row: Int, _ kinds: [ColumnKind]) {
        for index in 0..<kinds.count { set(index, columns[index], row, kinds[index]) }
    }

    /// Sets a cell to one of a packed row.
    func set(_ index: Int, _ row: PackedRow, _ cell: Int, of cells: Int) {
        switch row.storage(cell) {
        case .null: bindNull(index)
        case .integer: bind(index, row.integer(cell, of: cells))
        case .double: bind(index, row.double(cell, of: cells))
        case .text: append(index, row.bytes(cell, of: cells), .text)
        case .blob: append(index, row.bytes(cell, of: cells), .blob)
        }
    }

    /// Sets a cell to a stored one.
    func set(_ index: Int, _ cursor: any RowCursor, _ stored: Int) {
        switch cursor.storage(stored) {
        case .null: bindNull(index)
        case .integer: bind(index, cursor.integer(stored))
        case .double: bind(index, cursor.double(stored))
        case .text: append(index, cursor.text(stored), .text)
        case .blob: append(index, cursor.blob(stored), .blob)
        }
    }
}
