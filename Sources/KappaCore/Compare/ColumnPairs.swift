/// Pairs the columns of two tables by name.
struct ColumnPairs {
    /// Statistics of the columns that differ in some row.
    private(set) var statistics: [ColumnDifference]
    private let name: String
    private let tolerance: Double
    private let pairs: [Pair]
    /// The columns to report for a row that only one version has.
    private let oldColumns: [String]
    private let newColumns: [String]

    private struct Pair {
        var left: Int?
        var right: Int?
        /// Whether both columns are of one kind, so that equal bytes are equal cells. The same integer may be
        /// a number, a time or a boolean.
        var isOneKind = true
    }

    init(_ left: TableSchema?, _ right: TableSchema?, tolerance: Double, ignored: Set<String>) {
        let name = left?.name ?? right?.name ?? ""
        self.name = name
        self.tolerance = tolerance
        func compared(_ schema: TableSchema?) -> [(index: Int, column: ColumnSchema)] {
            (schema?.columns ?? []).enumerated().filter { !ignored.contains($0.element.name) }
                .map { (index: $0.offset, column: $0.element) }
        }
        oldColumns = compared(left).map(\.column.name)
        newColumns = compared(right).map(\.column.name)
        var pairs: [Pair] = []
        var names: [String] = []
        for (index, column) in compared(left) where !column.isKey {
            let other = right?.columns.firstIndex { $0.name == column.name }
            let isOneKind = other.map { right?.columns[$0].kind == column.kind } ?? true
            pairs.append(Pair(left: index, right: other, isOneKind: isOneKind))
            names.append(column.name)
        }
        for (index, column) in compared(right) where !column.isKey {
            if left?.columns.contains(where: { $0.name == column.name }) != true {
                pairs.append(Pair(left: nil, right: index))
                names.append(column.name)
            }
        }
        self.pairs = pairs
        statistics = names.map { ColumnDifference(table: name, column: $0) }
    }

    func only(_ side: KeyOrderedRows, _ operation: RowDifference.Operation) -> RowDifference {
        let values = side.values
        return RowDifference(
            table: name, operation: operation, key: side.key,
            columns: operation == .removed ? oldColumns : newColumns,
            before: operation == .removed ? values : nil,
            after: operation == .added ? values : nil)
    }

    func changed(_ left: KeyOrderedRows, _ right: KeyOrderedRows, _ differing: [Int])
        -> RowDifference
    {
        RowDifference(
            table: name, operation: .changed, key: left.key,
            columns: differing.map { statistics[$0].column }, before: left.values,
            after: right.values)
    }

    /// Counts the columns that differ in a row.
    mutating func note(_ left: KeyOrderedRows, _ right: KeyOrderedRows, _ differing: [Int]) {
        for index in differing {
            let pair = pairs[index]
            statistics[index].note(
                pair.left.map { left.value($0) } ?? .null,
                pair.right.map { right.value($0) } ?? .null)
        }
    }

    /// Finds the columns whose cells differ. Values are made only if the bytes differ.
    func differing(_ left: KeyOrderedRows, _ right: KeyOrderedRows, into differing: inout [Int]) {
        differing.removeAll(keepingCapacity: true)
        for (index, pair) in pairs.enumerated() where !isSame(pair, left, right) {
            differing.append(index)
        }
    }

    private func isSame(_ pair: Pair, _ left: KeyOrderedRows, _ right: KeyOrderedRows) -> Bool {
        guard let a = left.cursor, let b = right.cursor else { return false }
        guard let x = pair.left, let y = pair.right else {
            // A column that one version lacks counts as null.
            return pair.left.map { a.isNull($0) } ?? pair.right.map { b.isNull($0) } ?? true
        }
        if !pair.isOneKind {
            let (old, new) = (left.value(x), right.value(y))
            return old.jsonText == new.jsonText || Self.isSame(old, new, tolerance)
        }
        let storage = a.storage(x)
        if storage == b.storage(y) {
            switch storage {
            case .null: return true
            case .integer: if a.integer(x) == b.integer(y) { return true }
            case .double: if a.double(x) == b.double(y) { return true }
            case .text, .blob: if ByteOrder.compare(a.text(x), b.text(y)) == 0 { return true }
            }
        }
        return Self.isSame(left.value(x), right.value(y), tolerance)
    }

    /// Whether two cells are equal; doubles and decimals up to a tolerance.
    private static func isSame(_ old: Value, _ new: Value, _ tolerance: Double) -> Bool {
        if old == new { return true }
        guard tolerance > 0, old.isFraction, new.isFraction, let from = old.number,
            let to = new.number
        else { return false }
        return abs(from - to) <= tolerance
    }
}

extension Value {
    /// Whether its kind of number can have a fraction.
    fileprivate var isFraction: Bool {
        switch self {
        case .double, .decimal: true
        case .null, .bool, .integer, .text, .timestamp, .json: false
        }
    }
}
