/// Read-only SQL over the live versions of all views, by their tables' names.
package struct SQLQuery {
    private let select: GuardedSelect

    /// Attaches the live versions whose tables the statement names.
    /// - Parameters:
    ///   - parameters: The values of `?`, in order; texts take the type of what they are compared with.
    ///   - seconds: How long it may run.
    package init(
        _ statement: String, _ catalog: Catalog, parameters: [Value] = [], seconds: Int = 60
    ) throws {
        let versions = try AskedVersions()
        let words = Self.words(statement)
        var views: [String: String] = [:]
        var tableNames: Set<String> = []
        /// Of views whose file cannot be read: they matter to a statement that names them.
        var failure: KappaError?
        for entry in try catalog.entries() where entry.isLive {
            let reader: VersionReader
            do throws(KappaError) { reader = try catalog.folder.reader(entry.id) } catch {
                if words.contains(entry.id.view) { throw error }
                failure = failure ?? error
                continue
            }
            tableNames.formUnion(reader.tables.map(\.name))
            let named = reader.tables.filter { words.contains($0.name) }
            if named.isEmpty { continue }
            for table in named {
                if let other = views[table.name] {
                    throw KappaError(
                        .usage, "there are two tables \(table.name)",
                        because: "the views \(other) and \(entry.id.view) have one each",
                        advice: "Look at each with `kappa query VIEW --table \(table.name)`")
                }
                views[table.name] = entry.id.view
            }
            try versions.add(reader, as: "live_\(entry.id.view)", named.map { ($0.name, $0) })
        }
        do throws(KappaError) {
            select = try versions.select(statement, parameters: parameters, seconds: seconds)
        } catch {
            // Which tables there are is what one asks next.
            guard error.reason?.hasPrefix("no such table") == true else { throw error }
            // It may be one of theirs.
            if let failure { throw failure }
            throw KappaError(
                error.code, error.what, at: statement, because: error.reason,
                advice: tableNames.isEmpty
                    ? "No view is live yet: `kappa run` builds them"
                    : "There are \(tableNames.sorted().joined(separator: ", "))")
        }
    }

    package var columns: [String] { select.columns }

    /// Visits the rows of the result.
    package func run(_ visit: ([Value]) throws -> Void) throws { try select.run(visit) }

    /// Words that could be names, of any case.
    private static func words(_ sql: String) -> Set<String> {
        let isWord = { (character: Character) in
            character.isLetter || character.isNumber || character == "_"
        }
        return Set(sql.lowercased().split { !isWord($0) }.map(String.init))
    }
}
