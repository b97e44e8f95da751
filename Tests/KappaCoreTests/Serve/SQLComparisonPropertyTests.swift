import KappaTesting
import Testing

@testable import KappaCore

/// Every form of comparison × every type of column × literals and parameters × `query`, `sql`, gates and
/// `diff --where`, compared with a filter in Swift.
@Suite("Comparisons in SQL") struct SQLComparisonPropertyTests {
    private static let seeds: [UInt64] = [1, 2, 3, 4]

    @Test("comparisons of all types and forms give what a filter in Swift gives", arguments: seeds)
    func all(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let rows = (0..<40).map { number in
            SQLQuestions.row("k\(number)", Self.cells(&random))
        }
        let questions = try SQLQuestions(rows)
        for column in ["at", "seen", "paid", "owed", "n", "x", "ok", "s"] {
            for form in Form.allCases {
                let comparison = Comparison(column, form, &random)
                try check(comparison, rows, questions, "seed \(seed)")
            }
        }
    }

    private func check(
        _ comparison: Comparison, _ rows: [[Value]], _ questions: SQLQuestions, _ seed: String
    ) throws {
        let expected = rows.map { row in (key: row[0].plainText, holds: comparison.holds(row)) }
        let keys = expected.filter { $0.holds == true }.map(\.key).sorted()
        let condition = comparison.text(asParameters: false)
        let note = Comment("\(condition), \(seed)")
        #expect(try questions.query(condition).sorted() == keys, note)
        #expect(try questions.diff(condition).sorted() == keys, note)
        #expect(
            try questions.csv("SELECT k FROM t WHERE \(condition)").sorted() == keys, note)
        let values = try questions.sql("SELECT k, (\(condition)) FROM t")
        for (key, holds) in expected {
            let found = values.first { $0[0] == .text(key) }?[1]
            #expect(found == (holds.map { .bool($0) } ?? .null), "\(key): \(note)")
        }
        let figures = try questions.gate(.sql("SELECT k FROM new WHERE \(condition)")).figures
        #expect(figures == "it returns \(keys.count) row\(keys.count == 1 ? "" : "s")", note)
        let withParameters = "SELECT k FROM t WHERE " + comparison.text(asParameters: true)
        #expect(
            try questions.csv(withParameters, comparison.parameters).sorted() == keys, note)
    }

    @Test("the order, extremes and sums of decimals are those of Swift", arguments: seeds)
    func ordersOfDecimals(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let rows = (0..<40).map { SQLQuestions.row("k\($0)", Self.cells(&random)) }
        let questions = try SQLQuestions(rows)
        let owed = rows.compactMap { row -> ExactDecimal? in
            if case .decimal(let decimal) = row[4] { decimal } else { nil }
        }
        let ordered = owed.sorted().map(\.description)
        for order in ["owed", "1", "o", "owed COLLATE NOCASE", "(owed)"] {
            let select = "SELECT owed AS o FROM t WHERE owed IS NOT NULL ORDER BY \(order)"
            #expect(try questions.csv(select) == ordered, "\(order), seed \(seed)")
        }
        #expect(
            try questions.csv("SELECT min(owed), max(owed) FROM t")
                == ["\(ordered.first ?? ""),\(ordered.last ?? "")"], "seed \(seed)")
        #expect(
            try questions.csv("SELECT DISTINCT owed FROM t WHERE owed IS NOT NULL ORDER BY owed")
                == Set(owed).sorted().map(\.description), "seed \(seed)")
        #expect(
            try questions.csv("SELECT count(*) FROM (SELECT owed FROM t GROUP BY owed)")
                == ["\(Set(owed).count + (owed.count < rows.count ? 1 : 0))"], "seed \(seed)")
        let ranked = try questions.csv(
            "SELECT k FROM (SELECT k, owed, rank() OVER (ORDER BY owed DESC NULLS LAST) AS r FROM t) "
                + "WHERE r = 1 AND owed = (SELECT max(owed) FROM t) ORDER BY k LIMIT 1")
        let best = rows.filter { $0[4] == .decimal(owed.max() ?? 0) }.map { $0[0].plainText }.min()
        #expect(ranked == [best ?? ""], "seed \(seed)")
    }

    private static let signs = ["<", "<=", ">", ">=", "=", "!=", "IS"]

    @Test("columns of two types are compared by their values", arguments: seeds)
    func pairs(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let rows = (0..<40).map { SQLQuestions.row("k\($0)", Self.cells(&random)) }
        let questions = try SQLQuestions(rows)
        let columns = SQLQuestions.table.columns.map(\.name)
        for (a, b) in [
            ("paid", "owed"), ("owed", "n"), ("n", "owed"), ("owed", "x"), ("x", "paid"),
            ("n", "x"),
            ("at", "seen"), ("ok", "n"),
        ] {
            let (i, j) = (columns.firstIndex(of: a) ?? 0, columns.firstIndex(of: b) ?? 0)
            let orders = rows.map { row in
                (row[0].plainText, Comparison.order(Self.number(row[i]), Self.number(row[j])))
            }
            func expected(_ holds: (Int) -> Bool) -> [String] {
                orders.filter { $0.1.map(holds) ?? false }.map(\.0).sorted()
            }
            for sign in Self.signs where sign != "IS" {
                let keys = expected { order in
                    switch sign {
                    case "<": order < 0
                    case "<=": order <= 0
                    case ">": order > 0
                    case ">=": order >= 0
                    case "=": order == 0
                    default: order != 0
                    }
                }
                let note = Comment("\(a) \(sign) \(b), seed \(seed)")
                #expect(try questions.query("\(a) \(sign) \(b)").sorted() == keys, note)
                #expect(
                    try questions.query("(1, \(a)) \(sign) (1, \(b))").sorted() == keys, note)
            }
            let equal = expected { $0 == 0 }
            for condition in [
                "\(a) IN (\(b))", "\(a) IN (NULL, \(b))", "CASE \(a) WHEN \(b) THEN 1 END",
                "\(a) BETWEEN \(b) AND \(b)", "\(a) IN (SELECT u.\(b) FROM t u WHERE u.k = t.k)",
                "NOT \(a) IS DISTINCT FROM \(b) AND \(a) IS NOT NULL",
                "max(\(a), \(b)) = min(\(a), \(b))",
                "EXISTS (SELECT 1 FROM t u WHERE u.k = t.k AND t.\(a) = u.\(b))",
            ] {
                #expect(
                    try questions.query(condition).sorted() == equal, "\(condition), seed \(seed)")
            }
        }
    }

    /// A number as a decimal, whatever it is stored as.
    private static func number(_ value: Value) -> Value {
        switch value {
        case .bool(let bool): .decimal(bool ? 1 : 0)
        case .integer(let integer): .decimal(ExactDecimal(integer))
        case .double(let double):
            // Beyond the range of decimals, and so larger or smaller than all of them.
            ExactDecimal("\(double)").map { .decimal($0) }
                ?? .number(
                    (double < 0 ? "-" : "") + "170141183460469231731687303715884105727")
        default: value
        }
    }

    @Test("columns that cannot be compared are refused in every form")
    func refusedPairs() throws {
        let questions = try SQLQuestions([])
        for (a, b) in [
            ("at", "n"), ("paid", "at"), ("at", "x"), ("ok", "at"), ("paid", "ok"), ("s", "n"),
            ("x", "s"), ("doc", "n"),
        ] {
            let forms =
                Self.signs.map { "\(a) \($0) \(b)" } + [
                    "\(a) IN (\(b))", "\(a) BETWEEN \(b) AND \(b)",
                    "CASE \(a) WHEN \(b) THEN 1 END",
                    "nullif(\(a), \(b))", "max(\(a), \(b))", "(1, \(a)) < (1, \(b))",
                    "\(a) IN (SELECT \(b) FROM t)", "(1, \(a)) IN (SELECT 1, \(b) FROM t)",
                ]
            for form in forms {
                let refusal = questions.refusal("SELECT \(form) FROM t")
                #expect(refusal.hasPrefix("usage "), "\(form): \(refusal)")
            }
            let join = "SELECT 1 FROM t JOIN (SELECT \(b) AS \(a) FROM t) USING (\(a))"
            #expect(questions.refusal(join).hasPrefix("usage "), "\(join)")
        }
    }

    // MARK: Values

    static func cells(_ random: inout SplitMix) -> [String: Value] {
        var cells: [String: Value] = [:]
        for column in SQLQuestions.table.columns where column.kind != .json {
            let isNull = !column.isKey && random.below(6) == 0
            cells[column.name] = isNull ? .null : value(column.kind, &random)
        }
        return cells
    }

    /// One of a few values, so that equal ones are common.
    static func value(_ kind: ColumnKind, _ random: inout SplitMix) -> Value {
        func one<T>(_ values: [T]) -> T { values[random.below(values.count)] }
        switch kind {
        case .bool: return .bool(random.below(2) == 0)
        case .integer: return .integer(one([-5, 0, 1, 9, 10, 9_007_199_254_740_993, .max, .min]))
        case .double: return .double(one([-0.5, 0.1, 0.5, 2, 10, 1e300, 9_007_199_254_740_992]))
        case .text, .json:
            return .text(one(["", "a", "b", "B", "10", "9", "é", "o'x", "2024-01-15"]))
        case .timestamp:
            return .time(
                one([
                    "1969-12-31T23:59:59.999999Z", "1950-06-01", "2024-01-15", "2024-03-01",
                    "2024-03-01T00:00:00.000001Z", "2024-03-01T12:30:00Z", "9999-12-31T23:59:59Z",
                ]))
        case .decimal:
            return .number(
                one([
                    "0", "0.1", "-0.1", "9", "10", "10.5", "0.30000000000000004", "1e30",
                    "99999999999999999999999999999999999999",
                    "-99999999999999999999999999999999999998",
                    "9007199254740992.5", "9007199254740993", "-12345678901234567.25",
                    "0.0000000000000000000000000000000000001", "-0.00000000000000000000000001",
                ]))
        }
    }
}

/// The forms of a comparison of a column with one or two values.
enum Form: String, CaseIterable {
    case less = "<"
    case atMost = "<="
    case more = ">"
    case atLeast = ">="
    case equal = "="
    case equal2 = "=="
    case unequal = "!="
    case unequal2 = "<>"
    case same = "IS"
    case notSame = "IS NOT"
    case distinct = "IS DISTINCT FROM"
    case notDistinct = "IS NOT DISTINCT FROM"
    case between, notBetween, among, notAmong, amongSelect, choice, nullif, row, rowEqual, greatest
    case reversed, amongColumns

    var isOrder: Bool { [.less, .atMost, .more, .atLeast].contains(self) }
}

struct Comparison {
    let column: String
    let index: Int
    let form: Form
    let values: [Value]
    private let spelled: [String]
    private let isQuoted: [Bool]

    init(_ column: String, _ form: Form, _ random: inout SplitMix) {
        self.column = column
        self.form = form
        index = SQLQuestions.table.columns.firstIndex { $0.name == column } ?? 0
        let kind = SQLQuestions.table.columns[index].kind
        values = (0..<2).map { _ in SQLComparisonPropertyTests.value(kind, &random) }
        spelled = values.map { Self.spelling($0, &random) }
        isQuoted = values.map { _ in random.below(2) == 0 }
    }

    /// One way in which a user may write a value, without quotes, as in a parameter.
    private static func spelling(_ value: Value, _ random: inout SplitMix) -> String {
        switch value {
        case .bool(let bool):
            return [["false", "0", "FALSE"], ["true", "1", "True"]][bool ? 1 : 0][random.below(3)]
        case .timestamp(let time):
            let text = time.description
            let day = text.hasSuffix("T00:00:00Z") ? String(text.prefix(10)) : text
            return [
                text, String(text.dropLast()), text.replacing("T", with: " "), day,
                String(text.dropLast()) + "+00:00",
            ][random.below(5)]
        case .decimal(let decimal):
            let text = decimal.description
            let longer = text.contains(".") ? text + "0" : text + ".0"
            return [text, decimal.mantissa.magnitude < 1 << 90 ? longer : text][random.below(2)]
        default: return value.plainText
        }
    }

    /// The value as a literal: a text, or a number if it is one.
    private func literal(_ index: Int) -> String {
        let quoted = SQLLiteral.quoted(spelled[index])
        switch values[index] {
        case .text, .timestamp: return quoted
        case .bool: return ["0", "1"].contains(spelled[index]) ? spelled[index] : quoted
        case .integer(.min): return quoted
        case .double, .integer, .decimal:
            return isQuoted[index] ? quoted : spelled[index]
        default: return quoted
        }
    }

    func text(asParameters: Bool) -> String {
        let a = asParameters ? "?1" : literal(0)
        let b = usesTwo ? (asParameters ? "?2" : literal(1)) : ""
        switch form {
        case .between: return "\(column) BETWEEN \(a) AND \(b)"
        case .notBetween: return "\(column) NOT BETWEEN \(a) AND \(b)"
        case .among: return "\(column) IN (\(a), \(b))"
        case .notAmong: return "\(column) NOT IN (\(a), \(b))"
        case .amongSelect:
            return "\(column) IN (SELECT u.\(column) FROM t AS u WHERE u.\(column) > \(a)) "
                + "AND \(column) IS NOT NULL"
        case .choice: return "CASE \(column) WHEN \(a) THEN 1 WHEN \(b) THEN 1 ELSE 0 END = 1"
        case .nullif: return "nullif(\(column), \(a)) IS NULL"
        case .row: return "(\(column), 'k5') < (\(a), k)"
        case .rowEqual: return "(k, \(column)) = ('k5', \(a))"
        case .greatest: return "max(\(column), \(a)) = \(a)"
        case .reversed: return "\(a) < \(column)"
        case .amongColumns: return "\(a) IN (\(column))"
        default: return "\(column) \(form.rawValue) \(a)"
        }
    }

    private var usesTwo: Bool {
        [.between, .notBetween, .among, .notAmong, .choice].contains(form)
    }
    var parameters: [Value] { spelled.prefix(usesTwo ? 2 : 1).map { .text($0) } }

    /// The result by the rules of SQL; nil if it is unknown.
    func holds(_ row: [Value]) -> Bool? {
        let cell = row[index]
        let key = row[0].plainText
        let first = Self.order(cell, values[0])
        let second = Self.order(cell, values[1])
        let both: (Int, Int)? = first.flatMap { a in second.map { (a, $0) } }
        switch form {
        case .less: return first.map { $0 < 0 }
        case .atMost: return first.map { $0 <= 0 }
        case .more: return first.map { $0 > 0 }
        case .atLeast: return first.map { $0 >= 0 }
        case .equal, .equal2, .amongColumns: return first.map { $0 == 0 }
        case .unequal, .unequal2: return first.map { $0 != 0 }
        case .same, .notDistinct: return first == 0
        case .notSame, .distinct: return first != 0
        case .between: return both.map { $0 >= 0 && $1 <= 0 }
        case .notBetween: return both.map { !($0 >= 0 && $1 <= 0) }
        case .among: return both.map { $0 == 0 || $1 == 0 }
        case .notAmong: return both.map { $0 != 0 && $1 != 0 }
        // The cell's own row is among the selected ones if it is larger.
        case .amongSelect: return first.map { $0 > 0 } ?? false
        case .choice: return both.map { $0 == 0 || $1 == 0 } ?? false
        case .nullif: return first.map { $0 == 0 } ?? true
        case .row: return first.map { $0 < 0 || ($0 == 0 && "k5" < key) }
        case .rowEqual: return key == "k5" ? first.map { $0 == 0 } : false
        case .greatest: return first.map { $0 <= 0 }
        case .reversed: return first.map { $0 > 0 }
        }
    }

    /// The order of two values; nil if one is missing.
    static func order(_ a: Value, _ b: Value) -> Int? {
        func of<T: Comparable>(_ x: T, _ y: T) -> Int { x < y ? -1 : x == y ? 0 : 1 }
        switch (a, b) {
        case (.bool(let x), .bool(let y)): return of(x ? 1 : 0, y ? 1 : 0)
        case (.integer(let x), .integer(let y)): return of(x, y)
        case (.double(let x), .double(let y)): return of(x, y)
        case (.decimal(let x), .decimal(let y)): return of(x, y)
        case (.timestamp(let x), .timestamp(let y)): return of(x, y)
        case (.text(let x), .text(let y)):
            if x.utf8.elementsEqual(y.utf8) { return 0 }
            return x.utf8.lexicographicallyPrecedes(y.utf8) ? -1 : 1
        default: return nil
        }
    }
}
