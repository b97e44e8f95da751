import KappaCore

/// `kappa dead`: lists the events that a view could not take.
struct DeadCommand: Command {
    static let spec = CommandSpec(
        name: "dead", summary: "the events that a view could not take, and why",
        arguments: [ArgumentSpec(name: "VIEW[@N]", isView: true)],
        options: [OptionSpec(name: "--limit", value: "N", summary: "at most N")],
        make: {
            DeadCommand(
                reference: try VersionReference($0.positional[0]),
                limit: try $0.integer("--limit"))
        })

    let reference: VersionReference
    let limit: Int?

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let entry = try Catalog(context.data).resolve(reference)
        let reader = try context.data.reader(entry.id)
        let printer = RecordPrinter(["offset", "reason", "event"], context.format, Output())
        try reader.deadLetters(limit: limit) { letter in
            try printer.print([
                .integer(Int64(letter.offset.rawValue)), .text(letter.reason),
                .json(letter.event),
            ])
        }
        try printer.finish()
        return 0
    }
}
