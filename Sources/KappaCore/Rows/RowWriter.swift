import CKappaJSON

/// Binds the cells of one row. Text and blobs are read during `execute()` at the latest: their bytes
/// must stay valid until then.
package protocol RowWriter: AnyObject {
    func bindNull(_ index: Int)
    func bind(_ index: Int, _ value: Int64)
    func bind(_ index: Int, _ value: Double)
    func bind(_ index: Int, text: UnsafeRawBufferPointer)
    /// Binds a text that the writer copies.
    func bind(_ index: Int, _ text: String)
    func bind(_ index: Int, blob: UnsafeRawBufferPointer)
    func execute() throws(KappaError)
}

/// Reads the cells of one row; indices as in the table's schema, the state blob last.
package protocol RowCursor: AnyObject {
    func isNull(_ index: Int) -> Bool
    func integer(_ index: Int) -> Int64
    func double(_ index: Int) -> Double
    /// UTF-8 bytes, valid until the cursor moves.
    func text(_ index: Int) -> UnsafeRawBufferPointer
    func blob(_ index: Int) -> UnsafeRawBufferPointer
    /// How the cell is stored, for decimals, which may be integers, doubles or text.
    func storage(_ index: Int) -> CellStorage
}

package enum CellStorage: UInt8, Sendable { case null, integer, double, text, blob }

extension ColumnKind {
    /// A stored cell of this kind.
    func value(_ cursor: any RowCursor, _ index: Int) -> Value {
        if cursor.isNull(index) { return .null }
        switch self {
        case .bool: return .bool(cursor.integer(index) != 0)
        case .integer: return .integer(cursor.integer(index))
        case .double: return .double(cursor.double(index))
        case .decimal: return DecimalCell.read(cursor, index).map { .decimal($0) } ?? .null
        case .timestamp: return .timestamp(Timestamp(microseconds: cursor.integer(index)))
        case .text: return .text(String(decoding: cursor.text(index), as: UTF8.self))
        case .json: return .json(String(decoding: cursor.text(index), as: UTF8.self))
        }
    }
}

// Cells of columns, packed rows and stored rows, bound one by one.

extension RowWriter {
    /// Binds the value of a column in a row.
    @inline(__always)
    func bind(_ index: Int, _ column: kj_column, _ row: Int, _ kind: ColumnKind) {
        guard column.states[row] == UInt8(KJ_VALUE.rawValue) else { return bindNull(index) }
        switch kind {
        case .bool: bind(index, Int64(column.integers[row] != 0 ? 1 : 0))
        case .integer, .timestamp: bind(index, column.integers[row])
        case .double: bind(index, column.doubles[row])
        case .decimal:
            guard let value = column.decimal(row) else { return bindNull(index) }
            DecimalCell.bind(value, to: self, at: index)
        case .text, .json: bind(index, text: column.strings[row].buffer)
        }
    }

    /// Binds the values of columns in a row, the first at index `first`.
    @inline(__always)
    func bind(_ columns: [kj_column], _ row: Int, _ kinds: [ColumnKind], at first: Int = 0) {
        for index in 0..<kinds.count { bind(first + index, columns[index], row, kinds[index]) }
    }

    /// Binds a cell of a packed row.
    @inline(__always)
    func bind(_ index: Int, _ row: PackedRow, _ cell: Int, of cells: Int) {
        switch row.storage(cell) {
        case .null: bindNull(index)
        case .integer: bind(index, row.integer(cell, of: cells))
        case .double: bind(index, row.double(cell, of: cells))
        case .text: bind(index, text: row.bytes(cell, of: cells))
        case .blob: bind(index, blob: row.bytes(cell, of: cells))
        }
    }

    /// Binds a stored cell.
    @inline(__always)
    func bind(_ index: Int, _ cursor: any RowCursor, _ stored: Int) {
        switch cursor.storage(stored) {
        case .null: bindNull(index)
        case .integer: bind(index, cursor.integer(stored))
        case .double: bind(index, cursor.double(stored))
        case .text: bind(index, text: cursor.text(stored))
        case .blob: bind(index, blob: cursor.blob(stored))
        }
    }
}
