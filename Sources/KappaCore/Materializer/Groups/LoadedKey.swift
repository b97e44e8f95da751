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

    /// Takes the key of a row. `keyColumns` are the table's columns that make it; `isText` tells of each
    /// part. Its texts are those of the cursor.
    func load(_ cursor: any RowCursor, _ keyColumns: [Int], isText: (Int) -> Bool) {
        columns.removeAll(keepingCapacity: true)
        for (part, column) in keyColumns.enumerated() {
            if isText(part) {
                let text = cursor.text(column)
                let start = text.baseAddress?.assumingMemoryBound(to: CChar.self)
                texts[part] = kj_string(
                    data: start, length: UInt32(text.count), hash: kj_hash(start, text.count))
                columns.append(.texts(texts + part))
            } else {
                integers[part] = cursor.integer(column)
                columns.append(.integers(integers + part))
            }
        }
    }
}
