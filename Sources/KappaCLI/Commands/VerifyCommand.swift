import KappaCore

/// `kappa verify`: checks that a version has the rows that its definition makes of the log.
struct VerifyCommand: Command {
    static let spec = CommandSpec(
        name: "verify", summary: "replays a version aside, twice, and compares row by row",
        discussion: """
            The replays go up to the version's position, with other batches and commits than a run,
            and one of them in another process with another hash seed. If they diverge, the
            definition is not deterministic: it uses the clock, random numbers, or the order of a
            Set or Dictionary. If they agree and the version's file differs, the file is damaged.
            Ends with 1 if anything is wrong.
            """,
        arguments: [ArgumentSpec(name: "VIEW[@N]", isView: true)],
        make: { VerifyCommand(reference: try VersionReference($0.positional[0])) })

    var stopsGently: Bool { true }
    let reference: VersionReference

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let line = ProgressLine("verify")
        let data = context.data
        let verifier = Verifier(
            try Catalog(data), context.views,
            elsewhere: { try OtherProcess.replay($0, in: data, progress: $1) },
            progress: { done, end in
                if Interrupt.wasAsked { throw Stopped() }
                line.show(Int(done.rawValue), of: Int(end.rawValue))
            })
        let result: Verification
        do {
            result = try verifier.verify(reference)
        } catch is Stopped {
            line.clear()
            Output.say("kappa: stopped before the end")
            return Interrupt.exitCode
        }
        line.clear()
        try VerificationPrinter(context.format).print(result)
        return result.isSound ? 0 : 1
    }

    private struct Stopped: Error {}
}

/// Prints what a verification has found.
struct VerificationPrinter {
    private let format: RecordFormat

    init(_ format: RecordFormat) { self.format = format }

    func print(_ result: Verification) throws {
        let output = Output()
        if format == .text {
            try output.write(SafeText.lines(Self.text(result)) + "\n")
            return try output.flush()
        }
        let printer = RecordPrinter(Self.columns, format, output)
        try printer.print(Self.cells(result))
        try printer.finish()
    }

    private static let columns = [
        "ok", "view", "version", "position", "rows", "fault", "offset", "table", "key", "column",
        "stored", "replayed", "replayed_again", "differences", "reason",
    ]

    private static func cells(_ result: Verification) -> [Value] {
        let finding = result.findings.first
        let isStore = result.fault == .store
        return [
            .bool(result.isSound), .text(result.id.view),
            .integer(Int64(result.id.number.rawValue)),
            .integer(Int64(result.position.rawValue)), .integer(Int64(result.rows)),
            result.fault.map { .text($0.rawValue) } ?? .null,
            result.offset.map { .integer(Int64($0.rawValue)) } ?? .null,
            finding.map { .text($0.table) } ?? .null,
            finding.map { .json("[\($0.key.map(\.jsonText).joined(separator: ","))]") } ?? .null,
            finding?.column.map { .text($0) } ?? .null,
            isStore ? finding?.first ?? .null : .null,
            (isStore ? finding?.second : finding?.first) ?? .null,
            isStore ? .null : finding?.second ?? .null,
            .integer(Int64(result.differences)),
            result.error.map { .text(reason($0)) } ?? .null,
        ]
    }

    private static func reason(_ error: KappaError) -> String {
        [error.what, error.place, error.reason].compactMap { $0 }.joined(separator: ": ")
    }

    // MARK: For people

    private static func text(_ result: Verification) -> String {
        let id = result.id
        switch result.fault {
        case nil:
            return "\(id): sound. \(ProgressLine.grouped(result.rows)) rows at offset "
                + "\(result.position) are what two replays make of the log"
        case .definition:
            let places = result.findings.map(place).joined()
            return """
                \(id): the definition is not deterministic
                  where: \(places)
                  why:   two replays diverge at offset \(result.offset ?? .zero): \
                \(result.findings.map { values($0, "and") }.joined())
                  next:  take the clock, random numbers and the order of a Set or Dictionary out \
                of the view.
                         `kappa log read --from \(result.offset ?? .zero) --limit 1` shows the event
                """
        case .store: return storeText(result)
        case .log:
            return """
                \(id): the log is damaged
                  where: \(result.error?.place ?? "")
                  why:   \(result.error.map { $0.reason ?? $0.what } ?? "")
                  next:  restore the log from a copy; `kappa log verify` shows how far it is sound
                """
        }
    }

    private static func storeText(_ result: Verification) -> String {
        let advice = """
              next:  build a new version with `kappa rebuild \(result.id.view)`: the log has everything.
                     (A definition that reads a file or the date differs from its replays, too)
            """
        if let error = result.error {
            return """
                \(result.id): the version's file is damaged
                  where: \(error.place ?? "")
                  why:   \(error.what)\(error.reason.map { ": \($0)" } ?? "")
                \(advice)
                """
        }
        let lines = result.findings.map { "    \(place($0)): \(values($0, "instead of"))" }
        let rest = result.differences - lines.count
        let more = rest > 0 ? "\n    and \(ProgressLine.grouped(rest)) more" : ""
        return """
            \(result.id): the version's file is damaged
              why:   two replays agree, and the file holds at offset \(result.position)
            \(lines.joined(separator: "\n"))\(more)
            \(advice)
            """
    }

    private static func place(_ finding: Discrepancy) -> String {
        let key = SafeText.line(finding.key.map(\.plainText).joined(separator: " "))
        let column = finding.column.map { ", column \($0)" } ?? ""
        return "table \(finding.table)\(key.isEmpty ? "" : ", key \(key)")\(column)"
    }

    private static func values(_ finding: Discrepancy, _ word: String) -> String {
        "\(shown(finding.first)) \(word) \(shown(finding.second))"
    }

    private static func shown(_ value: Value?) -> String {
        guard let value else { return "no row" }
        return value == .null ? "null" : SafeText.line(value.plainText)
    }
}
