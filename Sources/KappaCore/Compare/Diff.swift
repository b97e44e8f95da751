import Glibc

/// One row that two versions of a view do not agree on.
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

/// How many rows of two versions are alike.
package struct DiffSummary: Equatable, Sendable {
    package var added = 0
    package var removed = 0
    package var changed = 0
    package var same = 0
    /// The offset at which both were compared.
    package var position = Offset.zero

    package init() {}
    package var isSame: Bool { added + removed + changed == 0 }
}

/// Compares two versions of a view at the same position: row by row in key order, in constant memory.
package struct Diff {
    private let old: VersionReader
    private let new: VersionReader
    /// Doubles and decimals that are at most this far apart are the same.
    private let tolerance: Double

    package init(_ old: VersionReader, _ new: VersionReader, tolerance: Double = 0) {
        self.old = old
        self.new = new
        self.tolerance = tolerance
    }

    /// Visits every difference and returns the counts.
    /// - Throws: `.refused` if the two stand at different positions.
    package func run(_ visit: (RowDifference) throws -> Void) throws -> DiffSummary {
        try old.snapshot { try new.snapshot { try compare(visit) } }
    }

    private func compare(_ visit: (RowDifference) throws -> Void) throws -> DiffSummary {
        var summary = DiffSummary()
        let position = try old.checkpoint().offset
        summary.position = position
        let other = try new.checkpoint().offset
        guard position == other else {
            throw KappaError(
                .refused, "the two versions stand at different positions",
                at: "\(old.view)@\(old.number) at offset \(position), "
                    + "\(new.view)@\(new.number) at \(other)",
                because: "rows can only be compared after the same events",
                advice: "Bring the one behind forward with `kappa run --until-caught-up`")
        }
        try compareRows(&summary, visit)
        return summary
    }

    /// Compares the rows as they are, wherever the two versions stand; inside of snapshots of both.
    package func compareRows(
        _ summary: inout DiffSummary, _ visit: (RowDifference) throws -> Void
    ) throws {
        var names = old.tables.map(\.name)
        for table in new.tables where !names.contains(table.name) { names.append(table.name) }
        for name in names { try compare(table: name, &summary, visit) }
    }

    private func compare(
        table name: String, _ summary: inout DiffSummary,
        _ visit: (RowDifference) throws -> Void
    ) throws {
        let left = try Side(old, name)
        let right = try Side(new, name)
        if let a = left.schema, let b = right.schema, !Self.keysAgree(a, b) {
            throw KappaError(
                .refused, "table \(name) has another key in the two versions",
                at: "\(old.view)@\(old.number), \(new.view)@\(new.number)",
                because: "rows are matched by their keys",
                advice: "Compare with SQL: both are SQLite files under views/\(old.view)/")
        }
        let columns = ColumnPairs(left.schema, right.schema, tolerance: tolerance)
        while left.isThere || right.isThere {
            let order = Side.compare(left, right)
            if order < 0 {
                summary.removed += 1
                try visit(columns.only(left, .removed))
                try left.next()
            } else if order > 0 {
                summary.added += 1
                try visit(columns.only(right, .added))
                try right.next()
            } else {
                let differing = columns.differing(left, right)
                if differing.isEmpty {
                    summary.same += 1
                } else {
                    summary.changed += 1
                    try visit(columns.changed(left, right, differing))
                }
                try left.next()
                try right.next()
            }
        }
    }

    private static func keysAgree(_ a: TableSchema, _ b: TableSchema) -> Bool {
        a.keyColumns.map { a.columns[$0] } == b.keyColumns.map { b.columns[$0] }
    }
}

/// The rows of one table of one version, one after another in key order.
final class Side {
    let schema: TableSchema?
    private let statement: SQLiteStatement?
    private(set) var isThere = false
    private let keyColumns: [Int]

    init(_ reader: VersionReader, _ table: String) throws {
        schema = reader.tables.first { $0.name == table }
        keyColumns = schema?.keyColumns ?? []
        statement = try schema.map {
            try reader.connection.prepare(VersionSchema.select($0, keyParts: 0))
        }
        try next()
    }

    func next() throws(KappaError) { isThere = try statement?.step() ?? false }

    var cursor: any RowCursor {
        guard let statement else { preconditionFailure("only a side with a table has rows") }
        return statement
    }

    var key: [Value] {
        guard let schema else { return [] }
        return keyColumns.map { schema.value(cursor, $0) }
    }

    /// Negative, zero or positive, as the left row's key stands before, at or behind the right one's.
    static func compare(_ left: Side, _ right: Side) -> Int {
        guard left.isThere, right.isThere else { return left.isThere ? -1 : 1 }
        let a = left.cursor
        let b = right.cursor
        for (x, y) in zip(left.keyColumns, right.keyColumns) {
            if left.schema?.columns[x].kind == .text {
                let order = KeyOrder.compare(a.text(x), b.text(y))
                if order != 0 { return order }
            } else if a.integer(x) != b.integer(y) {
                return a.integer(x) < b.integer(y) ? -1 : 1
            }
        }
        return 0
    }
}

/// Which columns of two tables belong together, by name.
struct ColumnPairs {
    private let name: String
    private let tolerance: Double
    private let pairs: [(left: Int?, right: Int?, name: String, kind: ColumnKind)]

    init(_ left: TableSchema?, _ right: TableSchema?, tolerance: Double) {
        name = left?.name ?? right?.name ?? ""
        self.tolerance = tolerance
        var pairs: [(Int?, Int?, String, ColumnKind)] = []
        for (index, column) in (left?.columns ?? []).enumerated() where !column.isKey {
            let other = right?.columns.firstIndex { $0.name == column.name }
            pairs.append((index, other, column.name, column.kind))
        }
        for (index, column) in (right?.columns ?? []).enumerated() where !column.isKey {
            if left?.columns.contains(where: { $0.name == column.name }) != true {
                pairs.append((nil, index, column.name, column.kind))
            }
        }
        self.pairs = pairs
    }

    func only(_ side: Side, _ operation: RowDifference.Operation) -> RowDifference {
        let values = side.schema?.values(side.cursor)
        return RowDifference(
            table: name, operation: operation, key: side.key,
            columns: side.schema?.columns.map(\.name) ?? [],
            before: operation == .removed ? values : nil,
            after: operation == .added ? values : nil)
    }

    func changed(_ left: Side, _ right: Side, _ columns: [String]) -> RowDifference {
        RowDifference(
            table: name, operation: .changed, key: left.key, columns: columns,
            before: left.schema?.values(left.cursor), after: right.schema?.values(right.cursor))
    }

    /// The names of the columns whose cells differ. Values are built only where bytes do.
    func differing(_ left: Side, _ right: Side) -> [String] {
        var names: [String] = []
        let a = left.cursor
        let b = right.cursor
        for pair in pairs {
            guard let x = pair.left, let y = pair.right else {
                let isNull = pair.left.map { a.isNull($0) } ?? pair.right.map { b.isNull($0) }
                if isNull == false { names.append(pair.name) }
                continue
            }
            if !isSame(a, x, b, y, left, right) { names.append(pair.name) }
        }
        return names
    }

    private func isSame(
        _ a: any RowCursor, _ x: Int, _ b: any RowCursor, _ y: Int, _ left: Side, _ right: Side
    ) -> Bool {
        let storage = a.storage(x)
        if storage == b.storage(y) {
            switch storage {
            case .null: return true
            case .integer: if a.integer(x) == b.integer(y) { return true }
            case .double: if a.double(x) == b.double(y) { return true }
            case .text, .blob: if KeyOrder.compare(a.text(x), b.text(y)) == 0 { return true }
            }
        }
        guard let old = left.schema?.value(a, x), let new = right.schema?.value(b, y) else {
            return false
        }
        if old == new { return true }
        guard tolerance > 0, let from = old.number, let to = new.number else { return false }
        return abs(from - to) <= tolerance
    }
}

extension Value {
    /// The value of an inexact or decimal column as a double.
    fileprivate var number: Double? {
        switch self {
        case .double(let double): double
        case .decimal(let decimal): decimal.doubleValue
        case .null, .bool, .integer, .text, .timestamp, .json: nil
        }
    }
}
