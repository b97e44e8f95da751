import KappaCore

/// `kappa query`: prints rows of a view.
struct QueryCommand: Command {
    static let spec = CommandSpec(
        name: "query", summary: "rows of a view, in key order",
        discussion: """
            VIEW is the live version (or the newest, if none is live), VIEW@N one version. The
            condition of --where is SQL over the view's columns; write times as texts, such as
            '2024-01-15' or '2024-01-15T14:30:00Z'. docs/sql.md has more.

            --at shows the rows as they were at an offset, or at a time: after the last event that was
            appended at or before it. They are replayed aside, from the nearest snapshot (`kappa
            snapshots`) or from zero.
            """,
        arguments: [ArgumentSpec(name: "VIEW", isView: true)],
        options: [
            OptionSpec(name: "--table", value: "T", summary: "a table other than the first"),
            OptionSpec(name: "--key", value: "JSON", summary: "the row of one key"),
            OptionSpec(name: "--where", value: "SQL", summary: "only rows for which this is true"),
            OptionSpec(
                name: "--order", value: "COLUMNS", summary: "such as 'revenue desc, user_id'"),
            OptionSpec(name: "--limit", value: "N", summary: "at most N rows"),
            OptionSpec(
                name: "--after", value: "KEY",
                summary: "only rows after this key, as JSON: the next page"),
            OptionSpec(
                name: "--parameter", value: "V", summary: "the value of a ? of --where, in order",
                repeats: true),
            OptionSpec(
                name: "--final-only",
                summary: "only rows of closed windows, which never change again"),
            OptionSpec(
                name: "--at", value: "OFFSET|TIME",
                summary: "the rows as they were then; a time is in RFC 3339"),
        ],
        make: { try QueryCommand($0) })

    private let reference: VersionReference
    private var query = RowQuery()
    private let place: PastPlace?
    private let finalOnly: Bool

    init(_ arguments: ParsedArguments) throws {
        reference = try VersionReference(arguments.positional[0])
        finalOnly = arguments.has("--final-only")
        place = try arguments.string("--at").map { (text) throws(KappaError) in
            try PastPlace(text)
        }
        query.table = arguments.string("--table")
        query.condition = arguments.string("--where")
        query.limit = try arguments.integer("--limit")
        query.order = (arguments.string("--order") ?? "").split(separator: ",").map { part in
            part.split(separator: " ").joined(separator: " ")
        }
        query.key = try arguments.rowKey("--key")
        query.after = try arguments.rowKey("--after")
        query.parameters = arguments.strings("--parameter").map { .text($0) }
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let catalog = try Catalog(context.data)
        let entry = try catalog.resolve(reference)
        guard let place else {
            try print(try context.data.reader(entry.id), entry.id, context)
            return 0
        }
        let past = try place.version(entry, catalog, context)
        try print(past.reader, entry.id, context)
        withExtendedLifetime(past) {}
        return 0
    }

    private func print(
        _ reader: VersionReader, _ id: VersionID, _ context: Context
    ) throws {
        let schema = reader.tables[try reader.table(query.table)]
        let printer = RecordPrinter(schema.columns.map(\.name), context.format, Output())
        try reader.snapshot {
            var query = query
            if finalOnly {
                query.ended = try FinalRows.ended(
                    reader, id, query.table, among: context.views.sound)
            }
            try query.run(on: reader) { try printer.print($0) }
        }
        try printer.finish()
    }
}

/// A point in the past: `--at OFFSET` or `--at TIME`.
enum PastPlace {
    case offset(Offset)
    case time(Timestamp)

    init(_ text: String) throws(KappaError) {
        if let offset = Offset(parsing: text) {
            self = .offset(offset)
        } else if let time = Timestamp(text) {
            self = .time(time)
        } else {
            throw KappaError(
                .usage, "--at \(text) cannot be used",
                because: "it takes an offset, or a time in RFC 3339",
                advice: "Write --at 1000, or --at 2024-01-15T14:30:00Z")
        }
    }

    /// A version as it was then. If the point is a time, it prints the offset on standard error.
    func version(
        _ entry: VersionEntry, _ catalog: Catalog, _ context: Context
    ) throws -> PastVersion {
        let offset: Offset
        switch self {
        case .offset(let named): offset = named
        case .time(let time):
            offset = try IngestionTimes.end(
                asOfMicros: time.microseconds, in: context.data.log)
            Output.say("\(entry.id) as of \(time): offset \(offset)")
        }
        let line = ProgressLine("replay")
        defer { line.clear() }
        return try PastVersion(entry, at: offset, catalog, context.views) { done, end in
            line.show(Int(done.rawValue), of: Int(end.rawValue))
        }
    }
}
