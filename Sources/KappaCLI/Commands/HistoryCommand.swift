import KappaCore

/// `kappa history`: lists the switches and judgements of a view's versions.
struct HistoryCommand: Command {
    static let spec = CommandSpec(
        name: "history", summary: "every switch of a view or of all, and what gates said",
        discussion: """
            Oldest first. A switch shows why it was made (run, rebuild, promote, rollback). A judgement
            shows its result (passed, refused, forced, identical; failed if the view's code crashes),
            the figures of each gate, and how many rows were added, removed, changed and the same.
            """,
        arguments: [
            ArgumentSpec(name: "VIEW", isRequired: false, isView: true, takesVersion: false)
        ],
        make: { HistoryCommand(view: $0.positional.first) })

    let view: String?

    private static let columns = [
        "at", "view", "what", "from", "to", "position", "added", "removed", "changed", "same",
        "gates",
    ]

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let catalog = try Catalog(context.data)
        let views = try view.map { [$0] } ?? Set(catalog.entries().map(\.id.view)).sorted()
        let switches = try views.flatMap { try catalog.history(of: $0) }
        let judgements = try views.flatMap { try catalog.judgements(of: $0) }
        if let view, switches.isEmpty, judgements.isEmpty {
            _ = try catalog.resolve(VersionReference(view, nil))
        }
        // A judgement comes before the switch that it allowed.
        let records =
            judgements.map { (at: $0.atMicros, cells: cells($0, context.format)) }
            + switches.map { (at: $0.atMicros, cells: cells($0)) }
        let printer = RecordPrinter(Self.columns, context.format, Output())
        for record in records.sorted(by: { $0.at < $1.at }) { try printer.print(record.cells) }
        try printer.finish()
        return 0
    }

    private func cells(_ change: Catalog.Switch) -> [Value] {
        cells(
            change.atMicros, change.view, change.reason, change.from, change.to, change.position,
            nil, .null)
    }

    private func cells(_ judgement: Judgement, _ format: RecordFormat) -> [Value] {
        let text = judgement.findings.map { "\($0.gate): \($0.figures)" }.joined(separator: "; ")
        let gates: Value =
            judgement.findings.isEmpty
            ? .null : format == .json ? .json(judgement.gatesJSON) : .text(text)
        return cells(
            judgement.atMicros, judgement.candidate.view, judgement.verdict.rawValue,
            judgement.live,
            judgement.candidate.number, judgement.position, judgement.counts, gates)
    }

    private func cells(
        _ at: Int64, _ view: String, _ what: String, _ from: VersionNumber?, _ to: VersionNumber,
        _ position: Offset, _ counts: Judgement.Counts?, _ gates: Value
    ) -> [Value] {
        let figures = [counts?.added, counts?.removed, counts?.changed, counts?.same]
        return [
            .timestamp(Timestamp(microseconds: at)), .text(view), .text(what),
            from.map { .integer(Int64($0.rawValue)) } ?? .null, .integer(Int64(to.rawValue)),
            .integer(Int64(position.rawValue)),
        ] + figures.map { $0.map { .integer(Int64($0)) } ?? .null } + [gates]
    }
}
