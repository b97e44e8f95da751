import KappaCore

/// `kappa gc`: drops retired versions.
struct GCCommand: Command {
    static let spec = CommandSpec(
        name: "gc", summary: "drops retired versions",
        options: [
            OptionSpec(
                name: "--keep", value: "N", summary: "keeps the newest N of each view (1)")
        ],
        make: { GCCommand(keep: try $0.integer("--keep") ?? 1) })

    let keep: Int

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let catalog = try Catalog(context.data)
        let dropped = try Garbage(catalog).collect(keep: keep)
        if dropped.isEmpty, context.format == .text {
            Output.say("nothing to drop")
            return 0
        }
        let printer = RecordPrinter(["view", "version", "bytes"], context.format, Output())
        for dropped in dropped {
            try printer.print([
                .text(dropped.id.view), .integer(Int64(dropped.id.number.rawValue)),
                .integer(Int64(dropped.bytes)),
            ])
        }
        try printer.finish()
        return 0
    }
}
