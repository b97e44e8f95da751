/// Compares two versions of a view at the same position: row by row in key order, in constant memory.
///
/// If the key of a table differs between the two versions, they have no row in common: all old rows are
/// removed, then all new ones are added.
package struct Diff {
    /// What to compare.
    package struct Options: Sendable {
        /// Doubles and decimals that are at most this far apart are equal.
        package var tolerance = 0.0
        /// Columns that are not compared.
        package var ignored: Set<String> = []
        /// The only table to compare; nil for all.
        package var table: String?
        /// The key, as JSON, of the only row to compare, in ``table`` or in the view's first table.
        package var key: JSONValue?
        /// A condition in SQL over the columns of ``table``, or of the view's first table. A row is
        /// compared if it holds for the old or for the new row.
        package var condition: String?

        package init(tolerance: Double = 0) { self.tolerance = tolerance }
    }

    private let old: VersionReader
    private let new: VersionReader
    private let options: Options
    /// Called every few thousand rows. An error that it throws ends the comparison.
    package var pulse: () throws -> Void = {}

    package init(_ old: VersionReader, _ new: VersionReader, tolerance: Double = 0) {
        self.init(old, new, Options(tolerance: tolerance))
    }

    package init(_ old: VersionReader, _ new: VersionReader, _ options: Options) {
        self.old = old
        self.new = new
        self.options = options
    }

    /// Visits the differences and returns the counts.
    /// - Parameter most: How many differences to visit at most, in key order; all are counted.
    /// - Throws: `.refused` if the two are at different positions.
    package func run(
        atMost most: Int = .max, _ visit: (RowDifference) throws -> Void
    ) throws -> DiffSummary {
        try old.snapshot { try new.snapshot { try compare(atMost: most, visit) } }
    }

    private func compare(
        atMost most: Int, _ visit: (RowDifference) throws -> Void
    ) throws -> DiffSummary {
        var summary = DiffSummary()
        let position = try old.checkpoint().offset
        summary.position = position
        let other = try new.checkpoint().offset
        guard position == other else {
            throw KappaError(
                .refused, "the two versions are at different positions",
                at: "\(old.view)@\(old.number) at offset \(position), "
                    + "\(new.view)@\(new.number) at \(other)",
                because: "rows can only be compared after the same events",
                advice: "Advance the one that lags with `kappa run --until-caught-up`")
        }
        try compareRows(&summary, atMost: most, visit)
        return summary
    }

    /// Compares the rows as they are, whatever the positions of the two versions. The caller holds snapshots
    /// of both.
    package func compareRows(
        _ summary: inout DiffSummary, atMost most: Int = .max,
        _ visit: (RowDifference) throws -> Void
    ) throws {
        let names = try tableNames()
        try checkIgnored(names)
        for name in names { try compare(table: name, &summary, most, visit) }
    }

    // MARK: What to compare

    private func tableNames() throws(KappaError) -> [String] {
        var names = old.tables.map(\.name)
        for table in new.tables where !names.contains(table.name) { names.append(table.name) }
        if let table = options.table {
            guard names.contains(table) else {
                throw KappaError(
                    .notFound, "view \(old.view) has no table \(table)",
                    because: "its tables are \(names.joined(separator: ", "))",
                    advice: "Name one of them with --table")
            }
            return [table]
        }
        // A key and a condition apply to one table.
        let isOne = options.key != nil || options.condition != nil
        return isOne ? Array(names.prefix(1)) : names
    }

    private func schemas(_ name: String) -> [TableSchema] {
        [old, new].compactMap { $0.tables.first { $0.name == name } }
    }

    private func checkIgnored(_ names: [String]) throws(KappaError) {
        let columns = names.flatMap(schemas).flatMap(\.columns)
        for name in options.ignored.sorted() {
            guard let column = columns.first(where: { $0.name == name }) else {
                var known: [String] = []
                for column in columns where !column.isKey && !known.contains(column.name) {
                    known.append(column.name)
                }
                throw KappaError(
                    .usage, "there is no column \(name) to ignore",
                    because: "\(names.joined(separator: ", ")) can differ in "
                        + known.joined(separator: ", "),
                    advice: "Name one of them with --ignore")
            }
            if column.isKey {
                throw KappaError(
                    .usage, "column \(name) cannot be ignored",
                    because: "it is part of the key, by which rows are matched",
                    advice: "Ignore other columns")
            }
        }
    }

    private func rows(_ name: String) throws -> (old: KeyOrderedRows, new: KeyOrderedRows) {
        let keys = try keys(name)
        let wishes = try wishes(name)
        return (
            try KeyOrderedRows(old, name, key: keys.old, wish: wishes.old),
            try KeyOrderedRows(new, name, key: keys.new, wish: wishes.new)
        )
    }

    /// The requested key in the types of each version: empty for all rows, nil if it cannot be a key of that
    /// version.
    /// - Throws: If it cannot be a key of either version.
    private func keys(_ name: String) throws -> (old: [Value]?, new: [Value]?) {
        guard let key = options.key else { return ([], []) }
        var failure: (any Error)?
        let keys = [old, new].map { reader -> [Value]? in
            guard let schema = reader.tables.first(where: { $0.name == name }) else { return [] }
            do { return try schema.key(key) } catch {
                failure = failure ?? error
                return nil
            }
        }
        if let failure, keys.allSatisfy({ $0?.isEmpty ?? true }) { throw failure }
        return (keys[0], keys[1])
    }

    /// Whether the rows of a table are matched by their keys.
    private func areMatched(_ name: String) -> Bool {
        let schemas = schemas(name)
        return schemas.count < 2 || Self.keysAgree(schemas[0], schemas[1])
    }

    /// Which rows to read from each version: none from a version that lacks a column of the condition.
    /// - Throws: If both versions lack one.
    private func wishes(
        _ name: String
    ) throws(KappaError) -> (old: KeyOrderedRows.Wish, new: KeyOrderedRows.Wish) {
        guard let condition = options.condition else { return (.all, .all) }
        var failure: KappaError?
        var conditions: [RowCondition?] = []
        for reader in [old, new] {
            do throws(KappaError) {
                let table = reader.tables.first { $0.name == name }
                conditions.append(
                    try table.map { (table) throws(KappaError) in
                        try RowCondition(condition, table, of: reader)
                    })
            } catch {
                failure = error
                conditions.append(nil)
            }
        }
        if let failure, conditions.allSatisfy({ $0 == nil }) { throw failure }
        let wishes = conditions.map { $0.map { KeyOrderedRows.Wish.those($0) } ?? .none }
        return (wishes[0], wishes[1])
    }

    private static func keysAgree(_ a: TableSchema, _ b: TableSchema) -> Bool {
        a.keyColumns.map { a.columns[$0] } == b.keyColumns.map { b.columns[$0] }
    }

    // MARK: Rows

    private static let rowsPerPulse = 4_096

    private func compare(
        table name: String, _ summary: inout DiffSummary, _ most: Int,
        _ visit: (RowDifference) throws -> Void
    ) throws {
        let (left, right) = try rows(name)
        var columns = ColumnPairs(
            left.schema, right.schema, tolerance: options.tolerance, ignored: options.ignored)
        var differing: [Int] = []
        var rows = 0
        let areMatched = areMatched(name)
        while left.isThere || right.isThere {
            rows += 1
            if rows % Self.rowsPerPulse == 0 { try pulse() }
            let isVisited = summary.differences < most
            let order = areMatched ? KeyOrderedRows.compare(left, right) : left.isThere ? -1 : 1
            if order < 0 {
                if left.isWanted {
                    summary.removed += 1
                    if isVisited { try visit(columns.only(left, .removed)) }
                }
                try left.next()
            } else if order > 0 {
                if right.isWanted {
                    summary.added += 1
                    if isVisited { try visit(columns.only(right, .added)) }
                }
                try right.next()
            } else {
                if left.isWanted || right.isWanted {
                    columns.differing(left, right, into: &differing)
                    if differing.isEmpty {
                        summary.same += 1
                    } else {
                        summary.changed += 1
                        columns.note(left, right, differing)
                        if isVisited { try visit(columns.changed(left, right, differing)) }
                    }
                }
                try left.next()
                try right.next()
            }
        }
        summary.columns += columns.statistics.filter { $0.rows > 0 }
    }
}
