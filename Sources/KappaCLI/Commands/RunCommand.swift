import KappaCore

/// `kappa run`: builds what is new or changed and keeps live views current.
struct RunCommand: Command {
    static let spec = CommandSpec(
        name: "run", summary: "builds what is new or changed, and keeps live views current",
        discussion: """
            A view whose definition is new or has changed is built from offset zero into a new
            version beside the live one, and promoted in one step when it has caught up. Runs until
            it is stopped (Ctrl-C).
            """,
        options: [
            OptionSpec(name: "--until-caught-up", summary: "ends when all is caught up")
        ] + RunnerSession.options,
        make: { try RunCommand($0) })

    var stopsGently: Bool { true }
    var restarts: Bool { true }
    private var options = ViewRunner.Options()

    init(_ arguments: ParsedArguments) throws(KappaError) {
        options.follows = !arguments.has("--until-caught-up")
        options.promotes = !arguments.has("--no-promote")
        options.memoryBytes = try arguments.bytes("--memory") ?? options.memoryBytes
        options.snapshots = try arguments.string("--keep-snapshots").map {
            (text) throws(KappaError) in try SnapshotPolicy(text)
        }
        options.reason = "run"
    }

    func run(_ context: Context) throws -> Int32 {
        try RunnerSession(context, options).run(printsChanges: true)
    }
}
