import KappaCore

/// `kappa tail`: prints changes of a view as they commit.
struct TailCommand: Command {
    static let spec = CommandSpec(
        name: "tail", summary: "changes of a view as they commit",
        discussion: """
            Begins with the present rows, as inserts, unless --from-now is given. A promotion arrives
            as its own change (`promoted`, with the numbers of both versions). The differences between
            the versions follow as ordinary changes with the same offset.

            Each change has an `id`. Store the last one, and --from ID resumes after it, also after a
            restart. If the view cannot be followed from there any more, the first change is `reset`:
            forget all rows, since all present ones follow. While the first rows arrive, no id is
            given but with the last of them.

            With --final-only, each row of a window is printed once, as an insert, when its window has
            closed and nothing can change it any more. After a promotion, the rows of later windows
            follow from the new version.
            """,
        arguments: [ArgumentSpec(name: "VIEW", isView: true, takesVersion: false)],
        options: [
            OptionSpec(name: "--from-now", summary: "only changes from now on"),
            OptionSpec(
                name: "--from", value: "ID", summary: "only changes after the one with this id"),
            OptionSpec(name: "--final-only", summary: "each row once, when it becomes final"),
        ],
        make: {
            TailCommand(
                view: $0.positional[0], start: try start($0), finalOnly: $0.has("--final-only"))
        })

    var stopsGently: Bool { true }
    let view: String
    let start: FollowStart
    let finalOnly: Bool

    private static func start(_ arguments: ParsedArguments) throws(KappaError) -> FollowStart {
        guard let text = arguments.string("--from") else {
            return arguments.has("--from-now") ? .now : .rows
        }
        for other in ["--from-now", "--final-only"] where arguments.has(other) {
            throw KappaError(
                .usage, "--from and \(other) exclude each other",
                because: other == "--from-now"
                    ? "a follower begins in one place" : "rows that become final have no id",
                advice: "Leave one of them out")
        }
        return .after(try ChangeID(text))
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let catalog = try Catalog(context.data)
        let poll = try poll(catalog, context)
        let output = Output()
        let printer = RecordPrinter(
            ["offset", "op", "table", "key", "before", "after", "id"], context.format, output)
        while !Interrupt.wasAsked {
            let any = try poll { change in
                if change.operation == .reset { sayReset() }
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
            return try FinalFollower(view, catalog, definitions, fromNow: start.isNow).poll
        }
        let follower = ChangeFollower(view, catalog, from: start)
        return { try follower.poll($0) }
    }

    private func cells(_ change: Change) -> [Value] {
        if change.operation == .promoted {
            let versions = [change.previous, change.version].map { number in
                number.map { Value.text("\(view)@\($0)") } ?? .null
            }
            return [
                .integer(Int64(change.offset.rawValue)), .text(change.operation.rawValue), .null,
                .null, versions[0], versions[1], Self.id(change),
            ]
        }
        if change.operation == .reset {
            return [
                .integer(Int64(change.offset.rawValue)), .text(change.operation.rawValue), .null,
                .null, .null, .null, Self.id(change),
            ]
        }
        return [
            .integer(Int64(change.offset.rawValue)), .text(change.operation.rawValue),
            .text(change.table), .json(change.key), change.before.map { .json($0) } ?? .null,
            change.after.map { .json($0) } ?? .null, Self.id(change),
        ]
    }

    private static func id(_ change: Change) -> Value {
        change.id.map { .text($0.description) } ?? .null
    }

    private func sayReset() {
        guard case .after(let id) = start else { return }
        Output.say(
            "kappa: \(view) cannot be followed from \(id) any more; all of its rows come again")
    }

    /// A promotion has different JSON keys, since it changes no row.
    private static func promotion(_ change: Change) -> String {
        RecordPrinter.json(
            ["offset", "op", "from", "to", "id"],
            [
                .integer(Int64(change.offset.rawValue)), .text(change.operation.rawValue),
                change.previous.map { .integer(Int64($0.rawValue)) } ?? .null,
                .integer(Int64(change.version.rawValue)), id(change),
            ])
    }
}
