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
}
