/// How the records of an aggregation become the rows of a table: where each cell comes from.
package struct RowLayout: Sendable {
    let table: TableSchema
    let origins: [Origin]
    let keyKinds: [ColumnKind]
    let functions: [AggregateShape]
    /// Whether groups may merge out of order: then first and last keep the offsets they come from.
    let groupsMerge: Bool

    /// The table's columns of the grouping's keys.
    var keyColumns: [Int] {
        origins.indices.filter { if case .key = origins[$0] { true } else { false } }
    }

    /// Where a cell comes from.
    package enum Origin: Sendable {
        case windowStart, windowEnd
        /// The date on which a calendar window begins, in its time zone.
        case windowDate(TimeZoneRules)
        case key(Int)
        case aggregate(Int)
        /// The event that made an element, and which of its elements it is.
        case offset, part
    }

    /// The table of the elements of sliding windows: a row for each, with the aggregates of it alone.
    /// - Parameters:
    ///   - columns: Those of the table of windows.
    ///   - origins: Where its columns come from.
    static func elements(
        _ keyKinds: [ColumnKind], _ functions: [AggregateShape], hasState: Bool,
        of columns: [ColumnSchema], _ origins: [Origin]
    ) -> RowLayout {
        var own = [
            ColumnSchema("_offset", .integer, isKey: true),
            ColumnSchema("_part", .integer, isKey: true), ColumnSchema("_time", .timestamp),
        ]
        var ownOrigins: [Origin] = [.offset, .part, .windowEnd]
        for (column, origin) in zip(columns, origins) {
            switch origin {
            case .windowStart, .windowEnd, .windowDate, .offset, .part: continue
            case .key, .aggregate:
                own.append(ColumnSchema(column.name, column.kind))
                ownOrigins.append(origin)
            }
        }
        var table = TableSchema(name: "", columns: own, hasState: hasState)
        table.isInternal = true
        return RowLayout(
            table: table, origins: ownOrigins, keyKinds: keyKinds, functions: functions,
            groupsMerge: false)
    }
}
