import CKappaJSON

/// The key of one stored row, in the form in which groups are looked up.
final class LoadedKey {
    private let integers: UnsafeMutablePointer<Int64>
    private let texts: UnsafeMutablePointer<kj_string>
    private(set) var columns: [KeyColumn] = []

    /// `keyColumns` are the table's columns that make the key; `isText` tells of each part.
    init(_ cursor: any RowCursor, _ keyColumns: [Int], isText: (Int) -> Bool) {
        integers = .allocate(capacity: keyColumns.count)
        texts = .allocate(capacity: keyColumns.count)
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

    deinit {
        integers.deallocate()
        texts.deallocate()
    }
}
