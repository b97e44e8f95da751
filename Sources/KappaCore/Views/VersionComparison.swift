/// A new version beside the live one, after the same events: what a gate in Swift looks at.
public struct VersionComparison {
    /// The view's name.
    public let view: String
    /// The offset at which both stand.
    public let position: Offset
    /// Whether there is no live version: then all rows are added.
    public let isFirst: Bool
    /// How many rows only the new version has.
    public let added: Int
    /// How many rows only the live version has.
    public let removed: Int
    /// How many rows both have that differ in some column.
    public let changed: Int
    /// How many rows are alike.
    public let same: Int
    /// Asks both versions in SQL.
    let ask: (String) throws -> [Columns]

    /// How many rows the live version has.
    public var oldRows: Int { removed + changed + same }
    /// How many rows the new version has.
    public var newRows: Int { added + changed + same }

    /// The rows of a `SELECT` over the tables `old` and `new`; see ``Gate/sql(_:)``.
    /// - Throws: ``KappaError``, `.usage`, where the statement cannot be run.
    public func rows(_ select: String) throws -> [Columns] { try ask(select) }

    /// The sums of a column of numbers of the first table, in the live and in the new version. Decimals
    /// are summed exactly; their sum is then given as the nearest double. For all digits, ask
    /// ``rows(_:)`` for `SELECT sum(x) FROM new`.
    /// - Throws: ``KappaError``, `.usage`, where one of them has no such column.
    public func totals(of column: String) throws -> (old: Double, new: Double) {
        let sums = try sums(of: column, old: "old", new: "new")
        guard let old = sums.old.doubleSum, let new = sums.new.doubleSum else {
            throw KappaError(.bug, "a sum is no number", at: "\(view), column \(column)")
        }
        return (old, new)
    }

    /// The sums of a column in two tables: decimals, or doubles. Zero where there are no rows.
    /// - Parameter isExact: Whether integers are summed as decimals, which have digits enough.
    func sums(
        of column: String, old: String, new: String, isExact: Bool = false
    ) throws -> (old: Value, new: Value) {
        let select = AskedVersions.sums(of: column, old: old, new: new, isExact: isExact)
        guard let row = try ask(select).first,
            let before = row["old"], let after = row["new"]
        else { throw KappaError(.bug, "a sum is no number", at: "\(view), column \(column)") }
        return (before, after)
    }
}

extension Value {
    /// A sum as the nearest double; nil where it is no number.
    package var doubleSum: Double? {
        switch self {
        case .integer(let integer): Double(integer)
        case .double(let double): double
        case .decimal(let decimal): decimal.doubleValue
        default: nil
        }
    }
}
