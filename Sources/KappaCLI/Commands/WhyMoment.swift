import KappaCore

/// An event that touched a row, with the row after it under each definition: what `kappa why` prints.
struct WhyMoment {
    var offset: Offset
    var event: String
    var rows: [WhyRow?]
    var diverges = false
}

/// A row as `kappa why` shows it, from this build or another one.
struct WhyRow {
    /// The row as a JSON object.
    let json: String
    let cells: [Cell]

    struct Cell: Equatable {
        var name: String
        var text: String
        var isKey: Bool
    }

    init(_ values: [Value], _ schema: TableSchema) {
        json = Change.object(values, schema)
        cells = zip(schema.columns, values).map { column, value in
            Cell(name: column.name, text: RecordPrinter.cell(value), isKey: column.isKey)
        }
    }

    /// A row that another build has printed.
    init(_ object: JSONValue, keys: [String]) {
        json = object.json
        guard case .object(let members) = object else {
            cells = []
            return
        }
        cells = members.map { name, value in
            let text =
                switch value {
                case .null: "·"
                case .string(let string): SafeText.line(string)
                default: SafeText.line(value.json)
                }
            return Cell(name: name, text: text, isKey: keys.contains(name))
        }
    }

    /// Whether two rows show the same cells. A column that only one of them has counts as null in the other.
    static func isSame(_ a: WhyRow?, _ b: WhyRow?) -> Bool {
        guard let a, let b else { return a == nil && b == nil }
        func cell(_ name: String, _ row: WhyRow) -> String {
            row.cells.first { $0.name == name }?.text ?? "·"
        }
        return (a.cells + b.cells).allSatisfy { cell($0.name, a) == cell($0.name, b) }
    }
}
