import CKappaJSON

// Cells from where they stand, bound one by one.

extension RowWriter {
    /// Binds what a column holds in a row.
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

    /// Binds what columns hold in a row, the first at index `first`.
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
