/// How many of a version's rows have reached a reader that has no rows yet, or that has those of another
/// version.
///
/// Rows arrive table by table, in key order. Up to the frontier the reader has the rows of the new version,
/// past it those of the old one. So the reader needs a change from the new version's feed only if its row is
/// at or before the frontier: later rows have yet to arrive. It needs a change from the old version's feed
/// only if its row is past the frontier. Neither version has to be held in a snapshot between two steps.
///
/// If the key of a table differs between the two versions, rows cannot be matched: first all of the old ones
/// are removed, then all of the new ones are inserted. If other columns differ, every row that both versions
/// have is updated.
struct RowFrontier {
    private enum Phase {
        /// Rows of both versions, matched by their keys.
        case both
        case removing
        case adding
    }

    private let old: VersionReader?
    private let new: VersionReader
    private let names: [String]
    /// The table that the frontier is in; past the last one when all rows have arrived.
    private var table = 0
    private var phase = Phase.both
    /// Whether rows have the same columns in both versions.
    private var isAlike = true
    /// The last key that the frontier has passed in this table and phase; nil before the first.
    private var passed: [Value]?

    init(from old: VersionReader?, to new: VersionReader) {
        self.old = old
        self.new = new
        var names = old?.tables.map(\.name) ?? []
        for table in new.tables where !names.contains(table.name) { names.append(table.name) }
        self.names = names
        enterTable()
    }

    private mutating func enterTable() {
        passed = nil
        guard table < names.count else { return }
        phase = .both
        isAlike = true
        guard let before = schema(old), let after = schema(new) else { return }
        isAlike = before.columns == after.columns
        let keys = [before, after].map { table in table.keyColumns.map { table.columns[$0] } }
        if keys[0] != keys[1] { phase = .removing }
    }

    private func schema(_ reader: VersionReader?) -> TableSchema? {
        reader?.tables.first { $0.name == names[table] }
    }

    // MARK: Which version's row the reader has

    /// Whether the reader has the new version's row of a key.
    func isNew(_ schema: TableSchema, _ key: String) throws -> Bool {
        guard let index = names.firstIndex(of: schema.name), index <= table else { return false }
        return try index < table || phase != .removing && isPassed(schema, key)
    }

    /// Whether the reader has the old version's row of a key.
    func isOld(_ schema: TableSchema, _ key: String) throws -> Bool {
        guard let index = names.firstIndex(of: schema.name), index >= table else { return false }
        return try index > table || phase != .adding && !isPassed(schema, key)
    }

    private func isPassed(_ schema: TableSchema, _ key: String) throws -> Bool {
        guard let passed else { return false }
        let parts = try schema.key(JSONValue(parsing: key))
        for (part, other) in zip(parts, passed) {
            let order = part.keyOrder(other)
            if order != 0 { return order < 0 }
        }
        return true
    }

    // MARK: Further rows

    /// Visits the next differences while there is room; true when none are left.
    mutating func advance(
        _ room: inout FollowerRoom,
        _ visit: (Change.Operation, _ table: String, _ key: String, String?, String?) throws -> Void
    ) throws -> Bool {
        while table < names.count {
            guard room.isLeft else { return false }
            guard try advanceInTable(&room, visit) else { return false }
            if phase == .removing {
                phase = .adding
                passed = nil
            } else {
                table += 1
                enterTable()
            }
        }
        return true
    }

    private mutating func advanceInTable(
        _ room: inout FollowerRoom,
        _ visit: (Change.Operation, _ table: String, _ key: String, String?, String?) throws -> Void
    ) throws -> Bool {
        let name = names[table]
        let left = try KeyOrderedRows(phase == .adding ? nil : old, name, after: passed ?? [])
        let right = try KeyOrderedRows(phase == .removing ? nil : new, name, after: passed ?? [])
        let columns = ColumnPairs(left.schema, right.schema, tolerance: 0, ignored: [])
        var differing: [Int] = []
        while left.isThere || right.isThere {
            guard room.isLeft else { return false }
            room.rows -= 1
            let order = KeyOrderedRows.compare(left, right)
            let key = order <= 0 ? left.key : right.key
            var isSame = false
            if order == 0 {
                columns.differing(left, right, into: &differing)
                isSame = isAlike && differing.isEmpty
            }
            if !isSame {
                let before = order <= 0 ? left.json : nil
                let after = order >= 0 ? right.json : nil
                let text = Change.array(key)
                room.changes -= 1
                room.bytes -= text.utf8.count + (before?.utf8.count ?? 0) + (after?.utf8.count ?? 0)
                try visit(
                    order < 0 ? .delete : order > 0 ? .insert : .update, name, text, before, after)
            }
            passed = key
            if order <= 0 { try left.next() }
            if order >= 0 { try right.next() }
        }
        return true
    }
}

extension KeyOrderedRows {
    /// The current row as a JSON object.
    fileprivate var json: String? { schema.map { Change.object(values, $0) } }
}

extension Value {
    /// Negative, zero or positive if this part of a key sorts before, equal to or after another one in the
    /// order of the store.
    fileprivate func keyOrder(_ other: Value) -> Int {
        switch (self, other) {
        case (.text(let a), .text(let b)), (.json(let a), .json(let b)):
            a.hasBytesBefore(b) ? -1 : b.hasBytesBefore(a) ? 1 : 0
        default:
            keyInteger < other.keyInteger ? -1 : keyInteger > other.keyInteger ? 1 : 0
        }
    }

    private var keyInteger: Int64 {
        switch self {
        case .integer(let integer): integer
        case .bool(let bool): bool ? 1 : 0
        case .timestamp(let time): time.microseconds
        case .null, .double, .decimal, .text, .json: 0
        }
    }
}
