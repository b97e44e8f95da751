import KappaCore

/// `kappa tail`: prints changes of a view as they commit.
struct TailCommand: Command {
    static let spec = CommandSpec(
        name: "tail", summary: "changes of a view as they commit",
        discussion: """
            Begins with the present rows, as inserts, unless --from-now is given. A promotion arrives
            as its own change (`promoted`, with the numbers of both versions). The differences between
            the versions follow as ordinary changes with the same offset.

            With --final-only, each row of a window is printed once, as an insert, when its window has
            closed and nothing can change it any more. After a promotion, the rows of later windows
            follow from the new version.
            """,
        arguments: [ArgumentSpec(name: "VIEW", isView: true, takesVersion: false)],
        options: [
            OptionSpec(name: "--from-now", summary: "only changes from now on"),
            OptionSpec(name: "--final-only", summary: "each row once, when it becomes final"),
        ],
        make: {
            TailCommand(
                view: $0.positional[0], fromNow: $0.has("--from-now"),
                finalOnly: $0.has("--final-only"))
        })

    var stopsGently: Bool { true }
    let view: String
    let fromNow: Bool
    let finalOnly: Bool

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let catalog = try Catalog(context.data)
        let poll = try poll(catalog, context)
        let output = Output()
        let printer = RecordPrinter(
            ["offset", "op", "table", "key", "before", "after"], context.format, output)
        while !Interrupt.wasAsked {
            let any = try poll { change in
                if change.operation == .promoted, context.format == .json {
                    try output.write(Self.promotion(change) + "\n")
                } else {
                    try printer.print(cells(change))
                }
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

    /// The function that visits the next changes and returns whether there were any.
    private func poll(
        _ catalog: Catalog, _ context: Context
    ) throws -> ((Change) throws -> Void) throws -> Bool {
        if finalOnly {
            let definitions = context.views.sound
            return try FinalFollower(view, catalog, definitions, fromNow: fromNow).poll
        }
        let follower = ChangeFollower(view, catalog, fromNow: fromNow)
        return { try follower.poll($0) }
    }

    private func cells(_ change: Change) -> [Value] {
        if change.operation == .promoted {
            let versions = [change.previous, change.version].map { number in
                number.map { Value.text("\(view)@\($0)") } ?? .null
            }
            return [
                .integer(Int64(change.offset.rawValue)), .text(change.operation.rawValue), .null,
                .null, versions[0], versions[1],
            ]
        }
        return [
            .integer(Int64(change.offset.rawValue)), .text(change.operation.rawValue),
            .text(change.table), .json(change.key), change.before.map { .json($0) } ?? .null,
            change.after.map { .json($0) } ?? .null,
        ]
    }

    /// A promotion has different JSON keys, since it changes no row.
    private static func promotion(_ change: Change) -> String {
        RecordPrinter.json(
            ["offset", "op", "from", "to"],
            [
                .integer(Int64(change.offset.rawValue)), .text(change.operation.rawValue),
                change.previous.map { .integer(Int64($0.rawValue)) } ?? .null,
                .integer(Int64(change.version.rawValue)),
            ])
    }
}
