/// Read-only SQL over the live versions of all views, by their tables' names.
package struct SQLQuery {
    private let select: GuardedSelect
    /// Of the attached versions.
    private let readers: [VersionReader]

    /// Attaches the live versions whose tables the statement names.
    /// - Parameters:
    ///   - parameters: The values of `?`, in order; texts take the type of what they are compared with.
    ///   - seconds: How long it may run.
    package init(
        _ statement: String, _ catalog: Catalog, parameters: [Value] = [], seconds: Int = 60
    ) throws {
        let connection = try SQLiteConnection(":memory:", .create, boundsFiles: true)
        let words = Self.words(statement)
        var tables: [GuardedSelect.Table] = []
        var views: [String: String] = [:]
        var tableNames: Set<String> = []
        var readers: [VersionReader] = []
        for entry in try catalog.entries() where entry.isLive {
            let path = catalog.folder.file(entry.id)
            let reader = try VersionReader(path)
            tableNames.formUnion(reader.tables.map(\.name))
            let named = reader.tables.filter { words.contains($0.name) }
            if named.isEmpty { continue }
            let database = "live_\(entry.id.view)"
            readers.append(reader)
            let name = reader.connection.name
            do throws(KappaError) {
                try GuardedSelect.attach(name, as: database, to: connection)
            } catch {
                guard error.code == .usage else { throw error }
                throw KappaError(
                    .usage, "too many views in one statement", because: error.reason,
                    advice: "SQLite joins ten files at most: split the question")
            }
            for table in named {
                if let other = views[table.name] {
                    throw KappaError(
                        .usage, "there are two tables \(table.name)",
                        because: "the views \(other) and \(entry.id.view) have one each",
                        advice: "Look at each with `kappa query VIEW --table \(table.name)`")
                }
                tables.append(GuardedSelect.Table(table.name, in: database, table))
                views[table.name] = entry.id.view
            }
        }
        self.readers = readers
        do throws(KappaError) {
            select = try GuardedSelect(
                statement, over: tables, on: connection, parameters: parameters, seconds: seconds)
        } catch {
            // Which tables there are is what one asks next.
            guard error.reason?.hasPrefix("no such table") == true else { throw error }
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
