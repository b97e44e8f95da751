/// Follows the rows of a view that become final. Each arrives once.
package final class FinalFollower {
    private let catalog: Catalog
    private let view: String
    private let definitions: [ViewDefinition]
    private var current: (reader: VersionReader, number: VersionNumber, tables: [FinalRows])?
    /// For each table, the window end up to which its rows have been visited.
    private var seen: [String: Int64] = [:]
    private var skipsFirst: Bool

    package init(
        _ view: String, _ catalog: Catalog, _ definitions: [ViewDefinition], fromNow: Bool
    ) throws(KappaError) {
        self.view = view
        self.catalog = catalog
        self.definitions = definitions
        skipsFirst = fromNow
        if let definition = definitions.first(where: { $0.name == view }) {
            _ = try FinalRows.all(definition)
        }
    }

    /// Visits the rows that have become final since the last call, in the order of their windows' ends;
    /// returns whether there were any. After a promotion, the new version's rows continue where those
    /// of the old one ended.
    package func poll(_ visit: (Change) throws -> Void) throws -> Bool {
        guard let live = try catalog.live(view) else { return false }
        if current?.number != live { try open(live) }
        guard let current else { return false }
        var visited = false
        try current.reader.snapshot {
            let checkpoint = try current.reader.checkpoint()
            for rows in current.tables {
                let table = current.reader.tables[rows.table]
                guard let until = rows.until(checkpoint), until > seen[table.name] ?? .min else {
                    continue
                }
                if !skipsFirst {
                    var query = RowQuery()
                    query.table = table.name
                    query.ended = (after: seen[table.name] ?? .min, until: until)
                    query.order =
                        ["window_end"] + table.keyColumns.map { table.columns[$0].name }
                    try query.run(on: current.reader) { values in
                        visited = true
                        try visit(
                            Change(
                                row: values, of: table, at: checkpoint.offset,
                                version: current.number))
                    }
                }
                seen[table.name] = until
            }
        }
        skipsFirst = false
        return visited
    }

    private func open(_ live: VersionNumber) throws {
        let id = VersionID(view, live)
        let reader = try catalog.folder.reader(id)
        let definition = try FinalRows.definition(of: reader, id, among: definitions)
        current = (reader, live, try FinalRows.all(definition))
    }
}
