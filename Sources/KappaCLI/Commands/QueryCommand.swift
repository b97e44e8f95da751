import KappaCore

/// `kappa query`: rows of a view.
struct QueryCommand: Command {
    static let spec = CommandSpec(
        name: "query", summary: "rows of a view, in key order",
        discussion: """
            VIEW is the live version (or the newest, where none is live), VIEW@N one version. The
            condition of --where is SQL over the view's columns; write times as
            ts('2024-01-15T14:30:00Z').
            """,
        arguments: [ArgumentSpec(name: "VIEW", isView: true)],
        options: [
            OptionSpec(name: "--table", value: "T", summary: "another table than the first"),
            OptionSpec(name: "--key", value: "JSON", summary: "the row of one key"),
            OptionSpec(name: "--where", value: "SQL", summary: "only rows for which this is true"),
            OptionSpec(
                name: "--order", value: "COLUMNS", summary: "such as 'revenue desc, user_id'"),
            OptionSpec(name: "--limit", value: "N", summary: "at most N rows"),
            OptionSpec(
                name: "--final-only",
                summary: "only rows of windows that have closed: nothing changes them any more"),
        ],
        make: { try QueryCommand($0) })

    private let reference: VersionReference
    private var query = RowQuery()
    private let finalOnly: Bool

    init(_ arguments: ParsedArguments) throws {
        reference = try VersionReference(arguments.positional[0])
        finalOnly = arguments.has("--final-only")
        query.table = arguments.string("--table")
        query.condition = arguments.string("--where")
        query.limit = try arguments.integer("--limit")
        query.order = (arguments.string("--order") ?? "").split(separator: ",").map { part in
            part.split(separator: " ").joined(separator: " ")
        }
        if let key = arguments.string("--key") {
            // A bare word is meant as a text.
            query.key = (try? JSONValue(parsing: key)) ?? .string(key)
        }
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let entry = try Catalog(context.data).resolve(reference)
        let reader = try VersionReader(context.data.file(entry.id))
        let schema = reader.tables[try reader.table(query.table)]
        let final = finalOnly ? try finalRows(reader, entry.id, context) : nil
        let printer = RecordPrinter(schema.columns.map(\.name), context.format, Output())
        try reader.snapshot {
            var query = query
            if let final {
                query.ended = (nil, try final.until(reader.checkpoint()) ?? .min)
            }
            try query.run(on: reader) { try printer.print($0) }
        }
        try printer.finish()
        return 0
    }

    private func finalRows(
        _ reader: VersionReader, _ id: VersionID, _ context: Context
    ) throws -> FinalRows {
        let definition = try FinalRows.definition(
            of: reader, id, among: context.views.definitions())
        return try FinalRows(definition, table: query.table)
    }
}
