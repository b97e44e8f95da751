import KappaCore

/// `kappa rollback`: makes the previous version live at once.
struct RollbackCommand: Command {
    static let spec = CommandSpec(
        name: "rollback", summary: "makes the previous live version live again, at once",
        discussion: """
            The previous version goes live at the position that it has: `lag` is how many events readers
            go back. A second rollback returns to where you were. A build that defines the version
            brings it forward again with `kappa run`. The version that readers leave becomes live again
            only by `kappa promote VIEW@N`, or by another rollback.
            """,
        arguments: [
            ArgumentSpec(name: "VIEW", repeats: true, isView: true, takesVersion: false)
        ],
        make: { RollbackCommand(views: $0.positional) })

    let views: [String]

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let catalog = try Catalog(context.data)
        for view in views { _ = try catalog.resolve(try VersionReference(view)) }
        let switches = try Promotion(catalog).rollBack(views)
        try PromoteCommand.print(
            switches.map { ($0.change, $0.lag) }, context, showsLag: true)
        return 0
    }
}
