/// Reading the rows of views.
///
/// Rows are read from the live version, as of one commit; there are none while no version is live. With an
/// offset, they are read as they were before the event at that offset: from a snapshot if one is kept there, and
/// otherwise by replaying this build's definition aside, from the nearest earlier snapshot or from the log's
/// first event. That takes as long as a rebuild over that stretch of the log; cancelling the task ends it.
extension Kappa {
    /// The row of one key, as the view's row type; nil if there is none.
    ///
    /// ```swift
    /// let order = try await kappa.row(of: orders, key: "o-1")
    /// let day = try await kappa.row(of: revenueByDay, key: "2024-03-01", "north")
    /// ```
    /// - Parameters:
    ///   - key: The parts of the key, in the order of the table's key columns.
    ///   - offset: Nil for now.
    /// - Throws: ``KappaError``: `.notFound` if the view is not one of this `Kappa`'s, or if the offset is
    ///   past the end of the log; `.usage` if the table has no such keys; `.refused` if another build made
    ///   the live version and its columns, or their types, differ from those of `Row`.
    public func row<Row: ViewRow, each Part: KeyValue>(
        of view: View<Row>, key: repeat each Part, at offset: Offset? = nil
    ) async throws -> Row? {
        let rows = try viewRows(of: view)
        let key = try RowKey(repeat each key)
            .cells(of: workedOut.definition(of: view.name).tables[0])
        return try await reading(view.name, at: offset, on: lookUps) { reader in
            let decoder = try rows.decoder(in: reader)
            var row: Row?
            try reader.forRow(table: decoder.table, key: key) { row = try decoder.decode($0) }
            return row
        } ?? nil
    }

    /// All rows of a view's first table as the view's row type, in key order.
    /// - Throws: ``KappaError``: `.notFound` if the view is not one of this `Kappa`'s, or if the offset is
    ///   past the end of the log; `.refused` if another build made the live version and its columns, or their
    ///   types, differ from those of `Row`.
    public func rows<Row: ViewRow>(
        of view: View<Row>, at offset: Offset? = nil
    ) async throws -> [Row] {
        try await page(view, RowQuery(), viewRows(of: view), at: offset).rows
    }

    /// All rows of a view's first table, as cells by column name, in key order.
    /// - Throws: ``KappaError``: `.notFound` if neither this `Kappa` nor the folder has the view, or if the
    ///   offset is past the end of the log.
    public func rows(
        of view: View<Columns>, at offset: Offset? = nil
    ) async throws -> [Columns] {
        try await columns(of: view, at: offset)
    }

    /// All rows of any view's first table, as cells by column name, in key order. The columns are those of the
    /// version that is read, whichever build made it.
    /// - Throws: ``KappaError``: `.notFound` if neither this `Kappa` nor the folder has the view, or if the
    ///   offset is past the end of the log.
    public func columns(
        of view: some AnyView, at offset: Offset? = nil
    ) async throws -> [Columns] {
        try await query(view, at: offset).rows
    }

    /// The rows of one of a view's tables that meet a query, as cells by column name.
    ///
    /// ```swift
    /// var query = RowQuery(where: "revenue > ?", parameters: [.decimal(100)], limit: 50)
    /// repeat {
    ///     let page = try await kappa.query(userTotals, query)
    ///     show(page.rows)
    ///     query.after = page.next
    /// } while query.after != nil
    /// ```
    /// - Parameters:
    ///   - finalOnly: Only rows of windows that have closed, which never change again.
    ///   - offset: Nil for now.
    /// - Throws: ``KappaError``: `.notFound` if neither this `Kappa` nor the folder has the view or the table,
    ///   or if the offset is past the end of the log; `.usage` if the query cannot be run, with the reason.
    public func query(
        _ view: some AnyView, _ query: RowQuery = RowQuery(), finalOnly: Bool = false,
        at offset: Offset? = nil
    ) async throws -> RowPage<Columns> {
        try await page(
            view, query, ViewRows { try RowDecoder(columnsOf: $0, table: query.table) },
            finalOnly: finalOnly, at: offset)
    }

    /// The rows of one of a view's tables that meet a query, as structs: each property takes the column of
    /// the same name. A property that has no column must be optional.
    /// - Throws: As without `as`; also `.usage` if the table's columns, or their types, are not those of `Row`.
    public func query<Row: Decodable & Sendable>(
        _ view: some AnyView, as type: Row.Type, _ query: RowQuery = RowQuery(),
        finalOnly: Bool = false, at offset: Offset? = nil
    ) async throws -> RowPage<Row> {
        let fields = try RowFields<Row>()
        return try await page(
            view, query, ViewRows { try RowDecoder(fields, in: $0, table: query.table) },
            finalOnly: finalOnly, at: offset)
    }

    /// The position of a view's live version: the offset of the next event it will apply. Nil if the view has
    /// no live version.
    /// - Throws: ``KappaError``: `.notFound` if neither this `Kappa` nor the folder has the view;
    ///   `.inputOutput`, with the reason, if the live version has stopped for good, or if no version has
    ///   become live yet and the newest one has stopped for good: a caller that waits for a position would
    ///   wait for ever. While a version that stopped is being retried, its position is that of its last
    ///   commit, and ``status()`` has the reason.
    public func position(of view: some AnyView) async throws -> Offset? {
        try enter()
        defer { leave() }
        let (name, readers) = (view.name, readers)
        return try await lookUps.perform { try readers.position(name) }
    }

    /// Returns once a view's live version has taken the event at an offset, as ``append(_:_:)`` returned it: from
    /// then on its rows include what the event did to them. Commits wake it, and come at once while somebody waits.
    ///
    /// ```swift
    /// let offset = try await kappa.append(OrderPlaced(orderID: "o-1", total: 12))
    /// try await kappa.wait(for: orders, reaching: offset)
    /// ```
    /// - Parameter time: How long to wait at most; nil for as long as it takes.
    /// - Throws: ``KappaError``: `.unreachable` if that time passes; `.usage` if this `Kappa` is closed; else as
    ///   ``position(of:)``. `CancellationError` if the task is cancelled.
    public func wait(
        for view: some AnyView, reaching offset: Offset, atMost time: Duration? = nil
    ) async throws {
        try await waiters.wait(for: view.name, past: offset, atMost: time)
    }

    // MARK: How rows are read

    /// How rows of the view's own type are read.
    /// - Throws: `.notFound` if the view is not one of this `Kappa`'s; `.usage` if its rows have another type.
    private func viewRows<Row: ViewRow>(
        of view: View<Row>
    ) throws(KappaError) -> ViewRows<Row> {
        let definition = try workedOut.definition(of: view.name)
        for step in definition.steps {
            guard case .fold(let fold) = step.kind, let table = fold.tables.first else { continue }
            if table.rowType == Row.self {
                return ViewRows { try RowDecoder(table, digest: definition.digest, in: $0) }
            }
            throw KappaError(
                .usage, "view \(view.name) has no rows of type \(Row.self)", at: definition.name,
                because: "this Kappa was opened with a view of that name whose rows are "
                    + "\(table.rowType)",
                advice: "Read with the view that this Kappa was opened with")
        }
        let fields = try RowFields<Row>()
        return ViewRows { try RowDecoder(fields, in: $0, table: view.name, isRefused: true) }
    }

    private func page<Row: Sendable>(
        _ view: some AnyView, _ query: RowQuery, _ rows: ViewRows<Row>, finalOnly: Bool = false,
        at offset: Offset?
    ) async throws -> RowPage<Row> {
        let views = workedOut.sound
        return try await reading(view.name, at: offset, on: scans) { reader in
            try RowPage(query, on: reader, rows, final: finalOnly ? views : nil)
        } ?? RowPage()
    }

    /// Reads from the live version, or from the past; nil if there is no live version.
    private func reading<R: Sendable>(
        _ view: String, at offset: Offset?, on threads: CallThreads,
        _ body: @escaping @Sendable (VersionReader) throws -> R
    ) async throws -> R? {
        if let offset { return try await reading(view, at: offset, body) }
        try enter()
        defer { leave() }
        let readers = readers
        return try await threads.perform { try readers.read(view, body) }
    }
}
