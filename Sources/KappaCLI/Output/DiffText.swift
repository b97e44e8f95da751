import KappaCore

/// The result of a comparison, as text and as JSON.
struct DiffText {
    let alignment: Alignment

    init(_ alignment: Alignment) { self.alignment = alignment }

    /// Whether columns and rows are shown with the name of their table.
    var hasTables: Bool { alignment.old.tables.count > 1 || alignment.new.tables.count > 1 }

    func name(_ column: ColumnDifference) -> String {
        hasTables ? "\(column.table).\(column.column)" : column.column
    }

    static func key(_ key: [Value]) -> String { key.map(\.plainText).joined(separator: " ") }

    /// A share such as 0.0421 as "4.21 %".
    static func percent(_ share: Double) -> String {
        guard share.isFinite, share < 1e6 else { return "over 100,000,000 %" }
        return "\(ProgressLine.hundredths(share * 100)) %"
    }

    var title: String { "\(alignment.oldSide.target) → \(alignment.newSide.target)" }

    /// The counts in one line. Lines on how each side was made come before it, unless both are versions as
    /// they stand.
    func lines(_ summary: DiffSummary) -> [String] {
        let counts =
            "\(title) at offset \(summary.position): "
            + "\(summary.added) added, \(summary.removed) removed, "
            + "\(summary.changed) changed, \(summary.same) same"
        return ways + [counts]
    }

    /// How each side reached the offset of the comparison; empty if both were already there.
    var ways: [String] {
        let sides = [alignment.oldSide, alignment.newSide]
        if sides.allSatisfy({ $0.way == .asItStands }) { return [] }
        return sides.map { "\($0.target): \(Self.way($0.way))" }
    }

    static func way(_ way: Alignment.Origin.Way) -> String {
        switch way {
        case .asItStands: "as it stands"
        case .broughtForward(let from): "a copy, brought forward from offset \(from)"
        case .snapshot: "a snapshot"
        case .snapshotBroughtForward(let from): "a snapshot, brought forward from offset \(from)"
        case .builtAside: "built aside from offset 0"
        }
    }

    func json(_ summary: DiffSummary) -> String {
        JSONText.string { text in
            text.append(raw: "{\"summary\":{\"added\":\(summary.added)")
            text.append(raw: ",\"removed\":\(summary.removed),\"changed\":\(summary.changed)")
            text.append(raw: ",\"same\":\(summary.same),\"position\":\(summary.position)")
            if !ways.isEmpty {
                for (name, side) in [("old", alignment.oldSide), ("new", alignment.newSide)] {
                    text.append(raw: ",\"\(name)\":{\"of\":")
                    text.append(string: "\(side.target)")
                    text.append(raw: ",\"made\":")
                    text.append(string: Self.way(side.way))
                    text.append(raw: "}")
                }
            }
            if !summary.columns.isEmpty { append(summary.columns, to: &text) }
            text.append(raw: "}}")
        }
    }

    private func append(_ columns: [ColumnDifference], to text: inout JSONText) {
        text.append(raw: ",\"columns\":[")
        for (index, column) in columns.enumerated() {
            if index > 0 { text.append(raw: ",") }
            text.append(raw: "{\"table\":")
            text.append(string: column.table)
            text.append(raw: ",\"column\":")
            text.append(string: column.column)
            text.append(raw: ",\"rows\":\(column.rows),\"largest_difference\":")
            (column.largest ?? .null).append(to: &text)
            text.append(raw: ",\"relative_difference\":")
            (column.relative.map { Value.double($0) } ?? .null).append(to: &text)
            text.append(raw: "}")
        }
        text.append(raw: "]")
    }
}
