import CKappaJSON

/// The key of one stored row after another, in the form in which groups are looked up.
final class LoadedKey {
    private let integers: UnsafeMutablePointer<Int64>
    private let texts: UnsafeMutablePointer<kj_string>
    private(set) var columns: [KeyColumn] = []

    init(parts: Int) {
        integers = .allocate(capacity: parts)
        texts = .allocate(capacity: parts)
    }

    deinit {
        integers.deallocate()
        texts.deallocate()
    }

    /// Takes the key of a row. `keyColumns` are the table's columns that make up the key; `isText` says which
    /// parts are texts. The texts are the cursor's, and are not copied.
    func load(_ cursor: any RowCursor, _ keyColumns: [Int], isText: (Int) -> Bool) {
        columns.removeAll(keepingCapacity: true)
        for (part, column) in keyColumns.enumerated() {
            if isText(part) {
                set(part, cursor.text(column))
            } else {
                set(part, cursor.integer(column))
            }
        }
    }

    /// Takes the key of a group of another table.
    func load(_ id: UInt32, of table: GroupTable) {
        columns.removeAll(keepingCapacity: true)
        for part in 0..<table.keyParts {
            if table.isText(part) {
                set(part, table.textKey(id, part))
            } else {
                set(part, table.integerKey(id, part))
            }
        }
    }

    /// Takes the key from the cells of a packed row, the first part from cell `first`.
    func load(_ row: PackedRow, from first: Int, of cells: Int, isText: [Bool]) {
        columns.removeAll(keepingCapacity: true)
        for part in isText.indices {
            if isText[part] {
                set(part, row.bytes(first + part, of: cells))
            } else {
                set(part, row.integer(first + part, of: cells))
            }
        }
    }

    /// Sets the next part of a key.
    func set(_ part: Int, _ integer: Int64) {
        integers[part] = integer
        columns.append(.integers(integers + part))
    }

    private func set(_ part: Int, _ text: UnsafeRawBufferPointer) {
        let start = text.baseAddress?.assumingMemoryBound(to: CChar.self)
        texts[part] = kj_string(
            data: start, length: UInt32(text.count), hash: kj_hash(start, text.count))
        columns.append(.texts(texts + part))
    }
}
