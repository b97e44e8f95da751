/// How far the rows of a version have come to somebody who has none yet, or who has those of another
/// version.
///
/// Rows come table by table, in the order of their keys. Up to the frontier a reader has the rows of the
/// new version, past it those of the old one. So a change of the new version's feed concerns the reader
/// up to the frontier and not past it, where the row has yet to come; one of the old version's concerns
/// it past the frontier alone. Between two steps neither version needs to be held as it was.
///
/// Where a table has another key in the two versions, rows cannot be matched: all of the old ones are
/// removed first, then all of the new ones come. Where it has other columns besides, every row that both have
/// is changed.
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
    /// The table in which the frontier is; past the last one where all rows have come.
    private var table = 0
    private var phase = Phase.both
    /// Whether rows have the same columns in both versions.
    private var isAlike = true
    /// The last key that it has passed in this table and phase; nil before the first.
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

    // MARK: Whose a row is

    /// Whether the reader has the new version's row under a key.
    func isNew(_ schema: TableSchema, _ key: String) throws -> Bool {
        guard let index = names.firstIndex(of: schema.name), index <= table else { return false }
        return try index < table || phase != .removing && isPassed(schema, key)
    }

    /// Whether the reader has the old version's row under a key.
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

    /// Visits the next differences, as long as there is room; true when none are left.
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
    /// The row at hand as a JSON object.
    fileprivate var json: String? { schema.map { Change.object(values, $0) } }
}

extension Value {
    /// Negative, zero or positive, as this part of a key stands before, at or past another one in the
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
