/// Takes the rows of old windows out of a table.
///
/// A row is there as long as `window_end + keep > stream time`, as of the last event of a commit: so the
/// rows at an offset are the same, however the log was cut into commits. An event into a window that
/// is gone is late, so nothing comes back.
struct Retention {
    private let keep: Int64
    /// The stream time as of the last event.
    var streamTime = Int64.min
    private var deletedUntil = Int64.min

    init?(_ definition: AggregationDefinition) {
        guard let keep = definition.keepMicroseconds else { return nil }
        self.keep = keep
    }

    /// Rows whose window has ended by then are gone; nil while none is.
    private var until: Int64? {
        let (until, overflow) = streamTime.subtractingReportingOverflow(keep)
        return overflow ? nil : until
    }

    /// Whether the row of a window is gone.
    func isGone(_ end: Int64) -> Bool { until.map { end <= $0 } ?? false }

    /// Deletes the stored rows that are gone. Before other rows are written.
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
