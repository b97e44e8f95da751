import KappaCore

/// `kappa run`: builds what is new or changed and keeps live views current.
struct RunCommand: Command {
    static let spec = CommandSpec(
        name: "run", summary: "builds what is new or changed, and keeps live views current",
        discussion: """
            A view whose definition is new or has changed is built from offset zero into a new
            version beside the live one, and promoted in one step when it has caught up; unless a
            newer version was live: then it is left ready, for `kappa promote VIEW@N`. Runs until it is
            stopped (Ctrl-C). It stands by for versions that another process holds, and takes over
            what becomes free. A version that stops for a reason that passes, such as a full disk, is
            tried again. Ends with an error where a version has failed for good: at once where
            nothing else is left to do, else when it is stopped.
            """,
        options: [
            OptionSpec(name: "--until-caught-up", summary: "ends when all is caught up")
        ] + RunnerSession.options,
        make: { try RunCommand($0) })

    var stopsGently: Bool { true }
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
