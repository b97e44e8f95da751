/// What a server asks besides rows: SQL over all views, and the events that a view could not take.
extension Kappa {
    /// Runs one read-only `SELECT` over the live versions of all views, whose tables have the names that their
    /// views gave them; see `docs/sql.md`. All rows come as of one commit of each version.
    ///
    /// ```swift
    /// let rows = try await kappa.sql("SELECT city, sum(revenue) FROM orders WHERE day = ?", [.text(day)])
    /// ```
    /// - Parameters:
    ///   - parameters: The values of `?`, in order. A text is taken as what it is compared with.
    ///   - seconds: How long the statement may run. One that takes longer is an error.
    /// - Throws: ``KappaError``: `.usage` if it is no such statement, with the reason.
    public func sql(
        _ statement: String, _ parameters: [Value] = [], seconds: Int = 60
    ) async throws -> [Columns] {
        let data = data
        return try await working {
            let query = try SQLQuery(
                statement, Catalog(data), parameters: parameters, seconds: seconds)
            let names = query.columns
            var rows: [Columns] = []
            try query.run { rows.append(Columns(cells: Array(zip(names, $0)))) }
            return rows
        }
    }

    /// The events that a view's live version could not take, each with the reason, in the order of their
    /// offsets; none if no version is live.
    /// - Parameter limit: At most this many; nil for all that are kept.
    /// - Throws: ``KappaError``: `.notFound` if neither this `Kappa` nor the folder has the view.
    public func deadLetters(
        of view: some AnyView, limit: Int? = nil
    ) async throws -> [DeadLetter] {
        let (name, readers) = (view.name, readers)
        return try await working {
            try readers.read(name) { reader in
                var letters: [DeadLetter] = []
                try reader.deadLetters(limit: limit) { letters.append($0) }
                return letters
            } ?? []
        }
    }
}
