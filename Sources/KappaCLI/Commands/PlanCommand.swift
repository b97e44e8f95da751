import KappaCore

/// `kappa plan`: what `run` would do.
struct PlanCommand: Command {
    static let spec = CommandSpec(
        name: "plan", summary: "what run would do, and how long it would take",
        discussion: """
            Time, rows and bytes are estimated by building each new or changed view aside from a
            sample of the log.
            """,
        make: { _ in PlanCommand() })

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let printer = RecordPrinter(
            ["view", "action", "version", "seconds", "rows", "bytes"], context.format, Output())
        for step in try Plan.steps(context.data, context.views) {
            try printer.print([
                .text(step.view), .text(step.action),
                step.version.map { .text("\($0)") } ?? .null,
                step.seconds.map { .double($0) } ?? .null,
                step.rows.map { .integer(Int64($0)) } ?? .null,
                step.bytes.map { .integer(Int64($0)) } ?? .null,
            ])
        }
        try printer.finish()
        return 0
    }
}
