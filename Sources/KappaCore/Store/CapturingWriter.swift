/// Binds cells to another writer and remembers them until the row is written.
final class CapturingWriter: RowWriter, RowCursor {
    private enum Cell {
        case null
        case integer(Int64)
        case double(Double)
        case bytes(UnsafeRawBufferPointer, CellStorage)
        case copy([UInt8])
    }
    private let writer: any RowWriter
    private let written: (any RowCursor) throws(KappaError) -> Void
    private var cells: [Cell] = []

    /// - Parameter written: Gets each row before it is written.
    init(_ writer: any RowWriter, written: @escaping (any RowCursor) throws(KappaError) -> Void) {
        self.writer = writer
        self.written = written
    }

    private func set(_ index: Int, _ cell: Cell) {
        while cells.count <= index { cells.append(.null) }
        cells[index] = cell
    }

    func bindNull(_ index: Int) {
        set(index, .null)
        writer.bindNull(index)
    }
    func bind(_ index: Int, _ value: Int64) {
        set(index, .integer(value))
        writer.bind(index, value)
    }
    func bind(_ index: Int, _ value: Double) {
        // SQLite has no NaN: it would store NULL.
        set(index, value.isNaN ? .null : .double(value))
        writer.bind(index, value)
    }
    func bind(_ index: Int, text: UnsafeRawBufferPointer) {
        set(index, .bytes(text, .text))
        writer.bind(index, text: text)
    }
    func bind(_ index: Int, _ text: String) {
        set(index, .copy(Array(text.utf8)))
        writer.bind(index, text)
    }
    func bind(_ index: Int, blob: UnsafeRawBufferPointer) {
        set(index, .bytes(blob, .blob))
        writer.bind(index, blob: blob)
    }

    func execute() throws(KappaError) {
        try written(self)
        try writer.execute()
    }

    // The row as it is about to be written.

    func isNull(_ index: Int) -> Bool { storage(index) == .null }
    func integer(_ index: Int) -> Int64 {
        switch cells[index] {
        case .integer(let value): value
        case .double(let value): Int64(exactly: value) ?? 0
        case .null, .bytes, .copy: 0
        }
    }
    func double(_ index: Int) -> Double {
        switch cells[index] {
        case .integer(let value): Double(value)
        case .double(let value): value
        case .null, .bytes, .copy: 0
        }
    }
    func text(_ index: Int) -> UnsafeRawBufferPointer {
        switch cells[index] {
        case .bytes(let bytes, _): return bytes
        // The cell keeps its bytes until it is bound again.
        case .copy(let bytes): return bytes.withUnsafeBytes { $0 }
        case .null, .integer, .double: return UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }
    func blob(_ index: Int) -> UnsafeRawBufferPointer { text(index) }
    func storage(_ index: Int) -> CellStorage {
        switch cells[index] {
        case .null: .null
        case .integer: .integer
        case .double: .double
        case .bytes(_, let storage): storage
        case .copy: .text
        }
    }
}
