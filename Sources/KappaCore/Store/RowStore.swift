/// What the materializer needs from a store: rows by key, and one transaction for rows and position.
///
/// A store holds one version of one view. Only one thread uses it at a time.
package protocol RowStore: AnyObject {
    /// The last committed checkpoint; nil in a store that has never been committed to.
    func lastCheckpoint() throws(KappaError) -> Checkpoint?

    /// Looks one row up. `bindKey` binds the key's parts at indices 0, 1, …; `read` is called with
    /// the row if it is there. The cursor is valid only during the call.
    func lookUp(
        table: Int, bindKey: (any RowWriter) -> Void, read: (any RowCursor) throws -> Void
    ) throws -> Bool

    /// Visits the rows whose key begins with some parts, in key order. `bindKey` binds `parts` parts
    /// at indices 0, 1, ….
    func scan(
        table: Int, prefix parts: Int, bindKey: (any RowWriter) -> Void,
        _ visit: (any RowCursor) throws -> Void
    ) throws

    /// Visits every row of a table in key order.
    func scan(table: Int, _ visit: (any RowCursor) throws -> Void) throws

    /// The stored rows of a table of windows that have ended by a time, in microseconds. Call it while a
    /// transaction of the store is open, before that transaction changes the table.
    func rowsEnded(table: Int, by end: Int64) throws(KappaError) -> [[Value]]

    /// The number of rows of a table.
    func rowCount(table: Int) throws(KappaError) -> Int

    /// Commits rows and checkpoint in one transaction. `write` gets a transaction through which it
    /// upserts and deletes rows, and adds dead letters. If it throws, nothing is kept.
    /// - Parameter recordsChanges: Whether the same transaction adds the changes of the rows that readers
    ///   see to the change feed.
    func commit(
        _ checkpoint: Checkpoint, recordsChanges: Bool,
        write: (any StoreTransaction) throws -> Void
    ) throws

    /// Whether rows may spill before the first commit. A spilled row holds what happened to its key since
    /// the previous spill; the first commit merges them.
    var canSpill: Bool { get }
    /// Spills rows to disk, durably and with a checkpoint.
    func spill(
        _ checkpoint: Checkpoint, write: (any StoreTransaction) throws -> Void
    ) throws
    /// What has spilled; nil if nothing has.
    var spilled: (any SpilledRows)? { get }
    /// Writes rows of a table to which rows are only ever added, in the order of their keys, before the
    /// version's first commit. They become visible with that commit. Returns false after it.
    func writeAhead(_ rows: RecordList, table: Int) throws -> Bool
    /// Whether anything has spilled or was written ahead. Then an intermediate checkpoint should be another
    /// ``spill(_:write:)``.
    var isLoading: Bool { get }
    /// The table that holds the index of a table's keys; nil where there is none.
    func keyIndex(of table: Int) -> Int?
}

extension RowStore {
    package func writeAhead(_ rows: RecordList, table: Int) throws -> Bool { false }
    package var isLoading: Bool { spilled != nil }
    package func keyIndex(of table: Int) -> Int? { nil }
}

/// Rows that have spilled.
package protocol SpilledRows: AnyObject {
    /// Writes the rows of a table; see ``StoreTransaction/merge(_:into:sideBySide:observer:combine:)``.
    func merge(
        table: Int, to writer: any RowWriter, sideBySide: Bool,
        combine: ([any RowCursor], any RowWriter) throws -> Void
    ) throws
}

/// One open transaction of a store.
package protocol StoreTransaction: AnyObject {
    /// A writer that inserts a row or replaces it: bind all columns in the schema's order (then the state
    /// blob, if the table has one) at indices 0, 1, …, then call `execute()`.
    func upsert(into table: Int) -> any RowWriter
    /// Upserts many rows in the order of their keys. Calls `write` with each number from 0 up to `count`;
    /// it upserts the rows of that number, often one, with the writer that it gets. Several threads may
    /// call it at once, for different numbers.
    /// - Parameter listener: Gets each row in that order, on the caller's thread.
    func upsertRows(
        into table: Int, count: Int, observer listener: (any RowListener)?,
        _ write: (Int, any RowWriter) throws -> Void
    ) throws
    /// Writes the spilled rows of a table, key by key in order. If a key has only one row, that row is
    /// written as it is. Otherwise `combine` gets the key's rows in the order in which they spilled, and
    /// writes the combined row with the writer that it gets.
    /// - Parameters:
    ///   - sideBySide: Whether several threads may call `combine` at once, for different keys.
    ///   - listener: Gets each row in that order, on the caller's thread.
    func merge(
        _ rows: any SpilledRows, into table: Int, sideBySide: Bool,
        observer listener: (any RowListener)?,
        combine: ([any RowCursor], any RowWriter) throws -> Void
    ) throws
    /// Adds rows that are already records, in the order of their keys, to a table to which rows have only
    /// ever been added in this way.
    func append(_ rows: RecordList, to table: Int) throws
    /// A writer that deletes a row: bind the key's parts at indices 0, 1, …, then call `execute()`.
    func delete(from table: Int) -> any RowWriter
    func add(_ deadLetter: DeadLetter) throws(KappaError)
    /// Adds a change to the feed that followers of the live version read.
    func add(_ change: ChangeRecord) throws(KappaError)
}

/// Gets what is written to a table.
package protocol RowListener: AnyObject {
    /// A row is about to be written, or has just been: its columns in the schema's order.
    func take(_ row: any RowCursor) throws(KappaError)
    /// A row is about to be deleted: the parts of its key.
    func remove(_ key: any RowCursor) throws(KappaError)
}

extension StoreTransaction {
    package func upsertRows(
        into table: Int, count: Int, observer listener: (any RowListener)?,
        _ write: (Int, any RowWriter) throws -> Void
    ) throws {
        let upsert = upsert(into: table)
        let writer = listener.map { CapturingWriter(upsert, written: $0.take) } ?? upsert
        for index in 0..<count { try write(index, writer) }
    }

    package func upsertRows(
        into table: Int, count: Int, _ write: (Int, any RowWriter) throws -> Void
    ) throws {
        try upsertRows(into: table, count: count, observer: nil, write)
    }

    package func merge(
        _ rows: any SpilledRows, into table: Int, sideBySide: Bool,
        observer listener: (any RowListener)?,
        combine: ([any RowCursor], any RowWriter) throws -> Void
    ) throws {
        throw KappaError(.bug, "spilled rows go into a new version only")
    }

    package func append(_ rows: RecordList, to table: Int) throws {
        let writer = upsert(into: table)
        let cursor = RecordCursor(rows.schema)
        try rows.forEachRow(cursor) {
            cursor.bind(to: writer)
            try writer.execute()
        }
    }
}
