/// A store that records whether the row of one key was written.
final class WatchedStore: RowStore, RowListener {
    /// Whether the key's row was written or deleted since ``forget()``.
    private(set) var wasWritten = false
    /// The last value written for the open part of the key, which may be anything; nil if none was.
    private(set) var lastOpenPart: Int64?
    private let store: any RowStore
    private let table: Int
    private let key: [KeyPart?]
    /// The columns of the key's parts.
    private let keyColumns: [Int]

    /// - Parameter key: The parts of the key; nil for the open part, an integer of any value.
    init(_ store: any RowStore, table: Int, _ schema: TableSchema, key: [KeyPart?]) {
        self.store = store
        self.table = table
        self.key = key
        keyColumns = schema.keyColumns
    }

    func forget() {
        wasWritten = false
        lastOpenPart = nil
    }

    func lastCheckpoint() throws(KappaError) -> Checkpoint? { try store.lastCheckpoint() }

    func lookUp(
        table: Int, bindKey: (any RowWriter) -> Void, read: (any RowCursor) throws -> Void
    ) throws -> Bool {
        try store.lookUp(table: table, bindKey: bindKey, read: read)
    }

    func scan(
        table: Int, prefix parts: Int, bindKey: (any RowWriter) -> Void,
        _ visit: (any RowCursor) throws -> Void
    ) throws {
        try store.scan(table: table, prefix: parts, bindKey: bindKey, visit)
    }

    func scan(table: Int, _ visit: (any RowCursor) throws -> Void) throws {
        try store.scan(table: table, visit)
    }

    func rowsEnded(table: Int, by end: Int64) throws(KappaError) -> [[Value]] {
        try store.rowsEnded(table: table, by: end)
    }

    func rowCount(table: Int) throws(KappaError) -> Int { try store.rowCount(table: table) }

    func commit(
        _ checkpoint: Checkpoint, recordsChanges: Bool,
        write: (any StoreTransaction) throws -> Void
    ) throws {
        try store.commit(checkpoint, recordsChanges: recordsChanges) {
            try write(CapturingTransaction($0, [table: self]))
        }
    }

    // Each event is committed separately, so nothing needs to spill.
    var canSpill: Bool { false }
    var spilled: (any SpilledRows)? { nil }
    func spill(
        _ checkpoint: Checkpoint, write: (any StoreTransaction) throws -> Void
    ) throws { try store.spill(checkpoint, write: write) }

    // These compare the key of each row that is written.

    func take(_ row: any RowCursor) throws(KappaError) {
        guard let open = match(row, at: keyColumns) else { return }
        wasWritten = true
        lastOpenPart = open
    }

    func remove(_ key: any RowCursor) throws(KappaError) {
        if match(key, at: Array(self.key.indices)) != nil { wasWritten = true }
    }

    /// The value of the open part (nil if there is none), if the other parts match the key; nil if they do
    /// not.
    private func match(_ row: any RowCursor, at places: [Int]) -> Int64?? {
        var open: Int64?
        for (part, place) in zip(key, places) {
            switch part {
            case .integer(let value)?:
                guard row.storage(place) == .integer, row.integer(place) == value else {
                    return nil
                }
            case .text(let bytes)?:
                guard row.storage(place) == .text, row.text(place).elementsEqual(bytes) else {
                    return nil
                }
            case nil: open = row.integer(place)
            }
        }
        return .some(open)
    }
}
