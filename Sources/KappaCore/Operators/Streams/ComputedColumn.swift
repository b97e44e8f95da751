import CKappaJSON

/// A column of values computed by Swift code, in the memory layout of an extracted column.
final class ComputedColumn {
    private let kind: ColumnKind
    private var capacity = 0
    private(set) var column: kj_column
    private var texts = ByteArena()

    init(kind: ColumnKind) {
        self.kind = kind
        column = kj_column(
            kind: kind.cKind, states: nil, integers: nil, doubles: nil, strings: nil, scales: nil)
    }

    deinit { free() }

    func clear() { texts.clear() }

    func set(_ row: Int, _ value: Value) {
        if row >= capacity { grow(to: max(1_024, capacity * 2, row + 1)) }
        column.states[row] = UInt8(KJ_VALUE.rawValue)
        switch value {
        case .null: column.states[row] = UInt8(KJ_NULL.rawValue)
        case .bool(let bool): column.integers[row] = bool ? 1 : 0
        case .integer(let integer): column.integers[row] = integer
        case .timestamp(let time): column.integers[row] = time.microseconds
        // The store has no NaN, so NaN is null here too: a restart then changes nothing.
        case .double(let double) where double.isNaN:
            column.states[row] = UInt8(KJ_NULL.rawValue)
            // A struct made from the column still gets the NaN.
            column.doubles[row] = double
        case .double(let double): column.doubles[row] = double
        case .decimal(let decimal): set(row, decimal)
        case .text(let text), .json(let text):
            var text = text
            column.strings[row] = text.withUTF8 { texts.add(UnsafeRawBufferPointer($0)) }
        }
    }

    func set(_ row: Int, integer: Int64?) {
        if row >= capacity { grow(to: max(1_024, capacity * 2, row + 1)) }
        column.states[row] = UInt8(integer == nil ? KJ_NULL.rawValue : KJ_VALUE.rawValue)
        column.integers[row] = integer ?? 0
    }

    /// Sets a row to a value of another column of the same kind. A text is not copied.
    func set(_ row: Int, _ other: kj_column, _ otherRow: Int) {
        if row >= capacity { grow(to: max(1_024, capacity * 2, row + 1)) }
        guard other.states[otherRow] == UInt8(KJ_VALUE.rawValue) else {
            column.states[row] = UInt8(KJ_NULL.rawValue)
            return
        }
        column.states[row] = UInt8(KJ_VALUE.rawValue)
        switch kind {
        case .bool, .integer, .timestamp: column.integers[row] = other.integers[otherRow]
        case .double: column.doubles[row] = other.doubles[otherRow]
        case .text, .json: column.strings[row] = other.strings[otherRow]
        case .decimal:
            column.integers[row] = other.integers[otherRow]
            column.scales[row] = other.scales[otherRow]
            column.strings[row] = other.strings[otherRow]
        }
    }

    /// Sets a row to a cell of a packed row. A text is not copied.
    func set(_ row: Int, _ packed: PackedRow, _ cell: Int, of cells: Int, _ cursor: PackedCursor) {
        if row >= capacity { grow(to: max(1_024, capacity * 2, row + 1)) }
        switch (kind, packed.storage(cell)) {
        case (.integer, .integer), (.timestamp, .integer), (.bool, .integer):
            set(row, integer: packed.integer(cell, of: cells))
        case (.text, .text), (.json, .text):
            column.states[row] = UInt8(KJ_VALUE.rawValue)
            let text = packed.bytes(cell, of: cells)
            let bytes = text.baseAddress?.assumingMemoryBound(to: CChar.self)
            column.strings[row] = kj_string(
                data: bytes, length: UInt32(text.count), hash: kj_hash(bytes, text.count))
        default:
            cursor.take(packed, of: cells)
            set(row, kind.value(cursor, cell))
        }
    }

    private func set(_ row: Int, _ decimal: ExactDecimal) {
        if let mantissa = Int64(exactly: decimal.mantissa) {
            column.integers[row] = mantissa
            column.scales[row] = UInt8(decimal.scale)
        } else {
            var text = decimal.description
            column.scales[row] = UInt8(KJ_WIDE)
            column.strings[row] = text.withUTF8 { texts.add(UnsafeRawBufferPointer($0)) }
        }
    }

    private func grow(to newCapacity: Int) {
        func moved<T>(_ old: UnsafeMutablePointer<T>?, _ zero: T) -> UnsafeMutablePointer<T> {
            let new = UnsafeMutablePointer<T>.allocate(capacity: newCapacity)
            new.initialize(repeating: zero, count: newCapacity)
            if let old {
                new.update(from: old, count: capacity)
                old.deallocate()
            }
            return new
        }
        column.states = moved(column.states, 0)
        switch kind {
        case .double: column.doubles = moved(column.doubles, 0)
        case .text, .json: column.strings = moved(column.strings, kj_string())
        case .decimal:
            column.strings = moved(column.strings, kj_string())
            column.integers = moved(column.integers, 0)
            column.scales = moved(column.scales, 0)
        case .bool, .integer, .timestamp: column.integers = moved(column.integers, 0)
        }
        capacity = newCapacity
    }

    private func free() {
        column.states?.deallocate()
        column.integers?.deallocate()
        column.doubles?.deallocate()
        column.strings?.deallocate()
        column.scales?.deallocate()
    }
}
