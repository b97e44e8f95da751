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
