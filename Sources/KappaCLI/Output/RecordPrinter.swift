import KappaCore

enum RecordFormat: String, CaseIterable {
    case text, json, csv
}

/// Prints records: an aligned table for people, JSON lines, or CSV.
///
/// A table's columns are as wide as its first records need, up to a limit; wider cells stick out.
final class RecordPrinter {
    private let columns: [String]
    private let format: RecordFormat
    private let output: Output
    private var held: [[Value]] = []
    private var widths: [Int]?
    private var wroteHeader = false

    private static let heldRecords = 200
    /// The limit, so that one long text does not make all other rows as long.
    private static let mostWidth = 120

    init(_ columns: [String], _ format: RecordFormat, _ output: Output) {
        self.columns = columns
        self.format = format
        self.output = output
    }

    func print(_ values: [Value]) throws {
        switch format {
        case .json: try output.write(Self.json(columns, values) + "\n")
        case .csv:
            try writeCSVHeader()
            try output.write(values.map(\.csvText).joined(separator: ",") + "\n")
        case .text:
            if widths == nil {
                held.append(values)
                if held.count == Self.heldRecords { try release() }
            } else {
                try writeRow(values)
            }
        }
    }

    /// Writes the records held back, and the header even if there was no record.
    func finish() throws {
        switch format {
        case .json: break
        case .csv: try writeCSVHeader()
        case .text: try release()
        }
        try output.flush()
    }

    /// Writes the records so far. For records that arrive slowly.
    func flush() throws {
        if format == .text, !held.isEmpty { try release() }
        try output.flush()
    }

    private func writeCSVHeader() throws {
        if wroteHeader { return }
        wroteHeader = true
        try output.write(columns.map { Value.text($0).csvText }.joined(separator: ",") + "\n")
    }

    static func json(_ columns: [String], _ values: [Value]) -> String {
        JSONText.string { text in
            text.append(raw: "{")
            for (index, value) in values.enumerated() {
                if index > 0 { text.append(raw: ",") }
                text.append(string: columns[index])
                text.append(raw: ":")
                value.append(to: &text)
            }
            text.append(raw: "}")
        }
    }

    // MARK: Tables

    private func release() throws {
        if widths == nil {
            var widths = columns.map(\.count)
            for row in held {
                for (index, value) in row.enumerated() {
                    let width = min(Self.cell(value).count, Self.mostWidth)
                    widths[index] = max(widths[index], width)
                }
            }
            self.widths = widths
            try writeHeader()
        }
        for row in held { try writeRow(row) }
        held = []
    }

    private func writeHeader() throws {
        guard let widths else { return }
        // The name of a column of numbers is right-aligned like the numbers.
        let numbers = columns.indices.map { index in
            let cells = held.map { $0[index] }.filter { $0 != .null }
            return !cells.isEmpty && cells.allSatisfy(Self.isNumber)
        }
        let line = columns.indices.map { index in
            let padding = String(repeating: " ", count: widths[index] - columns[index].count)
            return numbers[index] ? padding + columns[index] : columns[index] + padding
        }.joined(separator: "  ")
        let trimmed = Self.trimmed(line)
        try output.write("\(StyledText("\(trimmed)").styled(.bold))\n" as StyledText)
    }

    private func writeRow(_ values: [Value]) throws {
        guard let widths else { return }
        var line = ""
        for (index, value) in values.enumerated() {
            let text = Self.cell(value)
            let padding = String(repeating: " ", count: max(0, widths[index] - text.count))
            if index > 0 { line += "  " }
            line += Self.isNumber(value) ? padding + text : text + padding
        }
        try output.write(Self.trimmed(line) + "\n")
    }

    private static func trimmed(_ line: String) -> String {
        var line = line[...]
        while line.last == " " { line.removeLast() }
        return String(line)
    }

    private static func isNumber(_ value: Value) -> Bool {
        switch value {
        case .integer, .double, .decimal: true
        case .null, .bool, .text, .timestamp, .json: false
        }
    }

    /// A cell for people.
    static func cell(_ value: Value) -> String {
        SafeText.line(value == .null ? "·" : value.plainText)
    }
}
