/// The bytes that the rows of a table point to outside of their own memory: texts, lists and the like. An
/// estimate, from the lengths of a row's texts.
struct PointedBytes {
    private var ofRows: [Int] = []
    private(set) var total = 0

    /// Measures a row by its cells.
    mutating func measure(_ id: UInt32, _ cells: [Value]) {
        var bytes = 0
        for cell in cells {
            switch cell {
            case .text(let text): bytes += Self.bytes(ofText: text.utf8.count)
            case .json(let text): bytes += Self.bytes(ofJSON: text.utf8.count)
            default: break
            }
        }
        set(id, bytes)
    }

    /// Sets the bytes of a row, or of a group of rows, to zero.
    mutating func clear(_ id: UInt32) { set(id, 0) }

    /// Adds a cell's text to a row, or to a group of rows.
    mutating func add(_ id: UInt32, _ kind: ColumnKind, _ count: Int) {
        let known = Int(id) < ofRows.count ? ofRows[Int(id)] : 0
        set(id, known + (kind == .json ? Self.bytes(ofJSON: count) : Self.bytes(ofText: count)))
    }

    /// Measures a stored row.
    mutating func measure(_ id: UInt32, _ cursor: any RowCursor, _ schema: TableSchema) {
        var bytes = 0
        for (index, column) in schema.columns.enumerated() where !cursor.isNull(index) {
            switch column.kind {
            case .text: bytes += Self.bytes(ofText: cursor.text(index).count)
            case .json: bytes += Self.bytes(ofJSON: cursor.text(index).count)
            default: break
            }
        }
        if schema.hasState {
            bytes += Self.bytes(ofJSON: cursor.blob(schema.columns.count).count)
        }
        set(id, bytes)
    }

    /// Adds the row's hidden state to what its cells take.
    mutating func add(_ id: UInt32, hidden bytes: Int) {
        let known = Int(id) < ofRows.count ? ofRows[Int(id)] : 0
        set(id, known + Self.bytes(ofJSON: bytes))
    }

    private mutating func set(_ id: UInt32, _ bytes: Int) {
        while ofRows.count <= Int(id) { ofRows.append(0) }
        total += bytes - ofRows[Int(id)]
        ofRows[Int(id)] = bytes
    }

    /// Swift stores texts of up to 15 bytes inline.
    private static func bytes(ofText count: Int) -> Int { count > 15 ? 32 + count : 0 }
    /// In memory, the values of a list take a few times as much as in JSON.
    private static func bytes(ofJSON count: Int) -> Int { 4 * count }
}
