import KappaCore

/// Prints the events that touched a row, with the row after each.
final class WhyPrinter {
    private let names: [String]
    private let format: RecordFormat
    private let output = Output()
    private let csv: RecordPrinter
    /// The rows after the previous event, to mark what has changed.
    private var before: [WhyRow?]

    /// - Parameter names: The names of the definitions.
    init(_ names: [String], _ format: RecordFormat) {
        self.names = names
        self.format = format
        csv = RecordPrinter(["offset", "event"] + names + ["diverges"], .csv, output)
        before = names.map { _ in nil }
    }

    func print(_ moment: WhyMoment) throws {
        switch format {
        case .text: try output.write(text(moment))
        case .json: try output.write(json(moment) + "\n")
        case .csv:
            let rows = moment.rows.map { row in row.map { Value.json($0.json) } ?? .null }
            try csv.print(
                [.integer(Int64(moment.offset.rawValue)), .json(moment.event)] + rows
                    + [.bool(moment.diverges)])
        }
        before = moment.rows
    }

    /// - Parameters:
    ///   - count: How many events were printed.
    ///   - isCut: Whether there may be more.
    func finish(_ count: Int, _ divergence: Offset?, _ end: Offset, isCut: Bool) throws {
        if format == .csv { try csv.finish() }
        try output.flush()
        var line = "\(count) event\(count == 1 ? "" : "s") below offset \(end)"
        if isCut { line = "\(count) shown; there may be more events below offset \(end)" }
        if count == 0, !isCut { line = "no event below offset \(end) touched the row" }
        if names.count == 2, count > 0 {
            let both = names.joined(separator: " and ")
            line +=
                divergence.map { "; \(both) diverge at offset \($0)" } ?? "; \(both) do not diverge"
        }
        Output.say("kappa: \(line)")
    }

    // MARK: Text

    private func text(_ moment: WhyMoment) -> StyledText {
        var text: StyledText = "\(StyledText("\(moment.offset)").styled(.bold))  \(moment.event)\n"
        let width = names.map(\.count).max() ?? 0
        for index in names.indices {
            let padding = String(repeating: " ", count: width - names[index].count)
            text = "\(text)  \(names[index])\(padding)  \(cells(moment, index))\n"
        }
        if moment.diverges {
            text = "\(text)\(StyledText("  ↑ the two diverge here").styled(.yellow))\n"
        }
        return text
    }

    /// The cells of a row, with those in bold that the event has changed. The key is shown with the first
    /// row, and again if it changes, as the key of a session does.
    private func cells(_ moment: WhyMoment, _ index: Int) -> StyledText {
        guard let row = moment.rows[index] else { return "no row" }
        let cells = row.cells.compactMap { cell -> StyledText? in
            let isSame = before[index]?.cells.contains(cell) == true
            if cell.isKey, isSame { return nil }
            let text: StyledText = "\(cell.name) \(cell.text)"
            return isSame ? text : text.styled(.bold)
        }
        return cells.joined(separator: ", ")
    }

    // MARK: JSON

    private func json(_ moment: WhyMoment) -> String {
        JSONText.string { text in
            text.append(raw: "{\"offset\":\(moment.offset),\"event\":")
            text.append(raw: moment.event)
            text.append(raw: ",\"rows\":{")
            for index in names.indices {
                if index > 0 { text.append(raw: ",") }
                text.append(string: names[index])
                text.append(raw: ":")
                text.append(raw: moment.rows[index]?.json ?? "null")
            }
            text.append(raw: "},\"diverges\":\(moment.diverges)}")
        }
    }
}
