import CSQLite

/// The versions that one `SELECT` reads. Each is attached under a name of its own, and its tables are
/// available under the names that the statement uses.
package final class AskedVersions {
    private let connection: SQLiteConnection
    private var tables: [GuardedSelect.Table] = []
    private var readers: [VersionReader] = []

    package init() throws(KappaError) {
        connection = try SQLiteConnection(":memory:", .create, boundsFiles: true)
    }

    /// A table, and what the statement calls it.
    package typealias NamedTable = (name: String, table: TableSchema)

    /// Adds tables of a version.
    /// - Parameter database: The name under which the version is attached.
    /// - Throws: `.usage` where there are more versions than SQLite attaches.
    package func add(
        _ reader: VersionReader, as database: String, _ named: [NamedTable]
    ) throws(KappaError) {
        do throws(KappaError) { try attach(reader.connection.name, as: database) } catch {
            guard error.code == .usage else { throw error }
            throw KappaError(
                .usage, "too many views in one statement", because: error.reason,
                advice: "SQLite joins ten files at most: split the query")
        }
        readers.append(reader)
        show(named, in: database)
    }

    /// Adds tables without rows.
    package func addEmpty(as database: String, _ named: [NamedTable]) throws(KappaError) {
        try attach(":memory:", as: database)
        let schema = VersionSchema.quoted(database)
        var made: Set<String> = []
        for table in named.map(\.table) where made.insert(table.name).inserted {
            let columns = table.columns.map { VersionSchema.quoted($0.name) }
            try connection.execute(
                "CREATE TABLE \(schema).\(VersionSchema.quoted(table.name)) "
                    + "(\(columns.joined(separator: ", ")))")
        }
        show(named, in: database)
    }

    private func show(_ named: [NamedTable], in database: String) {
        tables += named.map { GuardedSelect.Table($0.name, in: database, $0.table) }
    }

    /// Prepares a statement over the tables. Nothing can be added afterwards.
    /// - Parameters:
    ///   - parameters: The values of `?`, in order; texts take the type of what they are compared with.
    ///   - seconds: How long it may run.
    package func select(
        _ statement: String, parameters: [Value] = [], seconds: Int = 60
    ) throws(KappaError) -> GuardedSelect {
        try GuardedSelect(
            statement, over: tables, of: readers, on: connection, parameters: parameters,
            seconds: seconds)
    }

    /// Limits the memory of all statements in this process, for a program that only runs one query. Inside
    /// a server this limit is not ours to set.
    package static func limitMemory(bytes: Int64) { sqlite3_hard_heap_limit64(bytes) }

    private func attach(_ name: String, as database: String) throws(KappaError) {
        connection.leaveWAL()
        let attach = try connection.prepare("ATTACH ? AS \(VersionSchema.quoted(database))")
        attach.bind(0, name)
        try attach.execute()
    }

    /// A statement that returns one row, with the sums of a column in two tables as `old` and `new`:
    /// decimals, or doubles; zero where there are no rows.
    /// - Parameter isExact: Whether integers are summed as decimals, which have enough digits.
    static func sums(of column: String, old: String, new: String, isExact: Bool) -> String {
        let cell = "t.\(VersionSchema.quoted(column))"
        let number = isExact ? "CAST(\(cell) AS DECIMAL)" : cell
        let sums = [old, new].map {
            "(SELECT total(\(number)) FROM \(VersionSchema.quoted($0)) AS t)"
        }
        return "SELECT \(sums[0]) AS old, \(sums[1]) AS new"
    }
}
