/// One row that differs between two versions of a view.
package struct RowDifference: Equatable, Sendable {
    package enum Operation: String, Sendable { case added, removed, changed }

    package var table: String
    package var operation: Operation
    package var key: [Value]
    /// The columns that differ; all of them for a row that only one version has.
    package var columns: [String]
    package var before: [Value]?
    package var after: [Value]?
}

/// The counts of a comparison of two versions.
package struct DiffSummary: Equatable, Sendable {
    package var added = 0
    package var removed = 0
    package var changed = 0
    package var same = 0
    /// The offset at which both were compared.
    package var position = Offset.zero
    /// The columns that differ in some row that both versions have, in the tables' order.
    package var columns: [ColumnDifference] = []

    package init() {}
    package var isSame: Bool { differences == 0 }
    package var differences: Int { added + removed + changed }
}

/// In how many rows one column differs between two versions, and by how much at most.
package struct ColumnDifference: Equatable, Sendable {
    package var table: String
    package var column: String
    /// The number of rows that differ, among those that both versions have.
    package var rows = 0
    /// The largest difference of two numbers; nil if none differ. Exact, except for doubles.
    package private(set) var largest: Value?
    /// The largest difference relative to the old number, over rows where that is not zero.
    package private(set) var relative: Double?
    private var largestMagnitude = 0.0

    init(table: String, column: String) {
        self.table = table
        self.column = column
    }

    /// Counts a row with these cells.
    mutating func note(_ old: Value, _ new: Value) {
        rows += 1
        guard let from = old.number, let to = new.number else { return }
        let magnitude = abs(to - from)
        guard magnitude.isFinite else { return }
        if largest == nil || magnitude > largestMagnitude {
            largestMagnitude = magnitude
            largest = Self.distance(old, new) ?? .double(magnitude)
        }
        if from != 0 { relative = max(relative ?? 0, magnitude / abs(from)) }
    }

    /// How far apart two exact numbers are; nil if that needs too many digits.
    private static func distance(_ old: Value, _ new: Value) -> Value? {
        switch (old, new) {
        case (.integer(let a), .integer(let b)):
            let (distance, overflow) = max(a, b).subtractingReportingOverflow(min(a, b))
            return overflow ? nil : .integer(distance)
        case (.decimal(let a), .decimal(let b)):
            let (larger, smaller) = a < b ? (b, a) : (a, b)
            let taken = ExactDecimal(mantissa: -smaller.mantissa, scale: smaller.scale)
            return larger.exactSum(taken).map { .decimal($0) }
        default: return nil
        }
    }
}

extension Value {
    /// A number as a double, whatever its kind.
    var number: Double? {
        switch self {
        case .integer(let integer): Double(integer)
        case .double(let double): double
        case .decimal(let decimal): decimal.doubleValue
        case .null, .bool, .text, .timestamp, .json: nil
        }
    }
}
