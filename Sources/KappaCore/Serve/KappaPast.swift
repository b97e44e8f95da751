extension Kappa {
    /// The offset after the last event that was appended at or before a time; zero if there is none.
    public func offset(asOf time: Timestamp) async throws -> Offset {
        let (log, micros) = (data.log, time.microseconds)
        return try await working { try IngestionTimes.end(asOfMicros: micros, in: log) }
    }

    /// Reads a view as it was before the event at an offset.
    func reading<R: Sendable>(
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
