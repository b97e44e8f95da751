import CKappaJSON

/// The keys under which elements of a stream wait.
package protocol JoinKeys: AnyObject {
    /// Finds the numbers of the keys in some rows, and makes those that are new.
    /// - Parameter windows: By row; nil without windows.
    func find(
        _ rows: ArraySlice<Int32>, _ column: kj_column, _ windows: UnsafePointer<Int64>?,
        into ids: inout [UInt32])
}

/// One side of a join: elements by key, in log order, for as long as something may still meet them.
package protocol JoinSide: AnyObject {
    /// The number of the first element under a key; nil where there is none.
    func first(_ key: UInt32) -> UInt32?
    /// The number of the element behind another one.
    func next(_ number: UInt32) -> UInt32?
    func row(_ number: UInt32) -> PackedRow
    func meta(_ number: UInt32) -> JoinMeta
    /// Keeps the element that was put together; returns its number.
    func insert(_ builder: PackedRowBuilder, key: UInt32, _ meta: JoinMeta) -> UInt32
    /// Forgets an element. Its row stays as it is until ``reclaim()``.
    func remove(_ number: UInt32)
    /// The rows of elements that are forgotten are not looked at any more.
    func reclaim()
    /// Notes whether an element has met one of the other side.
    func setMatched(_ number: UInt32, _ isMatched: Bool)
    /// Forgets the elements whose time is `time` or earlier.
    func removeAll(upTo time: Int64)
}

/// Where an element of a join comes from.
package struct JoinMeta {
    /// The event that made it, and which of that event's elements it is.
    package var offset: Int64
    package var part: Int64
    /// Its event time in microseconds; zero for a stream without times.
    package var time: Int64
    /// Whether it has met an element of the other side.
    package var isMatched = false
}

extension TableSchema {
    /// The table of one side of a join: a row for each element that is kept.
    static func joinSide(key: ColumnKind, _ columns: [ColumnSchema]) -> TableSchema {
        var table = TableSchema(
            name: "",
            columns: [
                ColumnSchema("_offset", .integer, isKey: true),
                ColumnSchema("_part", .integer, isKey: true),
                ColumnSchema("_time", .integer), ColumnSchema("_matched", .bool),
                ColumnSchema("_key", key),
            ] + columns)
        table.isInternal = true
        return table
    }

    /// Where the key stands in a join side's table.
    static let joinSideKey = 4
    /// How many columns of a join side's table stand before the element's own.
    static let joinSideColumns = 5
}

/// Thrown where an element comes after what it belongs to has closed.
struct LateElement: Error {}
