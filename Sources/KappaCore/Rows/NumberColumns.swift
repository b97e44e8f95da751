extension [TableSchema] {
    /// Finds a column of numbers by `column` or `table.column`.
    /// - Parameter place: Who asks, for the error.
    /// - Throws: `.usage` where there is none.
    package func numbers(
        _ name: String, in place: String
    ) throws(KappaError) -> (table: Int, column: String) {
        let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
            .map(String.init)
        let column = parts.last ?? name
        for (index, table) in enumerated() where parts.count < 2 || table.name == parts[0] {
            for known in table.columns where known.name == column && known.kind.isNumber {
                return (index, column)
            }
        }
        let names = flatMap { table in
            table.columns.filter(\.kind.isNumber).map {
                count > 1 ? "\(table.name).\($0.name)" : $0.name
            }
        }
        throw KappaError(
            .usage, "there is no column of numbers named \(name)", at: place,
            because: names.isEmpty
                ? "no column holds numbers" : "there are \(names.joined(separator: ", "))",
            advice: "Name one of them")
    }
}

extension ColumnKind {
    /// Whether its values can be summed.
    fileprivate var isNumber: Bool {
        switch self {
        case .integer, .double, .decimal: true
        case .bool, .text, .timestamp, .json: false
        }
    }
}
