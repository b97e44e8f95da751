/// Time travel: rows as they were at an offset of the log.
///
/// If a snapshot at that offset is kept, the rows are read from it. Otherwise this build's definition is
/// replayed into a scratch version, from the nearest earlier snapshot or from zero, which takes as long as a
/// rebuild over that stretch of the log. Cancelling the task ends the replay.
extension Kappa {
    /// The row of a fold with the given key, as it was before the event at `offset`; nil if there was none.
    /// - Throws: ``KappaError``: `.notFound` if the offset is past the end of the log, or if the view is not
    ///   one of this `Kappa`'s.
    public func row<Row: ViewRow, Key: KeyValue>(
        of view: View<Row>, key: Key, at offset: Offset
    ) async throws -> Row? {
        let (table, digest) = try foldTable(view)
        try table.check(key: Key.self)
        let key = key.cell
        return try await reading(view.name, at: offset) { reader in
            try StoredRows(table, digest: digest, in: reader).row(Row.self, key: key, in: reader)
        }
    }

    /// All rows of a fold as they were before the event at `offset`, in key order.
    /// - Throws: ``KappaError``: `.notFound` if the offset is past the end of the log, or if the view is not
    ///   one of this `Kappa`'s.
    public func rows<Row: ViewRow>(
        of view: View<Row>, at offset: Offset
    ) async throws -> [Row] {
        let (table, digest) = try foldTable(view)
        return try await reading(view.name, at: offset) { reader in
            try StoredRows(table, digest: digest, in: reader).rows(Row.self, in: reader)
        }
    }

    /// All rows of a declarative view's first table as they were before the event at `offset`, in key
    /// order.
    public func rows(of view: View<Columns>, at offset: Offset) async throws -> [Columns] {
        try await reading(view.name, at: offset) { try $0.columns() }
    }

    /// The offset after the last event that was appended at or before a time; zero if there is none.
    public func offset(asOf time: Timestamp) async throws -> Offset {
        let (log, micros) = (data.log, time.microseconds)
        return try await working { try IngestionTimes.end(asOfMicros: micros, in: log) }
    }

    private func reading<R: Sendable>(
        _ view: String, at offset: Offset,
        _ body: @escaping @Sendable (VersionReader) throws -> R
    ) async throws -> R {
        let definition = try workedOut.definition(of: view)
        let data = data
        let isCancelled = Monitor(false)
        return try await withTaskCancellationHandler {
            try await working { [weak self] in
                let past = try PastVersion(definition, at: offset, Catalog(data)) { _, _ in
                    if isCancelled.withLock({ $0 }) { throw CancellationError() }
                    // The replay may take long, and close() must not wait for it.
                    if self?.isClosed ?? true { throw KappaError.closed(data.path) }
                }
                defer { withExtendedLifetime(past) {} }
                return try past.reader.snapshot { try body(past.reader) }
            }
        } onCancel: {
            isCancelled.withLock { $0 = true }
        }
    }
}
