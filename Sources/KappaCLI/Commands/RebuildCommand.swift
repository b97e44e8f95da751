import KappaCore

/// `kappa rebuild`: builds new versions from offset zero.
struct RebuildCommand: Command {
    static let spec = CommandSpec(
        name: "rebuild", summary: "builds new versions from offset zero and promotes them",
        discussion: """
            The live version keeps its rows during the rebuild; `kappa run` keeps it current. A rebuild that is
            stopped or killed is finished by the next `kappa run` or `kappa rebuild` of the same
            definition, or by a `kappa run` that is already running; one with --until is not.
            """,
        arguments: [
            ArgumentSpec(
                name: "VIEW", isRequired: false, repeats: true, isView: true, takesVersion: false)
        ],
        options: [
            OptionSpec(name: "--all", summary: "all views of this build"),
            OptionSpec(name: "--until", value: "OFFSET", summary: "stops there, without promoting"),
        ] + RunnerSession.options,
        make: { try RebuildCommand($0) })

    var stopsGently: Bool { true }
    var restarts: Bool { true }
    private var options = ViewRunner.Options()

    init(_ arguments: ParsedArguments) throws(KappaError) {
        let namesViews = !arguments.positional.isEmpty
        guard arguments.has("--all") != namesViews else {
            throw KappaError(
                .usage,
                namesViews
                    ? "kappa rebuild takes names of views or --all, not both"
                    : "kappa rebuild needs views",
                because: namesViews ? nil : "it takes names, or --all",
                advice: "Usage: \(arguments.spec.usage)")
        }
        options.views = arguments.has("--all") ? nil : arguments.positional
        options.rebuilds = true
        options.follows = false
        try RunnerSession.read(arguments, into: &options)
        options.end = try arguments.offset("--until")
        options.reason = "rebuild"
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        // Otherwise it would wait for events that may never come.
        if let end = options.end { try context.data.requireLog(reaches: end) }
        return try RunnerSession(context, options).run(printsChanges: false)
    }
}
