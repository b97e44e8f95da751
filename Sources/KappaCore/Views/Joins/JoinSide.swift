/// One side of a join: elements by key, in log order, for as long as something may still meet them.
package protocol JoinSide<Element>: AnyObject {
    associatedtype Element

    /// The elements under a key, in log order. None may be kept or forgotten meanwhile.
    func forEach(
        _ key: JoinKey, _ body: (UInt32, Element, JoinMeta) throws -> Void
    ) rethrows
    /// Keeps an element; returns its number.
    func insert(_ element: Element, key: JoinKey, _ meta: JoinMeta) throws -> UInt32
    /// Forgets an element.
    func remove(_ number: UInt32)
    /// Notes that an element has met one of the other side.
    func setMatched(_ number: UInt32)
    /// Forgets the elements whose time is `time` or earlier.
    func removeAll(upTo time: Int64)
}

/// What two elements must have in common.
package struct JoinKey {
    package var value: Value
    /// The start of the window in which both are, in microseconds; zero without windows.
    package var window: Int64 = 0
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
    static func joinSide(_ columns: [ColumnSchema]) -> TableSchema {
        var table = TableSchema(
            name: "",
            columns: [
                ColumnSchema("_offset", .integer, isKey: true),
                ColumnSchema("_part", .integer, isKey: true),
                ColumnSchema("_time", .integer), ColumnSchema("_matched", .bool),
            ] + columns)
        table.isInternal = true
        return table
    }

    /// How many columns of a join side's table stand before the element's own.
    static let joinSideColumns = 4
}

/// Thrown where an element comes after what it belongs to has closed.
struct LateElement: Error {}
