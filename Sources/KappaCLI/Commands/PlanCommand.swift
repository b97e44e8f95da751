import KappaCore

/// `kappa plan`: shows what `run` would do.
struct PlanCommand: Command {
    static let spec = CommandSpec(
        name: "plan", summary: "what run would do, how long it would take, what it would change",
        discussion: """
            Estimates time, rows and bytes by building each new or changed view aside from a sample of
            the log. Compares a changed view, after the same events, with its live version or with a
            stored sample of that version's first rows. No version is built.
            """,
        make: { _ in PlanCommand() })

    private static let columns = [
        "view", "action", "change", "version", "seconds", "rows", "bytes",
    ]

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let output = Output()
        let isText = context.format == .text
        let printer = RecordPrinter(
            Self.columns + (isText ? [] : ["diff", "note"]), context.format, output)
        let steps = try Plan.steps(context.data, context.views)
        for step in steps {
            let cells: [Value] = [
                .text(step.view), .text(step.action.rawValue), .text(step.change.rawValue),
                step.version.map { .text("\($0)") } ?? .null,
                step.seconds.map { .double($0) } ?? .null,
                step.rows.map { .integer(Int64($0)) } ?? .null,
                step.bytes.map { .integer(Int64($0)) } ?? .null,
            ]
            let further: [Value] = [
                step.diff.map { .json(Self.json($0)) } ?? .null,
                step.note.map { .text($0) } ?? .null,
            ]
            try printer.print(cells + (isText ? [] : further))
        }
        try printer.finish()
        for step in steps where isText {
            for line in Self.remarks(step) { try output.write(SafeText.line(line) + "\n") }
        }
        try output.flush()
        return 0
    }

    /// The remarks on a view, for people.
    private static func remarks(_ step: Plan.Step) -> [String] {
        if let note = step.note {
            return ["\(SafeText.line(step.view)): \(SafeText.line(note))"]
        }
        guard let diff = step.diff else { return [] }
        let summary = diff.summary
        let heading =
            "\(step.view): after \(summary.position) events, against \(diff.against): "
        if summary.isSame { return [heading + "the same \(summary.same) rows"] }
        let counts =
            "\(summary.added) added, \(summary.removed) removed, \(summary.changed) changed, "
            + "\(summary.same) same"
        return [heading + counts] + diff.lines.map { "  " + $0 }
    }

    private static func json(_ diff: Plan.SampleDiff) -> String {
        let summary = diff.summary
        return RecordPrinter.json(
            ["against", "position", "added", "removed", "changed", "same"],
            [.text("\(diff.against)")]
                + [
                    Int(summary.position.rawValue), summary.added, summary.removed,
                    summary.changed, summary.same,
                ].map { .integer(Int64($0)) })
    }
}
