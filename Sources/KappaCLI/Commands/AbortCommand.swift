import KappaCore

/// `kappa abort`: drops a version that is not live.
struct AbortCommand: Command {
    static let spec = CommandSpec(
        name: "abort", summary: "drops a version that is not live",
        discussion: """
            A process that works on the version stops doing so shortly, and does not build it again.
            """,
        arguments: [ArgumentSpec(name: "VIEW@N", isView: true)],
        make: { AbortCommand(reference: try VersionReference($0.positional[0])) })

    let reference: VersionReference

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        guard reference.number != nil else {
            throw KappaError(
                .usage, "kappa abort needs the number of a version",
                advice: "Write \(reference.view)@N; `kappa status \(reference.view)` lists them")
        }
        let catalog = try Catalog(context.data)
        let id = try catalog.resolve(reference).id
        try Garbage(catalog).abort(id)
        Output.say("\(id): dropped")
        return 0
    }
}
