import KappaCore

/// `kappa sql`: read-only SQL over all live views.
struct SQLCommand: Command {
    static let spec = CommandSpec(
        name: "sql", summary: "read-only SQL over all live views by name",
        discussion: """
            Times are numbers of microseconds in SQL: compare them with ts('2024-01-15T14:30:00Z'),
            and print what you compute from them with rfc3339(…).
            """,
        arguments: [ArgumentSpec(name: "SELECT")],
        make: { SQLCommand(statement: $0.positional[0]) })

    let statement: String

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let query = try SQLQuery(statement, try Catalog(context.data))
        let printer = RecordPrinter(query.columns, context.format, Output())
        try query.run { try printer.print($0) }
        try printer.finish()
        return 0
    }
}
