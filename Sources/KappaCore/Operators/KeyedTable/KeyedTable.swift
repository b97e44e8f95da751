import CKappaJSON

/// The keys of an operator, each with a record in memory, backed by the table in which the store keeps its
/// rows.
///
/// Every operator that keeps state by key uses it. The table knows which keys exist, which have changed since
/// the last commit, and which the store holds; it reads keys from the store when memory does not hold them,
/// and sorts the keys to be written. The state of a key belongs to the operator: it asks for a number of
/// bytes in each record, or keeps other data by the key's number.
///
/// **The contract**
/// - *Numbers.* A key keeps its number until the table forgets it: ``evict()``, ``spill(keepingMemory:)`` and
///   ``compact(keeping:)``. Any lookup of keys may move the records.
/// - *Reading.* The owner looks a batch's keys up and then calls ``readThrough(_:)``. The closure gets the
///   keys that are new in memory, as long as the store may hold keys that memory does not. While a key is in
///   memory, it is never looked up again.
/// - *Writing.* The owner touches each key that it changes. At a commit it sorts the touched keys in the
///   store's order, writes them, and calls ``committed(_:)`` once the transaction has committed. Until then
///   the table forgets nothing.
/// - *Room.* After a commit everything is in the store, so the owner may evict all keys: a key that comes
///   again is read through.
/// - *Spilling.* Before a version's first commit the store is empty. The state of the keys over a range of
///   the log is written to a sorted run, and ``spill(keepingMemory:)`` forgets them: a key that comes again
///   starts from nothing, without a lookup. ``writeSpilled(_:to:sideBySide:_:)`` merges the states of a key
///   from all ranges into one row, in log order. An owner can spill if it can merge two states of one key.
///   Every operator should be able to, because only the store is unbounded.
///
/// Closures are called only for rare cases and at commits. The work per event is to read and write memory at
/// ``record(_:)``.
final class KeyedTable {
    /// The keys and their records.
    let keys: GroupTable
    let keyIsText: [Bool]
    /// Where the owner's bytes begin in a record.
    let stateOffset: Int
    /// The keys that have changed since the last commit.
    private(set) var dirty: [UInt32] = []
    /// Whether memory holds every key that the store holds, so that a key missing from memory is new.
    private(set) var isComplete: Bool
    private let stored: StoredTable?
    private let loaded: LoadedKey
    /// Keys that are new in memory, that the store may hold, and that have not been read through yet.
    private var fresh: [UInt32] = []

    /// - Parameter stored: The store's table for the keys; nil if the owner loads all keys itself.
    init(keyIsText: [Bool], stateBytes: Int, over stored: StoredTable? = nil) {
        keys = GroupTable(keyIsText: keyIsText, stateBytes: stateBytes)
        self.keyIsText = keyIsText
        stateOffset = GroupTable.stateOffset(keyParts: keyIsText.count)
        self.stored = stored
        isComplete = stored?.rowsAtFirst ?? 0 == 0
        loaded = LoadedKey(parts: keyIsText.count)
    }

    var count: Int { keys.count }
    var memoryBytes: Int { keys.memoryBytes }
    /// The bytes that sorting the changed keys will take.
    var sortingBytes: Int { dirty.count * KeySort.bytesPerRow }

    @inline(__always)
    func record(_ id: UInt32) -> UnsafeMutableRawPointer { keys.record(id) }

    // MARK: Finding

    /// Finds the keys of some rows, and adds those that are new; call ``readThrough(_:)`` next.
    func find(rows: ArraySlice<Int32>, keys: [KeyColumn], into ids: inout [UInt32]) {
        self.keys.find(rows: rows, keys: keys, into: &ids, fresh: &fresh)
        if isComplete { fresh.removeAll(keepingCapacity: true) }
    }

    /// Passes each key that is new in memory to `load`, if the store may hold it.
    /// - Parameter load: Loads what the store holds of a key; returns whether it holds anything.
    func readThrough(_ load: (UInt32) throws -> Bool) throws {
        if fresh.isEmpty { return }
        for id in fresh where try load(id) { RecordFlags.set(RecordFlags.stored, record(id)) }
        fresh.removeAll(keepingCapacity: true)
    }

    /// Finds the key in some columns of a row; adds it if it is new.
    func find(_ row: any RowCursor, _ columns: [Int]) -> (id: UInt32, isNew: Bool) {
        loaded.load(row, columns, isText: { keyIsText[$0] })
        return keys.find(keys: loaded.columns)
    }

    /// The same, for a key whose last part is not a column.
    func find(_ row: any RowCursor, _ columns: [Int], last: Int64) -> UInt32 {
        loaded.load(row, columns, isText: { keyIsText[$0] })
        loaded.set(columns.count, last)
        return keys.find(keys: loaded.columns).id
    }

    /// Finds the key in the cells of a packed row, from cell `first` on; adds it if it is new.
    func find(_ row: PackedRow, from first: Int, of cells: Int) -> UInt32 {
        loaded.load(row, from: first, of: cells, isText: keyIsText)
        return keys.find(keys: loaded.columns).id
    }

    // MARK: Changing

    func isDirty(_ id: UInt32) -> Bool { RecordFlags.has(RecordFlags.dirty, record(id)) }
    /// Whether the store holds the owner's state of a key, as of the last commit.
    func isStored(_ id: UInt32) -> Bool { RecordFlags.has(RecordFlags.stored, record(id)) }

    /// Notes that a key has changed.
    @inline(__always)
    func touch(_ id: UInt32) { if RecordFlags.setDirty(record(id)) { dirty.append(id) } }

    /// Notes that keys have changed, some of them more than once.
    func touch(_ ids: [UInt32]) {
        let (base, stride) = (keys.base, keys.recordStride)
        var dirty = dirty
        // So that `dirty` is uniquely referenced, and appending does not copy it.
        self.dirty = []
        for id in ids where RecordFlags.setDirty(base + Int(id) &* stride) { dirty.append(id) }
        self.dirty = dirty
    }

    // MARK: Writing

    /// Sorts the changed keys in the store's order.
    /// - Returns: The changed keys.
    func sortDirty() -> [UInt32] {
        KeyOrder.sort(&dirty, in: keys)
        return dirty
    }

    /// Removes keys from those to be written.
    func skip(where isSkipped: (UInt32) -> Bool) { dirty.removeAll(where: isSkipped) }

    /// Returns the changed keys, sorted, and marks them as unchanged.
    func takeDirty() -> [UInt32] {
        KeyOrder.sort(&dirty, in: keys)
        for id in dirty { RecordFlags.clear(RecordFlags.dirty, record(id)) }
        defer { dirty.removeAll(keepingCapacity: true) }
        return dirty
    }

    /// Prefetches the record of a key some places ahead: keys are written in key order, which is random in
    /// memory.
    @inline(__always)
    func prefetch(aheadOf index: Int, in ids: [UInt32]) {
        guard index + 8 < ids.count else { return }
        kj_prefetch(record(ids[index + 8]))
        kj_prefetch(record(ids[index + 8]) + 64)
    }

    /// The transaction was committed: no key has changed since.
    /// - Parameter isStored: Called for each key that was written: whether the store now holds something for
    ///   it.
    @inline(__always)
    func committed(_ isStored: (UInt32) -> Bool) {
        if dirty.count * 4 > keys.count {
            // In the order of memory, which is faster when many have changed.
            for id in 0..<UInt32(keys.count) where isDirty(id) { settle(id, isStored) }
        } else {
            for (index, id) in dirty.enumerated() {
                prefetch(aheadOf: index, in: dirty)
                settle(id, isStored)
            }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    @inline(__always)
    private func settle(_ id: UInt32, _ isStored: (UInt32) -> Bool) {
        RecordFlags.replace(by: isStored(id) ? RecordFlags.stored : 0, record(id))
    }

    // MARK: The store

    /// Binds the parts of a key, the first at index `first`.
    @inline(__always)
    func bindKey(_ id: UInt32, to writer: any RowWriter, at first: Int = 0) {
        for part in keyIsText.indices { bind(id, part, to: writer, at: first + part) }
    }

    @inline(__always)
    func bind(_ id: UInt32, _ part: Int, to writer: any RowWriter, at index: Int) {
        if keyIsText[part] {
            writer.bind(index, text: keys.textKey(id, part))
        } else {
            writer.bind(index, keys.integerKey(id, part))
        }
    }

    /// A part of a key as a cell.
    func value(_ id: UInt32, _ part: Int, _ kind: ColumnKind) -> Value {
        if keyIsText[part] {
            return .text(String(decoding: keys.textKey(id, part), as: UTF8.self))
        }
        return Value(integerKey: keys.integerKey(id, part), kind: kind)
    }

    /// Reads the store's row of a key; returns whether there is one.
    func lookUp(_ id: UInt32, _ read: (any RowCursor) throws -> Void) throws -> Bool {
        guard let stored else { return false }
        return try stored.store.lookUp(
            table: stored.index, bindKey: { bindKey(id, to: $0) }, read: read)
    }

    /// Reads the rows whose keys begin with this key; returns whether there are any.
    func scan(_ id: UInt32, _ read: (any RowCursor) throws -> Void) throws -> Bool {
        guard let stored else { return false }
        var isThere = false
        try stored.store.scan(table: stored.index, prefix: keyIsText.count) {
            bindKey(id, to: $0)
        } _: {
            isThere = true
            try read($0)
        }
        return isThere
    }

    /// Reads all rows of the store: `take` gets each with the number of its key.
    func loadAll(_ take: (UInt32, any RowCursor) throws -> Void) throws {
        guard let stored else { return }
        try stored.store.scan(table: stored.index) { cursor in
            let id = find(cursor, stored.keyColumns).id
            try take(id, cursor)
            RecordFlags.set(RecordFlags.stored, record(id))
        }
        isComplete = true
    }

    // MARK: Forgetting

    /// Forgets all keys; the store holds them. The owner has freed the memory it held for them.
    func evict() {
        keys.reset()
        isComplete = stored == nil
    }

    /// Whether so few keys are needed that forgetting the others pays.
    func isWorthCompacting(needed: Int) -> Bool {
        keys.count > 4_096 && keys.count > 4 * needed
    }

    /// Forgets the keys that are not needed. There must be no uncommitted change.
    /// - Returns: The new number of each key that is kept.
    func compact(keeping isNeeded: (UInt32) -> Bool) -> [UInt32] {
        keys.compact(keeping: isNeeded)
    }

    // MARK: Spilling

    /// Forgets all keys, after they were written to a sorted run.
    /// - Parameter keepingMemory: Whether to keep the memory, because about as many keys will follow.
    func spill(keepingMemory: Bool) {
        dirty.removeAll(keepingCapacity: true)
        keys.reset(keepingMemory: keepingMemory)
    }

    /// What an owner does with the records of spilled rows. These records are not in the table.
    struct Merging {
        /// Loads a row into a record that already has its key.
        let load: (UnsafeMutableRawPointer, any RowCursor) throws -> Void
        /// Merges in the key's state from a later range of the log.
        let merge:
            (_ later: UnsafeMutableRawPointer, _ into: UnsafeMutableRawPointer) throws -> Void
        /// Frees the memory that a record owns.
        let free: (UnsafeMutableRawPointer) -> Void
        let write: (UnsafeMutableRawPointer, any RowWriter) throws -> Void
    }

    /// Merges the spilled rows of all ranges and writes one row for each key. Memory holds no keys.
    /// - Parameter sideBySide: Whether the owner can merge and write several keys at once, on different
    ///   threads.
    func writeSpilled(
        _ spilled: any SpilledRows, to transaction: any StoreTransaction, sideBySide: Bool,
        _ merging: Merging
    ) throws {
        guard let stored else { return }
        keys.reset()
        let size = keys.recordStride
        try transaction.merge(
            spilled, into: stored.index, sideBySide: sideBySide, observer: nil
        ) { cursors, writer in
            try withUnsafeTemporaryAllocation(byteCount: 2 * size, alignment: 16) { memory in
                guard let merged = memory.baseAddress else { return }
                try merge(cursors, into: merged, merged + size, merging)
                defer { merging.free(merged) }
                try merging.write(merged, writer)
            }
        }
        isComplete = false
    }

    /// Merges a key's rows, the earliest first, into one record; `later` is scratch space for another record.
    private func merge(
        _ cursors: [any RowCursor], into merged: UnsafeMutableRawPointer,
        _ later: UnsafeMutableRawPointer, _ merging: Merging
    ) throws {
        try load(cursors[0], into: merged, merging)
        do {
            for cursor in cursors.dropFirst() {
                try load(cursor, into: later, merging)
                defer { merging.free(later) }
                try merging.merge(later, merged)
            }
        } catch {
            merging.free(merged)
            throw error
        }
    }

    /// Reads a row and its key into a record. The texts of the key still belong to the cursor.
    private func load(
        _ cursor: any RowCursor, into record: UnsafeMutableRawPointer, _ merging: Merging
    ) throws {
        record.initializeMemory(as: UInt8.self, repeating: 0, count: keys.recordStride)
        for (part, column) in (stored?.keyColumns ?? []).enumerated() {
            let cell = record + (16 + 16 * part)
            if keyIsText[part] {
                TextCell.setBorrowed(cell, cursor.text(column))
            } else {
                cell.storeBytes(of: cursor.integer(column), as: Int64.self)
            }
        }
        try merging.load(record, cursor)
    }
}

/// The table of the store that backs a ``KeyedTable``.
struct StoredTable {
    let store: any RowStore
    let index: Int
    /// The columns of the key's parts.
    let keyColumns: [Int]
    /// How many rows it had when the operator was opened.
    let rowsAtFirst: Int

    init(_ store: any RowStore, _ index: Int, keyColumns: [Int]) throws(KappaError) {
        self.store = store
        self.index = index
        self.keyColumns = keyColumns
        rowsAtFirst = try store.rowCount(table: index)
    }
}

extension ColumnKind {
    /// Whether a key of this kind is stored as a text.
    var isText: Bool { self == .text || self == .json }
}
