/// Two versions that stand still at the same position, as gates see them.
final class GateComparison {
    private let old: VersionReader?
    private let new: VersionReader
    let live: VersionID?
    let position: Offset
    let counts: Judgement.Counts
    /// The first differences of each kind, each on a line.
    private var samples: [RowDifference.Operation: [String]] = [:]

    /// How many rows a refusal shows.
    private static let sampleRows = 5

    /// A first version: all of its rows are added.
    init(new: VersionReader) throws {
        old = nil
        live = nil
        self.new = new
        position = try new.checkpoint().offset
        let rows = try new.tables.indices.map { try new.rowCount(table: $0) }.reduce(0, +)
        counts = Judgement.Counts(added: rows, removed: 0, changed: 0, same: 0)
    }

    init(old: VersionReader, new: VersionReader, _ live: VersionID) throws {
        self.old = old
        self.new = new
        self.live = live
        var samples: [RowDifference.Operation: [String]] = [:]
        let summary = try Diff(old, new).run { difference in
            let kind = difference.operation
            guard samples[kind, default: []].count < Self.sampleRows else { return }
            samples[kind, default: []].append(difference.line(from: old.tables, to: new.tables))
        }
        self.samples = samples
        position = summary.position
        counts = Judgement.Counts(
            added: summary.added, removed: summary.removed, changed: summary.changed,
            same: summary.same)
    }

    /// Judges a gate that compares rows. If it cannot be judged, it refuses, with the reason.
    func judge(_ gate: Gate) -> Judgement.GateFinding {
        do {
            switch gate.rule {
            case .rows(let rows, let allowance): return judge(gate, rows, allowance)
            case .drift(let column, let allowance):
                return try judge(gate, drift: column, allowance)
            case .sql(let select): return try judge(gate, sql: select)
            case .check(_, let passes):
                return try passes(comparison)
                    ? finding(gate, true, "it says yes") : finding(gate, false, "it says no")
            case .manualApproval, .events:
                return finding(gate, false, "it does not compare rows")
            }
        } catch let error as KappaError {
            let why = error.reason.map { ": \($0)" } ?? ""
            return finding(gate, false, "it cannot be judged, \(error.what)\(why)")
        } catch {
            return finding(gate, false, "it says no: \(error)")
        }
    }

    private func finding(
        _ gate: Gate, _ passes: Bool, _ figures: String, _ sample: [String] = []
    ) -> Judgement.GateFinding {
        Judgement.GateFinding("\(gate)", passes: passes, figures, sample: passes ? [] : sample)
    }

    // MARK: Rows

    private func judge(_ gate: Gate, _ rows: Gate.Rows, _ allowance: Allowance)
        -> Judgement.GateFinding
    {
        if live == nil { return finding(gate, true, "a first version") }
        let kinds: [RowDifference.Operation]
        switch rows {
        case .added: kinds = [.added]
        case .removed: kinds = [.removed]
        case .changed: kinds = [.changed]
        case .differing: kinds = [.added, .removed, .changed]
        }
        let count = kinds.map(count).reduce(0, +)
        let whole = comparison.oldRows
        let verb = rows == .differing ? "differ" : rows.rawValue
        let part = Self.percent(Double(count), of: Double(whole))
        return finding(
            gate, allowance.allows(Double(count), of: Double(whole)),
            "\(count) \(verb) of \(whole) live rows\(part)",
            Array(kinds.flatMap { samples[$0] ?? [] }.prefix(Self.sampleRows)))
    }

    private func count(_ kind: RowDifference.Operation) -> Int {
        switch kind {
        case .added: counts.added
        case .removed: counts.removed
        case .changed: counts.changed
        }
    }

    /// Such as ` (7.25%)`; empty if the whole is zero.
    private static func percent(_ amount: Double, of whole: Double) -> String {
        guard whole != 0 else { return "" }
        return " (\(Allowance.text((amount / abs(whole) * 10_000).rounded() / 100))%)"
    }

    private func judge(
        _ gate: Gate, drift name: String, _ allowance: Allowance
    ) throws -> Judgement.GateFinding {
        let (table, column) = try new.tables.numbers(name, in: "\(new.view)@\(new.number)")
        guard let old else { return finding(gate, true, "a first version") }
        // Check that the old column is numeric too: SQLite would add up any values.
        _ = try old.tables.filter { $0.name == new.tables[table].name }
            .numbers(column, in: "\(old.view)@\(old.number)")
        // The sum is exact only if neither version has doubles.
        let isExact = [old, new].compactMap { $0 }.allSatisfy { reader in
            reader.tables.contains { $0.name == new.tables[table].name && $0.isExact(column) }
        }
        let name = new.tables[table].name
        let (before, after) = try comparison.sums(
            of: column, old: "old_\(name)", new: "new_\(name)", isExact: isExact)
        guard let old = before.doubleSum, let new = after.doubleSum else {
            return finding(gate, false, "it cannot be judged, a sum is not a number")
        }
        var drift = abs(new - old)
        if case .decimal(let a) = before, case .decimal(let b) = after,
            let difference = b.exactDifference(a)
        {
            drift = abs(difference.doubleValue)
        }
        return finding(
            gate, allowance.allows(drift, of: abs(old)),
            "its sum goes from \(before.plainText) to \(after.plainText)"
                + Self.percent(drift, of: old))
    }

    // MARK: SQL

    private func judge(_ gate: Gate, sql select: String) throws -> Judgement.GateFinding {
        let names = try self.select(select)
        var count = 0
        var sample: [String] = []
        try names.run { values in
            count += 1
            if count <= Self.sampleRows {
                sample.append(
                    zip(names.columns, values).map { "\($0) \($1.shown)" }.joined(separator: ", "))
            }
        }
        return finding(
            gate, count == 0, count == 1 ? "it returns 1 row" : "it returns \(count) rows", sample)
    }

    /// A statement over the tables of both versions.
    private func select(_ select: String) throws -> GuardedSelect {
        let versions = try AskedVersions()
        try versions.add(new, as: "new_version", Self.named(new.tables, "new"))
        if let old {
            try versions.add(old, as: "old_version", Self.named(old.tables, "old"))
        } else {
            try versions.addEmpty(as: "old_version", Self.named(new.tables, "old"))
        }
        return try versions.select(select)
    }

    /// Each table under its name with the side as a prefix; the first one also under the side alone.
    private static func named(
        _ tables: [TableSchema], _ side: String
    ) -> [AskedVersions.NamedTable] {
        tables.map { ("\(side)_\($0.name)", $0) } + tables.prefix(1).map { (side, $0) }
    }

    /// The argument of a check written in Swift.
    private var comparison: VersionComparison {
        VersionComparison(
            view: new.view, position: position, isFirst: live == nil, added: counts.added,
            removed: counts.removed, changed: counts.changed, same: counts.same
        ) { sql in
            let select = try self.select(sql)
            let names = select.columns
            var rows: [Columns] = []
            try select.run { rows.append(Columns(cells: Array(zip(names, $0)))) }
            return rows
        }
    }
}

extension TableSchema {
    /// Whether a column has integers or decimals, whose sums are exact.
    fileprivate func isExact(_ column: String) -> Bool {
        let kind = columns.first { $0.name == column }?.kind
        return kind == .integer || kind == .decimal
    }
}

extension RowDifference {
    /// The difference on one line: `~ k1  n 4 → 5`.
    func line(from old: [TableSchema], to new: [TableSchema]) -> String {
        let key = self.key.map(\.shown).joined(separator: " ")
        let name = old.count > 1 || new.count > 1 ? "\(table) \(key)" : key
        func cell(_ column: String, _ values: [Value]?, _ tables: [TableSchema]) -> String {
            let schema = tables.first { $0.name == table }
            guard let values, let index = schema?.columns.firstIndex(where: { $0.name == column })
            else { return "·" }
            return values[index].shown
        }
        func cells(_ values: [Value]?, _ tables: [TableSchema]) -> String {
            let columns = tables.first { $0.name == table }?.columns ?? []
            return columns.filter { !$0.isKey }
                .map { "\($0.name) \(cell($0.name, values, tables))" }.joined(separator: ", ")
        }
        switch operation {
        case .added: return "+ \(name)  \(cells(after, new))"
        case .removed: return "- \(name)  \(cells(before, old))"
        case .changed:
            let changes = columns.map { "\($0) \(cell($0, before, old)) → \(cell($0, after, new))" }
            return "~ \(name)  \(changes.joined(separator: ", "))"
        }
    }
}

extension Value {
    /// The value for display; a dot for null.
    fileprivate var shown: String { self == .null ? "·" : plainText }
}
