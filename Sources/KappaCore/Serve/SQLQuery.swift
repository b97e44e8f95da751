/// Read-only SQL over the live versions of all views, by their tables' names.
package struct SQLQuery {
    private let select: GuardedSelect

    /// Attaches the live versions whose tables the statement names.
    /// - Parameters:
    ///   - parameters: The values of `?`, in order; a text takes the type of what it is compared with.
    ///   - seconds: How long the statement may run.
    package init(
        _ statement: String, _ catalog: Catalog, parameters: [Value] = [], seconds: Int = 60
    ) throws {
        let versions = try AskedVersions()
        let words = Self.words(statement)
        var views: [String: String] = [:]
        var tableNames: Set<String> = []
        /// The first error of a file that cannot be read: it matters only if the statement names that view.
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
            // For an unknown table, list those there are.
            guard error.reason?.hasPrefix("no such table") == true else { throw error }
            // The table may be in a file that could not be read.
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

    /// All words that could be names, in lower case.
    private static func words(_ sql: String) -> Set<String> {
        let isWord = { (character: Character) in
            character.isLetter || character.isNumber || character == "_"
        }
        return Set(sql.lowercased().split { !isWord($0) }.map(String.init))
    }
}
