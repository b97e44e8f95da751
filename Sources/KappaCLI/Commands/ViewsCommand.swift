import KappaCore

/// `kappa views`: the definitions in this build.
struct ViewsCommand: Command {
    static let spec = CommandSpec(
        name: "views", summary: "the views that this build defines",
        make: { _ in ViewsCommand() })

    func run(_ context: Context) throws -> Int32 {
        let printer = RecordPrinter(
            ["view", "digest", "events", "tables"], context.format, Output())
        for view in try context.views.definitions() {
            try printer.print([
                .text(view.name), .text(view.digest), Self.list(view.eventTypes, context.format),
                Self.list(view.tables.filter { !$0.isInternal }.map(\.name), context.format),
            ])
        }
        try printer.finish()
        return 0
    }

    private static func list(_ names: [String], _ format: RecordFormat) -> Value {
        guard format == .json else { return .text(names.joined(separator: " ")) }
        let quoted = names.map { name in JSONText.string { $0.append(string: name) } }
        return .json("[\(quoted.joined(separator: ","))]")
    }
}
