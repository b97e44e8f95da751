/// Deletes the rows of old windows from a table.
///
/// A row is kept as long as `window_end + keep > stream time`, as of the last event of a commit, in the
/// least of the time partitions. So the rows
/// at an offset do not depend on where earlier commits fell. An event whose window has been deleted is late,
/// so no deleted row comes back.
struct Retention {
    private let keep: Int64
    private let clock: PartitionClock
    private var deletedUntil = Int64.min

    init?(_ definition: AggregationDefinition, _ clock: PartitionClock) {
        guard let keep = definition.keepMicroseconds else { return nil }
        self.keep = keep
        self.clock = clock
    }

    /// Rows whose window has ended at this time or earlier are gone; nil while no row is.
    private var until: Int64? {
        let (until, overflow) = clock.least.subtractingReportingOverflow(keep)
        return overflow ? nil : until
    }

    /// Whether the row of a window is gone.
    func isGone(_ end: Int64) -> Bool { until.map { end <= $0 } ?? false }

    /// Deletes the stored rows that are gone. Must be called before other rows are written.
    mutating func deleteRows(
        from store: any RowStore, _ table: Int, _ schema: TableSchema,
        _ transaction: any StoreTransaction
    ) throws {
        guard let until, until > deletedUntil else { return }
        let deleter = transaction.delete(from: table)
        for row in try store.rowsEnded(table: table, by: until) {
            for (part, column) in schema.keyColumns.enumerated() { deleter.bind(part, row[column]) }
            try deleter.execute()
        }
        deletedUntil = until
    }
}
