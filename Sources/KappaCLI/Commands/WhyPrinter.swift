import KappaCore

/// Prints the events that touched a row, with the row after each.
final class WhyPrinter {
    private let names: [String]
    private let schemas: [TableSchema]
    private let format: RecordFormat
    private let output: Output
    private let csv: RecordPrinter
    /// The rows after the event before, to mark what has changed.
    private var before: [[Value]?]

    /// - Parameter names: What the definitions are called.
    init(
        _ names: [String], _ schemas: [TableSchema], _ format: RecordFormat, _ output: Output
    ) {
        self.names = names
        self.schemas = schemas
        self.format = format
        self.output = output
        csv = RecordPrinter(["offset", "event"] + names + ["diverges"], .csv, output)
        before = names.map { _ in nil }
    }

    func print(_ step: Why.Step) throws {
        switch format {
        case .text: try output.write(text(step))
        case .json: try output.write(json(step) + "\n")
        case .csv:
            let rows = step.rows.indices.map { row(step, $0).map { Value.json($0) } ?? .null }
            try csv.print(
                [.integer(Int64(step.offset.rawValue)), .json(step.event)] + rows
                    + [.bool(step.diverges)])
        }
        before = step.rows
    }

    /// - Parameters:
    ///   - count: How many events were printed.
    ///   - isCut: Whether there may be more.
    func finish(_ count: Int, _ parting: Offset?, _ end: Offset, isCut: Bool) throws {
        if format == .csv { try csv.finish() }
        try output.flush()
        var line = "\(count) event\(count == 1 ? "" : "s") below offset \(end)"
        if isCut { line = "the first \(count) events; there may be more below offset \(end)" }
        if count == 0 { line = "no event below offset \(end) touched the row" }
        if names.count == 2, count > 0 {
            let both = names.joined(separator: " and ")
            line += parting.map { "; \(both) part at offset \($0)" } ?? "; \(both) do not part"
        }
        Output.say("kappa: \(line)")
    }

    // MARK: Text

    private func text(_ step: Why.Step) -> String {
        var text = styled("\(step.offset)", 1) + "  " + RecordPrinter.shown(step.event) + "\n"
        let width = names.map(\.count).max() ?? 0
        for index in names.indices {
            let padding = String(repeating: " ", count: width - names[index].count)
            text += "  \(names[index])\(padding)  \(cells(step, index))\n"
        }
        if step.diverges { text += styled("  ↑ here the two part", 33) + "\n" }
        return text
    }

    /// The cells of a row; those that the event has changed stand out. The key is told with the first
    /// row, and where it changes, as that of a session does.
    private func cells(_ step: Why.Step, _ index: Int) -> String {
        guard let row = step.rows[index] else { return "no row" }
        let old = before[index]
        return zip(schemas[index].columns, row).enumerated().compactMap { place, cell in
            let isSame = old.map { $0[place] } == cell.1
            if cell.0.isKey, isSame { return nil }
            let text = "\(cell.0.name) \(RecordPrinter.cell(cell.1))"
            return isSame ? text : styled(text, 1)
        }.joined(separator: ", ")
    }

    private func styled(_ text: String, _ code: Int) -> String {
        Output.usesColour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }

    // MARK: JSON

    private func row(_ step: Why.Step, _ index: Int) -> String? {
        step.rows[index].map { ChangeFollower.object($0, schemas[index]) }
    }

    private func json(_ step: Why.Step) -> String {
        JSONText.string { text in
            text.append(raw: "{\"offset\":\(step.offset),\"event\":")
            text.append(raw: step.event)
            text.append(raw: ",\"rows\":{")
            for index in names.indices {
                if index > 0 { text.append(raw: ",") }
                text.append(string: names[index])
                text.append(raw: ":")
                text.append(raw: row(step, index) ?? "null")
            }
            text.append(raw: "},\"diverges\":\(step.diverges)}")
        }
    }
}
