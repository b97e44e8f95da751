/// A check on the comparison of the new version with the live one; it must pass before the new version is
/// promoted.
///
/// ```swift
/// View("user_totals") { … }
///     .promote(
///         when: .changedRows(atMost: .percent(1)), .removedRows(atMost: 0),
///         .columnDrift("revenue", atMost: .percent(5)),
///         .sql("SELECT * FROM new WHERE revenue < 0"))
/// ```
/// Gates decide when a version may become live, not what its rows are, so they are not part of the view's
/// digest.
public struct Gate: Sendable, CustomStringConvertible {
    package enum Rule: Sendable {
        case rows(Rows, Allowance)
        case drift(String, Allowance)
        case sql(String)
        case check(String, @Sendable (VersionComparison) throws -> Bool)
        case events(Events, Allowance)
        case manualApproval
    }

    /// Which events are counted.
    package enum Events: String, CaseIterable, Sendable { case dead, late }

    /// Which rows are counted.
    package enum Rows: String, CaseIterable, Sendable { case added, removed, changed, differing }

    package let rule: Rule

    package init(_ rule: Rule) { self.rule = rule }

    /// Limits how many of the rows that both versions have may differ. Percentages are of the live rows.
    public static func changedRows(atMost allowance: Allowance) -> Gate {
        Gate(.rows(.changed, allowance))
    }

    /// Limits how many rows of the new version may be missing from the live one. Percentages are of the
    /// live rows.
    public static func addedRows(atMost allowance: Allowance) -> Gate {
        Gate(.rows(.added, allowance))
    }

    /// Limits how many live rows may be missing from the new version. Percentages are of the live rows.
    public static func removedRows(atMost allowance: Allowance) -> Gate {
        Gate(.rows(.removed, allowance))
    }

    /// Limits how many rows may be added, removed or changed, all together. Percentages are of the live
    /// rows. A row whose key changes counts as one row removed and one added, not as changed.
    public static func differingRows(atMost allowance: Allowance) -> Gate {
        Gate(.rows(.differing, allowance))
    }

    /// Limits how much the sum of a column may change. Percentages are of the live version's sum.
    /// - Parameter column: A column of numbers, or `table.column` if several tables have it.
    public static func columnDrift(_ column: String, atMost allowance: Allowance) -> Gate {
        Gate(.drift(column, allowance))
    }

    /// Limits how many events may be dead letters. Percentages are of the view's applied, late and dead
    /// events together.
    ///
    /// Without this gate, a version is held back if its share of dead letters exceeds the live version's by
    /// more than one percentage point, and a first version if more than half of its events are dead letters.
    /// With it, the gate alone decides.
    public static func deadLetters(atMost allowance: Allowance) -> Gate {
        Gate(.events(.dead, allowance))
    }

    /// Limits how many events may be late. Percentages are of the view's applied, late and dead events
    /// together.
    public static func lateEvents(atMost allowance: Allowance) -> Gate {
        Gate(.events(.late, allowance))
    }

    /// A `SELECT` over the tables `old` and `new` that must return no rows: each row is a failure.
    ///
    /// `old` and `new` are the view's first table in the live and the new version. Every table is also
    /// available as `old_NAME` and `new_NAME`. For a view's first version, `old` has no rows.
    public static func sql(_ select: String) -> Gate { Gate(.sql(select)) }

    /// A check in Swift over both versions.
    /// - Parameters:
    ///   - name: The name of the check, which a refusal shows.
    ///   - passes: Whether the version may become live. An error that it throws counts as a refusal.
    public static func check(
        _ name: String, _ passes: @escaping @Sendable (VersionComparison) throws -> Bool
    ) -> Gate {
        Gate(.check(name, passes))
    }

    /// A version stays ready until a person runs `kappa promote`.
    public static var manualApproval: Gate { Gate(.manualApproval) }

    /// Why the gate is invalid; nil if it is valid.
    var fault: String? {
        switch rule {
        case .rows(_, let allowance), .drift(_, let allowance), .events(_, let allowance):
            allowance.fault
        case .sql(let select):
            select.contains { !$0.isWhitespace } ? nil : "the SELECT of a gate has no text"
        case .check, .manualApproval: nil
        }
    }

    /// Whether it says how many live rows may be missing.
    package var limitsRemovedRows: Bool {
        if case .rows(let rows, _) = rule { rows == .removed || rows == .differing } else { false }
    }

    /// Whether judging it compares rows.
    package var compares: Bool {
        switch rule {
        case .manualApproval, .events: false
        case .rows, .drift, .sql, .check: true
        }
    }

    /// The gate as it is written on the command line.
    public var description: String {
        switch rule {
        case .rows(let rows, let allowance): "max-\(rows.rawValue)=\(allowance)"
        case .drift(let column, let allowance): "column:\(column)=\(allowance)"
        case .sql(let select):
            "sql=" + select.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        case .check(let name, _): "check \"\(name)\""
        case .events(let events, let allowance): "max-\(events.rawValue)=\(allowance)"
        case .manualApproval: "manual approval"
        }
    }
}

/// The limit of a gate: a number, or a percentage of what the live version has.
public struct Allowance: Equatable, Sendable, CustomStringConvertible,
    ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral
{
    private let amount: Double
    private let isPercent: Bool

    private init(amount: Double, isPercent: Bool) {
        self.amount = amount
        self.isPercent = isPercent
    }

    /// An absolute limit.
    public init(_ amount: Double) { self.init(amount: amount, isPercent: false) }
    /// An absolute limit, such as `20`.
    public init(integerLiteral amount: Int) { self.init(Double(amount)) }
    /// An absolute limit, such as `0.5`.
    public init(floatLiteral amount: Double) { self.init(amount) }
    /// A limit in percent of what the live version has.
    public static func percent(_ percent: Double) -> Allowance {
        Allowance(amount: percent, isPercent: true)
    }

    /// Parses `20`, `0.5` or `1%`; nil for anything else.
    package init?(parsing text: String) {
        let isPercent = text.hasSuffix("%")
        guard let amount = Double(isPercent ? text.dropLast() : text[...]), amount >= 0,
            amount.isFinite
        else { return nil }
        self.init(amount: amount, isPercent: isPercent)
    }

    /// Why the limit is invalid; nil if it is valid.
    fileprivate var fault: String? {
        amount >= 0 && amount.isFinite
            ? nil : "a gate's limit must be a finite number of at least 0, not \(self)"
    }

    /// Whether `amount` is within the limit.
    /// - Parameter whole: The number that a percentage refers to.
    package func allows(_ amount: Double, of whole: Double) -> Bool {
        isPercent ? amount * 100 <= self.amount * whole : amount <= self.amount
    }

    /// The limit as text: `20` or `1%`.
    public var description: String { Self.text(amount) + (isPercent ? "%" : "") }

    /// A number as text, without a trailing `.0`.
    package static func text(_ number: Double) -> String {
        number == number.rounded() && abs(number) < 1e15 ? "\(Int64(number))" : "\(number)"
    }
}

/// The new version and the live one, after the same events: the input of a gate written in Swift.
public struct VersionComparison {
    /// The view's name.
    public let view: String
    /// The position of both versions.
    public let position: Offset
    /// Whether there is no live version; then all rows count as added.
    public let isFirst: Bool
    /// How many rows only the new version has.
    public let added: Int
    /// How many rows only the live version has.
    public let removed: Int
    /// How many rows both have, but with a difference in some column.
    public let changed: Int
    /// How many rows are the same in both.
    public let same: Int
    /// Queries both versions in SQL.
    let ask: (String) throws -> [Columns]

    /// How many rows the live version has.
    public var oldRows: Int { removed + changed + same }
    /// How many rows the new version has.
    public var newRows: Int { added + changed + same }

    /// The rows of a `SELECT` over the tables `old` and `new`; see ``Gate/sql(_:)``.
    /// - Throws: ``KappaError``, `.usage`, if the statement cannot be run.
    public func rows(_ select: String) throws -> [Columns] { try ask(select) }

    /// The sums of a numeric column of the first table, in the live and in the new version. Decimals are
    /// summed exactly, and the sum is then rounded to the nearest double. For all digits, call ``rows(_:)``
    /// with `SELECT sum(x) FROM new`.
    /// - Throws: ``KappaError``, `.usage`, if either version lacks the column.
    public func totals(of column: String) throws -> (old: Double, new: Double) {
        let sums = try sums(of: column, old: "old", new: "new")
        guard let old = sums.old.doubleSum, let new = sums.new.doubleSum else {
            throw KappaError(.bug, "a sum is not a number", at: "\(view), column \(column)")
        }
        return (old, new)
    }

    /// The sums of a column in two tables: decimals, or doubles. Zero if there are no rows.
    /// - Parameter isExact: Whether integers are summed as decimals, whose digits make the sum exact.
    func sums(
        of column: String, old: String, new: String, isExact: Bool = false
    ) throws -> (old: Value, new: Value) {
        let select = AskedVersions.sums(of: column, old: old, new: new, isExact: isExact)
        guard let row = try ask(select).first,
            let before = row["old"], let after = row["new"]
        else { throw KappaError(.bug, "a sum is not a number", at: "\(view), column \(column)") }
        return (before, after)
    }
}

extension Value {
    /// A sum as the nearest double; nil if the value is not numeric.
    package var doubleSum: Double? {
        switch self {
        case .integer(let integer): Double(integer)
        case .double(let double): double
        case .decimal(let decimal): decimal.doubleValue
        default: nil
        }
    }
}
