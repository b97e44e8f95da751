import KappaCore

/// Prints the differences between two versions.
struct DiffPrinter {
    private let alignment: Alignment
    private var old: VersionReader { alignment.old }
    private var new: VersionReader { alignment.new }
    private let format: RecordFormat
    private let output: Output
    private let csv: RecordPrinter
    private let isSummary: Bool

    /// - Parameter isSummary: Whether to print the summary only.
    init(
        _ alignment: Alignment, _ format: RecordFormat, _ output: Output, isSummary: Bool = false
    ) {
        self.alignment = alignment
        self.format = format
        self.output = output
        self.isSummary = isSummary
        csv = RecordPrinter(
            ["op", "table", "key", "columns", "before", "after"], .csv, output)
    }

    func print(_ difference: RowDifference) throws {
        switch format {
        case .text: try output.write("\(text(difference))\n" as StyledText)
        case .json: try output.write(json(difference) + "\n")
        case .csv:
            try csv.print([
                .text(difference.operation.rawValue), .text(difference.table),
                .text(DiffText.key(difference.key)),
                .text(difference.columns.joined(separator: " ")),
                row(difference.before, old, difference).map { .text($0) } ?? .null,
                row(difference.after, new, difference).map { .text($0) } ?? .null,
            ])
        }
    }

    /// - Parameter left: How many differences were not printed.
    func finish(_ summary: DiffSummary, left: Int = 0) throws {
        let text = DiffText(alignment)
        switch format {
        case .text:
            if left > 0 { try output.write("… \(ProgressLine.grouped(left)) more\n") }
            for line in text.lines(summary) { try output.write(line + "\n") }
            try printColumns(summary, .text)
        case .json: try output.write(text.json(summary) + "\n")
        case .csv:
            if isSummary {
                try printCounts(summary)
            } else {
                try csv.finish()
            }
            for line in text.lines(summary) { Output.say(line) }
        }
        try output.flush()
    }

    private func printColumns(_ summary: DiffSummary, _ format: RecordFormat) throws {
        if summary.columns.isEmpty { return }
        let printer = RecordPrinter(
            ["column", "rows", "largest_difference", "relative"], format, output)
        for column in summary.columns {
            try printer.print([
                .text(DiffText(alignment).name(column)), .integer(Int64(column.rows)),
                column.largest ?? .null,
                column.relative.map { .text(DiffText.percent($0)) } ?? .null,
            ])
        }
        try printer.finish()
    }

    /// The counts as records: of rows, then of the columns in which they differ.
    private func printCounts(_ summary: DiffSummary) throws {
        let printer = RecordPrinter(
            ["what", "table", "column", "rows", "largest_difference", "relative_difference"],
            .csv, output)
        let counts = [
            ("added", summary.added), ("removed", summary.removed), ("changed", summary.changed),
            ("same", summary.same),
        ]
        for (what, count) in counts {
            try printer.print([.text(what), .null, .null, .integer(Int64(count)), .null, .null])
        }
        for column in summary.columns {
            try printer.print([
                .text("column"), .text(column.table), .text(column.column),
                .integer(Int64(column.rows)), column.largest ?? .null,
                column.relative.map { .double($0) } ?? .null,
            ])
        }
        try printer.finish()
    }

    // MARK: Text

    private func text(_ difference: RowDifference) -> StyledText {
        let key = DiffText.key(difference.key)
        let name = DiffText(alignment).hasTables ? "\(difference.table) " : ""
        switch difference.operation {
        case .added:
            return StyledText("+ \(name)\(key)  \(cells(difference, difference.after, new))")
                .styled(.green)
        case .removed:
            return StyledText("- \(name)\(key)  \(cells(difference, difference.before, old))")
                .styled(.red)
        case .changed:
            let changes = difference.columns.map { column -> StyledText in
                let before = StyledText(
                    "\(value(column, difference.before, old, difference.table))")
                let after = StyledText("\(value(column, difference.after, new, difference.table))")
                return "\(column) \(before.styled(.red)) → \(after.styled(.green))"
            }
            let head = StyledText("~ \(name)\(key)").styled(.yellow)
            return "\(head)  \(changes.joined(separator: ", "))"
        }
    }

    private func schema(_ reader: VersionReader, _ table: String) -> TableSchema? {
        reader.tables.first { $0.name == table }
    }

    private func value(
        _ column: String, _ values: [Value]?, _ reader: VersionReader, _ table: String
    ) -> String {
        guard let values,
            let index = schema(reader, table)?.columns.firstIndex(where: { $0.name == column })
        else { return "·" }
        return RecordPrinter.cell(values[index])
    }

    private func cells(
        _ difference: RowDifference, _ values: [Value]?, _ reader: VersionReader
    ) -> String {
        guard let values, let schema = schema(reader, difference.table) else { return "" }
        return zip(schema.columns, values).filter { !$0.0.isKey }
            .map { "\($0.0.name) \(RecordPrinter.cell($0.1))" }.joined(separator: ", ")
    }

    // MARK: JSON

    private func json(_ difference: RowDifference) -> String {
        JSONText.string { text in
            text.append(raw: "{\"op\":\"\(difference.operation.rawValue)\",\"table\":")
            text.append(string: difference.table)
            text.append(raw: ",\"key\":[")
            for (index, part) in difference.key.enumerated() {
                if index > 0 { text.append(raw: ",") }
                part.append(to: &text)
            }
            text.append(raw: "],\"columns\":[")
            for (index, column) in difference.columns.enumerated() {
                if index > 0 { text.append(raw: ",") }
                text.append(string: column)
            }
            text.append(raw: "],\"before\":")
            text.append(raw: row(difference.before, old, difference) ?? "null")
            text.append(raw: ",\"after\":")
            text.append(raw: row(difference.after, new, difference) ?? "null")
            text.append(raw: "}")
        }
    }

    private func row(
        _ values: [Value]?, _ reader: VersionReader, _ difference: RowDifference
    ) -> String? {
        guard let values, let schema = schema(reader, difference.table) else { return nil }
        return Change.object(values, schema)
    }
}
