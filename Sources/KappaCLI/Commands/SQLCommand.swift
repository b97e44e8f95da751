import KappaCore

/// `kappa sql`: runs read-only SQL over all live views.
struct SQLCommand: Command {
    static let spec = CommandSpec(
        name: "sql", summary: "read-only SQL over all live views by name",
        discussion: """
            Use the tables and columns of the views by name. Times are compared with texts such as
            '2024-01-15' or '2024-01-15T14:30:00Z' (UTC if no zone is named), decimals are exact,
            booleans are true and false; json_each(…) and the JSON functions read nested values.
            EXPLAIN QUERY PLAN shows which keys a query uses. docs/sql.md has the whole language.
            """,
        arguments: [ArgumentSpec(name: "SELECT")],
        options: [
            OptionSpec(
                name: "--parameter", value: "V",
                summary:
                    "the value of a ?, in order; it takes the type of what it is compared with",
                repeats: true)
        ],
        make: {
            SQLCommand(
                statement: $0.positional[0],
                parameters: $0.strings("--parameter").map { .text($0) })
        })

    let statement: String
    let parameters: [Value]

    /// The last limit, after those on values and caches.
    private static let mostMemory: Int64 = 1 << 30

    func run(_ context: Context) throws -> Int32 {
        AskedVersions.limitMemory(bytes: Self.mostMemory)
        try context.data.require()
        let query = try SQLQuery(
            statement, try Catalog(context.data), parameters: parameters)
        let printer = RecordPrinter(query.columns, context.format, Output())
        try query.run { try printer.print($0) }
        try printer.finish()
        return 0
    }
}
