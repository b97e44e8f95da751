import KappaCore

/// Prints the differences of two versions.
struct DiffPrinter {
    private let old: VersionReader
    private let new: VersionReader
    private let format: RecordFormat
    private let output: Output
    private let csv: RecordPrinter

    init(_ old: VersionReader, _ new: VersionReader, _ format: RecordFormat, _ output: Output) {
        self.old = old
        self.new = new
        self.format = format
        self.output = output
        csv = RecordPrinter(
            ["op", "table", "key", "columns", "before", "after"], .csv, output)
    }

    func print(_ difference: RowDifference) throws {
        switch format {
        case .text: try output.write(text(difference) + "\n")
        case .json: try output.write(json(difference) + "\n")
        case .csv:
            try csv.print([
                .text(difference.operation.rawValue), .text(difference.table),
                .text(Self.keyText(difference.key)),
                .text(difference.columns.joined(separator: " ")),
                row(difference.before, old, difference).map { .text($0) } ?? .null,
                row(difference.after, new, difference).map { .text($0) } ?? .null,
            ])
        }
    }

    func finish(_ summary: DiffSummary) throws {
        switch format {
        case .text: try output.write(Self.line(summary, old, new) + "\n")
        case .json:
            let names = ["added", "removed", "changed", "same"]
            let counts = [summary.added, summary.removed, summary.changed, summary.same]
            var members = zip(names, counts).map { "\"\($0)\":\($1)" }
            members.append("\"position\":\(summary.position)")
            try output.write("{\"summary\":{\(members.joined(separator: ","))}}\n")
        case .csv:
            try csv.finish()
            Output.say(Self.line(summary, old, new))
        }
        try output.flush()
    }

    private static func line(
        _ summary: DiffSummary, _ old: VersionReader, _ new: VersionReader
    ) -> String {
        "\(old.view)@\(old.number) → \(new.view)@\(new.number) at offset \(summary.position): "
            + "\(summary.added) added, \(summary.removed) removed, "
            + "\(summary.changed) changed, \(summary.same) same"
    }

    // MARK: Text

    private func text(_ difference: RowDifference) -> String {
        let key = Self.keyText(difference.key)
        let table = old.tables.count > 1 || new.tables.count > 1 ? "\(difference.table) " : ""
        switch difference.operation {
        case .added:
            return coloured("+ \(table)\(key)  \(cells(difference, difference.after, new))", 32)
        case .removed:
            return coloured("- \(table)\(key)  \(cells(difference, difference.before, old))", 31)
        case .changed:
            let changes = difference.columns.map { column in
                let before = value(column, difference.before, old, difference.table)
                let after = value(column, difference.after, new, difference.table)
                return "\(column) \(before) → \(after)"
            }
            return coloured("~ \(table)\(key)  \(changes.joined(separator: ", "))", 33)
        }
    }

    private func coloured(_ text: String, _ code: Int) -> String {
        Output.usesColour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }

    private static func keyText(_ key: [Value]) -> String {
        key.map(\.plainText).joined(separator: " ")
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
        return values[index] == .null ? "·" : values[index].plainText
    }

    private func cells(
        _ difference: RowDifference, _ values: [Value]?, _ reader: VersionReader
    ) -> String {
        guard let values, let schema = schema(reader, difference.table) else { return "" }
        return zip(schema.columns, values).filter { !$0.0.isKey }
            .map { "\($0.0.name) \($0.1 == .null ? "·" : $0.1.plainText)" }.joined(separator: ", ")
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
        return ChangeFollower.object(values, schema)
    }
}
