/// A check on the comparison of new and live that must pass before a version is promoted.
///
/// ```swift
/// View("user_totals") { … }
///     .promote(
///         when: .changedRows(atMost: .percent(1)), .removedRows(atMost: 0),
///         .columnDrift("revenue", atMost: .percent(5)),
///         .sql("SELECT * FROM new WHERE revenue < 0"))
/// ```
/// Gates say when a version may become live, not what its rows are: they count for nothing in the
/// digest of a view.
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

    /// At most so many rows that both versions have may differ; percents are of the live rows.
    public static func changedRows(atMost allowance: Allowance) -> Gate {
        Gate(.rows(.changed, allowance))
    }

    /// At most so many rows of the new version may lack in the live one; percents are of the live
    /// rows.
    public static func addedRows(atMost allowance: Allowance) -> Gate {
        Gate(.rows(.added, allowance))
    }

    /// At most so many live rows may lack in the new version; percents are of the live rows.
    public static func removedRows(atMost allowance: Allowance) -> Gate {
        Gate(.rows(.removed, allowance))
    }

    /// At most so many rows may be added, removed or changed, all together; percents are of the live
    /// rows. Where keys change, rows are added and removed, and none is changed.
    public static func differingRows(atMost allowance: Allowance) -> Gate {
        Gate(.rows(.differing, allowance))
    }

    /// The sum of a column may move by so much at most; percents are of the live version's sum.
    /// - Parameter column: A column of numbers, or `table.column` where several tables have it.
    public static func columnDrift(_ column: String, atMost allowance: Allowance) -> Gate {
        Gate(.drift(column, allowance))
    }

    /// At most so many events may be dead letters; percents are of the events that the view takes, with
    /// those that it could not take and those that came too late.
    ///
    /// Without this gate a version is held back where the share of dead letters rises by more than one
    /// percent point above that of the live version; a first version, where more than half of its events are
    /// dead. With it, the gate alone decides.
    public static func deadLetters(atMost allowance: Allowance) -> Gate {
        Gate(.events(.dead, allowance))
    }

    /// At most so many events may be late; percents are of the events that the view takes, with those that
    /// it could not take and those that came too late.
    public static func lateEvents(atMost allowance: Allowance) -> Gate {
        Gate(.events(.late, allowance))
    }

    /// A `SELECT` over the tables `old` and `new` that must return no rows: each row is a failure.
    ///
    /// `old` and `new` are the view's first table in the two versions; every table is there as
    /// `old_NAME` and `new_NAME`. For a view's first version, `old` has no rows.
    public static func sql(_ select: String) -> Gate { Gate(.sql(select)) }

    /// A check in Swift over both versions.
    /// - Parameters:
    ///   - name: How a refusal calls it.
    ///   - passes: Whether the version may become live; what it throws is a refusal, too.
    public static func check(
        _ name: String, _ passes: @escaping @Sendable (VersionComparison) throws -> Bool
    ) -> Gate {
        Gate(.check(name, passes))
    }

    /// A version stays ready until a person calls `kappa promote`.
    public static var manualApproval: Gate { Gate(.manualApproval) }

    /// Why it can never be meant; nil where it can.
    var fault: String? {
        switch rule {
        case .rows(_, let allowance), .drift(_, let allowance), .events(_, let allowance):
            allowance.fault
        case .sql(let select):
            select.contains { !$0.isWhitespace } ? nil : "the SELECT of a gate has no text"
        case .check, .manualApproval: nil
        }
    }

    /// Whether it looks at rows.
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

/// How much a gate lets through: a number, or a part of what the live version has.
public struct Allowance: Equatable, Sendable, CustomStringConvertible,
    ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral
{
    private let amount: Double
    private let isPercent: Bool

    private init(amount: Double, isPercent: Bool) {
        self.amount = amount
        self.isPercent = isPercent
    }

    /// So many, or so much.
    public init(_ amount: Double) { self.init(amount: amount, isPercent: false) }
    /// So many.
    public init(integerLiteral amount: Int) { self.init(Double(amount)) }
    /// So much.
    public init(floatLiteral amount: Double) { self.init(amount) }
    /// A part of what the live version has, in percent.
    public static func percent(_ percent: Double) -> Allowance {
        Allowance(amount: percent, isPercent: true)
    }

    /// Reads `20`, `0.5` or `1%`; nil where it is neither.
    package init?(parsing text: String) {
        let isPercent = text.hasSuffix("%")
        guard let amount = Double(isPercent ? text.dropLast() : text[...]), amount >= 0,
            amount.isFinite
        else { return nil }
        self.init(amount: amount, isPercent: isPercent)
    }

    /// Why nothing could ever be let through by it; nil where something can.
    fileprivate var fault: String? {
        amount >= 0 && amount.isFinite
            ? nil : "what a gate lets through is a number from 0 on, not \(self)"
    }

    /// Whether `amount` is no more than it lets through.
    /// - Parameter whole: What percents are of.
    package func allows(_ amount: Double, of whole: Double) -> Bool {
        isPercent ? amount * 100 <= self.amount * whole : amount <= self.amount
    }

    /// As `20` or `1%`.
    public var description: String { Self.text(amount) + (isPercent ? "%" : "") }

    /// A number without a fraction that says nothing.
    package static func text(_ number: Double) -> String {
        number == number.rounded() && abs(number) < 1e15 ? "\(Int64(number))" : "\(number)"
    }
}

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
