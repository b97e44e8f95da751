import KappaCore

/// `kappa promote`: makes versions live, all in one step.
struct PromoteCommand: Command {
    static let spec = CommandSpec(
        name: "promote", summary: "makes versions live, all in one step",
        discussion: """
            VIEW is the newest version of the view. Versions are brought to the log's end first.
            Each must be at or past what readers have seen, must have applied exactly the events of
            the log, and must pass the gates of its view and those given here. Otherwise none is
            promoted, and the command ends with 1.

            """ + GateOption.explanation,
        arguments: [ArgumentSpec(name: "VIEW[@N]", repeats: true, isView: true)],
        options: [
            GateOption.spec,
            OptionSpec(name: "--force", summary: "skips all gates; the history records that"),
        ],
        make: { try PromoteCommand($0) })

    private let references: [VersionReference]
    private let gates: [Gate]
    private let isForced: Bool

    init(_ arguments: ParsedArguments) throws(KappaError) {
        var references: [VersionReference] = []
        for text in arguments.positional { references.append(try VersionReference(text)) }
        self.references = references
        var gates: [Gate] = []
        for text in arguments.strings("--gate") { gates.append(try GateOption.parse(text)) }
        self.gates = gates
        isForced = arguments.has("--force")
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let promotion = NamedPromotion(
            context.data, context.views, gates: gates, isForced: isForced, report: Self.say)
        let switches = try promotion.run(references)
        try Self.print(switches.map { ($0, 0) }, context, showsLag: false)
        return 0
    }

    private static func say(_ report: NamedPromotion.Report) {
        switch report {
        case .waiting(let id, let pid): Output.say("\(id): process \(pid) builds it; waiting")
        case .isLive(let id): Output.say("\(id) is live already")
        case .judged(let judgement): JudgementText.say(judgement)
        case .identical(let judgement): Output.say(JudgementText.identical(judgement))
        }
    }

    static func print(
        _ switches: [(Catalog.Switch, Int)], _ context: Context, showsLag: Bool
    ) throws {
        let printer = RecordPrinter(
            ["view", "from", "to", "position"] + (showsLag ? ["lag"] : []), context.format,
            Output())
        for (change, lag) in switches {
            var cells: [Value] = [
                .text(change.view),
                change.from.map { .integer(Int64($0.rawValue)) } ?? .null,
                .integer(Int64(change.to.rawValue)), .integer(Int64(change.position.rawValue)),
            ]
            if showsLag { cells.append(.integer(Int64(lag))) }
            try printer.print(cells)
        }
        try printer.finish()
    }
}
