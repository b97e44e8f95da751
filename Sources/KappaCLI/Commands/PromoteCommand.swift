import KappaCore

/// `kappa promote`: makes versions live, all in one step.
struct PromoteCommand: Command {
    static let spec = CommandSpec(
        name: "promote", summary: "makes versions live, all in one step",
        discussion: """
            VIEW is the newest version of the view. Versions are brought to the log's end first.
            Each must be at or past what readers have seen, must have applied exactly the events of
            the log, and must pass the gates of its view and those given here: else none is
            promoted, and the command ends with 1.

            """ + GateOption.explanation,
        arguments: [ArgumentSpec(name: "VIEW[@N]", repeats: true, isView: true)],
        options: [
            GateOption.spec,
            OptionSpec(name: "--force", summary: "passes over all gates; the history tells"),
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
        let catalog = try Catalog(context.data)
        let candidates = try references.map { try candidate($0, catalog) }
        for id in candidates { try finish(id, catalog, context) }
        let judge = try GateJudge(
            context.data, context.views, further: gates, promoter: isForced ? .force : .person
        ) { Output.say(JudgementText.identical($0)) }
        var promotion = Promotion(catalog, judge)
        let reason = isForced ? "promote --force" : "promote"
        for attempt in 0... {
            promotion.isPatient = attempt < 1_000
            switch try promotion.promote(candidates, reason: reason) {
            case .switched(let switches):
                judge.finish()
                for judgement in switches.compactMap(\.judgement) {
                    JudgementText.say(judgement)
                    if judgement.isIdentical { Output.say(JudgementText.identical(judgement)) }
                }
                try Self.print(switches.map { ($0, 0) }, context, behind: false)
                return 0
            case .refused(let judgements):
                for judgement in judgements { JudgementText.say(judgement) }
                throw JudgementText.error(judgements, named: candidates.count)
            case .behind(let id, let needs):
                // Whoever follows it is about to get there; but for ever is too long. A live version
                // is waited for only as long as somebody follows it.
                if !candidates.contains(id) {
                    Pause.briefly()
                } else if Lease.holder(of: id, in: context.data) != nil, attempt < 1_000 {
                    Pause.briefly()
                } else if try attempt >= 1_010 || !advance(id, context) {
                    throw try Self.isBehind(id, needs, context)
                }
            }
        }
        return 0
    }

    /// Brings a version to the log's end, where nobody else does; where somebody builds it, waits.
    private func finish(_ id: VersionID, _ catalog: Catalog, _ context: Context) throws {
        let reference = VersionReference(id.view, id.number)
        var hasSaid = false
        while let holder = Lease.holder(of: id, in: context.data) {
            guard try catalog.resolve(reference).state == .building else { return }
            if !hasSaid { Output.say("\(id): process \(holder.pid) builds it; waiting") }
            hasSaid = true
            Pause.forALook()
        }
        _ = try advance(id, context)
    }

    private func candidate(
        _ reference: VersionReference, _ catalog: Catalog
    ) throws(KappaError) -> VersionID {
        if reference.number != nil { return try catalog.resolve(reference).id }
        guard let newest = try catalog.entries(of: reference.view).last else {
            return try catalog.resolve(reference).id
        }
        return newest.id
    }

    /// Brings a version to the log's end; false where this build does not define it.
    private func advance(_ id: VersionID, _ context: Context) throws -> Bool {
        let digest = try VersionReader(context.data.file(id)).digest
        guard
            let definition = try context.views.definitions().first(where: { $0.digest == digest })
        else { return false }
        let lease = try Lease(id, in: context.data)
        let store = try VersionStore.open(id, definition, in: context.data)
        let plan = ExtractionPlan()
        let version = try VersionMaterializer(
            definition, store: store, plan: plan, budgetBytes: 1 << 30)
        try Scan(context.data.log, [version], plan: plan, options: .init()).run()
        withExtendedLifetime(lease) {}
        return true
    }

    private static func isBehind(
        _ id: VersionID, _ needs: Offset, _ context: Context
    ) throws -> KappaError {
        let offset = try VersionReader(context.data.file(id)).checkpoint().offset
        return KappaError(
            .refused, "\(id) is behind what readers have seen",
            at: "offset \(offset), readers are at \(needs)",
            because: "nobody brings it forward, and readers never go back",
            advice: "Run the build that defines it, or use `kappa rollback \(id.view)`")
    }

    static func print(
        _ switches: [(Catalog.Switch, Int)], _ context: Context, behind: Bool
    ) throws {
        let printer = RecordPrinter(
            ["view", "from", "to", "position"] + (behind ? ["behind"] : []), context.format,
            Output())
        for (change, events) in switches {
            var cells: [Value] = [
                .text(change.view),
                change.from.map { .integer(Int64($0.rawValue)) } ?? .null,
                .integer(Int64(change.to.rawValue)), .integer(Int64(change.position.rawValue)),
            ]
            if behind { cells.append(.integer(Int64(events))) }
            try printer.print(cells)
        }
        try printer.finish()
    }
}
