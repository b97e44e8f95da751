/// An expression of the text, parsed.
struct SQLExpression {
    indirect enum Kind {
        case number(String)
        case text(String)
        case blob, null
        /// `CURRENT_TIMESTAMP` and the like.
        case now
        /// The number of a parameter, from 0.
        case parameter(Int)
        case column(SQLColumnName)
        case unary(String, SQLExpression)
        /// `+ - * / % & | << >> || -> ->>`
        case arithmetic(String, SQLExpression, SQLExpression)
        /// `AND`, `OR`
        case logic(SQLExpression, SQLExpression)
        /// `= == <> != < <= > >=`, `IS` in all forms.
        case comparison(String, SQLExpression, SQLExpression)
        /// `LIKE`, `GLOB`, `REGEXP`, `MATCH`.
        case like(SQLExpression, SQLExpression, escape: SQLExpression?)
        case between(SQLExpression, SQLExpression, SQLExpression)
        case among(SQLExpression, SQLSet)
        /// `ISNULL`, `NOTNULL`, `NOT NULL`
        case isNull(SQLExpression)
        case choice(
            base: SQLExpression?, [(when: SQLExpression, then: SQLExpression)], SQLExpression?)
        case cast(SQLExpression, type: String)
        case collate(SQLExpression)
        case call(SQLCallSyntax)
        case exists(SQLSelect)
        case subquery(SQLSelect)
        case brackets(SQLExpression)
        /// A row value, `(a, b)`.
        case row([SQLExpression])
    }

    var kind: Kind
    var range: Range<Int>
    /// How many levels of expressions it has.
    var height = 1
}

/// `column`, `table.column` or `database.table.column`.
struct SQLColumnName {
    var database: String?
    var table: String?
    var name: String
    var isDoubleQuoted: Bool
    var isBare: Bool
}

/// The right side of `IN`.
enum SQLSet {
    case list([SQLExpression])
    /// With the range of its brackets.
    case select(SQLSelect, Range<Int>)
    case table(SQLSource)
}

struct SQLCallSyntax {
    /// In lower case.
    var name: String
    var nameRange: Range<Int>
    var isDistinct = false
    var isStar = false
    var arguments: [SQLExpression] = []
    var order: [SQLOrderTerm] = []
    var filter: SQLExpression?
    /// Set for window functions; `.named` refers to a `WINDOW` clause.
    var window: SQLWindowUse?
}

enum SQLWindowUse {
    case named
    case defined(SQLWindow)
}

struct SQLWindow {
    var partition: [SQLExpression] = []
    var order: [SQLOrderTerm] = []
    /// The expressions of the frame's bounds.
    var bounds: [SQLExpression] = []
    var isRange = false
}

struct SQLOrderTerm {
    var expression: SQLExpression
}

/// A `SELECT` or `VALUES`, possibly of several arms joined by `UNION` and the like.
struct SQLSelect {
    var with: [SQLCommonTable] = []
    var arms: [SQLArm] = []
    var order: [SQLOrderTerm] = []
    /// `LIMIT` and `OFFSET`.
    var limits: [SQLExpression] = []
    var range = 0..<0
    /// From `WITH` or the first arm to the end of the last arm.
    var bodyRange = 0..<0
    /// From `ORDER BY` or `LIMIT` to the end.
    var tailRange = 0..<0
    /// How many levels of expressions it has.
    var height = 1
}

/// A table of a `WITH`.
struct SQLCommonTable {
    var name: String
    var columns: [String]?
    var select: SQLSelect
}

enum SQLArm {
    case core(SQLCore)
    case values([[SQLExpression]], Range<Int>)

    var range: Range<Int> {
        switch self {
        case .core(let core): core.range
        case .values(_, let range): range
        }
    }
}

struct SQLCore {
    var results: [SQLResult] = []
    var from: [SQLJoined] = []
    var condition: SQLExpression?
    var groups: [SQLExpression] = []
    var having: SQLExpression?
    var windows: [SQLWindow] = []
    var range = 0..<0
}

enum SQLResult {
    /// `*`, or `table.*`.
    case all(table: String?, Range<Int>)
    case expression(SQLExpression, alias: String?)
}

/// A source, and how it is joined to those before it.
struct SQLJoined {
    var source: SQLSource
    var isNatural = false
    var on: SQLExpression?
    var using: [String] = []
}

struct SQLSource {
    indirect enum Kind {
        case table(database: String?, name: String, arguments: [SQLExpression]?)
        case select(SQLSelect)
        case joined([SQLJoined])
    }

    var kind: Kind
    var alias: String?
    var range: Range<Int>
}
