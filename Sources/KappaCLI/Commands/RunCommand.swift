import KappaCore

/// `kappa run`: builds new and changed views, and keeps live views current.
struct RunCommand: Command {
    static let spec = CommandSpec(
        name: "run", summary: "builds what is new or changed, and keeps live views current",
        discussion: """
            A view whose definition is new or has changed is built from offset zero into a new
            version beside the live one, and promoted in one step when it has caught up. If a newer
            version was ever live, the new one is left ready, for `kappa promote VIEW@N`.

            Runs until it is stopped (Ctrl-C). Stands by for versions that another process holds, and
            takes over those that become free. A version that stops for a transient reason, such as a
            full disk, is retried. Ends with an error if a version has failed for good: at once if
            nothing else is left to do, otherwise when it is stopped.
            """,
        options: [
            OptionSpec(name: "--until-caught-up", summary: "ends when all views have caught up"),
            OptionSpec(
                name: "--keep-versions", value: "N",
                summary: "keeps N retired versions of each view",
                defaultValue: "1", isSetting: true),
        ] + RunnerSession.options,
        make: { try RunCommand($0) })

    var stopsGently: Bool { true }
    var restarts: Bool { true }
    private var options = ViewRunner.Options()

    init(_ arguments: ParsedArguments) throws(KappaError) {
        options.follows = !arguments.has("--until-caught-up")
        try RunnerSession.read(arguments, into: &options)
        options.reason = "run"
        options.keepVersions = try arguments.integer("--keep-versions") ?? 1
    }

    func run(_ context: Context) throws -> Int32 {
        try RunnerSession(context, options).run(printsChanges: true)
    }
}
