import KappaCore

/// `kappa tail`: changes of a view as they commit.
struct TailCommand: Command {
    static let spec = CommandSpec(
        name: "tail", summary: "changes of a view as they commit",
        discussion: """
            Begins with the rows as they are, as inserts, unless --from-now is given. When another
            version is promoted, its difference comes as ordinary changes.
            """,
        arguments: [ArgumentSpec(name: "VIEW", isView: true)],
        options: [OptionSpec(name: "--from-now", summary: "only changes from now on")],
        make: { TailCommand(view: $0.positional[0], fromNow: $0.has("--from-now")) })

    var stopsGently: Bool { true }
    let view: String
    let fromNow: Bool

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let catalog = try Catalog(context.data)
        let known = try catalog.entries(of: view)
        if known.isEmpty {
            let names = try context.views.definitions().map(\.name)
            if !names.contains(view) { throw KappaError.noSuchView(view, among: names) }
        }
        let follower = ChangeFollower(view, catalog, fromNow: fromNow)
        let printer = RecordPrinter(
            ["offset", "op", "table", "key", "before", "after"], context.format, Output())
        while !Interrupt.wasAsked {
            let any = try follower.poll { change in
                try printer.print([
                    .integer(Int64(change.offset.rawValue)), .text(change.operation.rawValue),
                    .text(change.table), .json(change.key),
                    change.before.map { .json($0) } ?? .null,
                    change.after.map { .json($0) } ?? .null,
                ])
            }
            if any {
                try printer.flush()
            } else {
                try Output.checkReader()
                Pause.briefly()
            }
        }
        try printer.finish()
        return 0
    }
}
