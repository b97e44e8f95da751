import Testing

@testable import KappaCore

/// Two versions with a column of each type, and all ways to query them in SQL.
struct SQLQuestions {
    static let table = TableSchema(
        name: "t",
        columns: [
            ColumnSchema("k", .text, isKey: true), ColumnSchema("at", .timestamp, isKey: true),
            ColumnSchema("seen", .timestamp), ColumnSchema("paid", .decimal),
            ColumnSchema("owed", .decimal), ColumnSchema("n", .integer),
            ColumnSchema("x", .double), ColumnSchema("ok", .bool), ColumnSchema("s", .text),
            ColumnSchema("doc", .json), ColumnSchema("mark", .integer),
        ])

    let folder: VersionsFolder
    let old: VersionReader
    let new: VersionReader

    /// Both versions have these rows, except that `mark` differs in all of them.
    init(_ rows: [[Value]]) throws {
        folder = try VersionsFolder()
        func marked(_ mark: Int64) -> [[Value]] { rows.map { $0.dropLast() + [.integer(mark)] } }
        old = try folder.make(1, [(Self.table, marked(1))])
        new = try folder.make(2, [(Self.table, marked(2))])
    }

    /// A row with this key and the given cells by column.
    static func row(_ key: String, _ cells: [String: Value]) -> [Value] {
        table.columns.map { column in
            switch column.name {
            case "k": .text(key)
            case "at": cells["at"] ?? .timestamp(Timestamp(microseconds: 0))
            default: cells[column.name] ?? .null
            }
        }
    }

    func sql(_ statement: String, _ parameters: [Value] = []) throws -> [[Value]] {
        let select = try select(statement, parameters)
        var rows: [[Value]] = []
        try select.run { rows.append($0) }
        return rows
    }

    func columns(_ statement: String) throws -> [String] { try select(statement, []).columns }

    private func select(_ statement: String, _ parameters: [Value]) throws -> GuardedSelect {
        let versions = try AskedVersions()
        try versions.add(new, as: "live_t", [("t", Self.table)])
        return try versions.select(statement, parameters: parameters)
    }

    /// The rows as CSV.
    func csv(_ statement: String, _ parameters: [Value] = []) throws -> [String] {
        try sql(statement, parameters).map { $0.map(\.csvText).joined(separator: ",") }
    }

    /// The keys of the rows that `query --where` gives.
    func query(_ condition: String, order: [String] = []) throws -> [String] {
        var query = RowQuery()
        query.condition = condition
        query.order = order
        var keys: [String] = []
        try query.run(on: new) { keys.append($0[0].plainText) }
        return keys
    }

    /// The keys of the rows that `diff --where` compares.
    func diff(_ condition: String) throws -> [String] {
        var options = Diff.Options()
        options.condition = condition
        var keys: [String] = []
        _ = try Diff(old, new, options).run { keys.append($0.key[0].plainText) }
        return keys
    }

    func gate(_ gate: Gate) throws -> Judgement.GateFinding {
        try GateComparison(old: old, new: new, VersionID("t", VersionNumber(1))).judge(gate)
    }

    /// The error of a statement, on one line.
    func refusal(_ statement: String, _ parameters: [Value] = []) -> String {
        do {
            let rows = try sql(statement, parameters)
            return "no error: \(rows)"
        } catch let error as KappaError {
            return "\(error.code) \(error.reason ?? error.what)"
        } catch { return "\(error)" }
    }
}

extension Value {
    static func time(_ text: String) -> Value {
        Timestamp(written: text).map { .timestamp($0) } ?? .null
    }
    static func number(_ text: String) -> Value {
        ExactDecimal(text).map { .decimal($0) } ?? .null
    }
}
