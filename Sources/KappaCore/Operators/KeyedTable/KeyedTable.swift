import CKappaJSON

/// The keys of an operator, each with a record of memory, over the table in which the store keeps its rows.
///
/// Every operator that keeps something by key stands on it. The table knows which keys there are, which of
/// them have changed since the last commit, and which the store holds; it reads keys that only the
/// store knows, and sorts those that are to be written. What an operator knows of a key is its own: as many
/// bytes of the record as it asked for, or whatever it keeps by the key's number.
///
/// **The contract**
/// - *Numbers.* A key has its number until the table forgets it: ``evict()``, ``spill(keepingMemory:)`` and
///   ``compact(keeping:)``. Records move whenever keys are looked up.
/// - *Reading.* The owner looks a batch's keys up and then calls ``readThrough(_:)``. It is handed the keys
///   that are new in memory, as long as the store may know more than memory does; not one of them is
///   looked up twice.
/// - *Writing.* What changes is touched. At a commit the owner sorts what was touched as the store sorts its
///   keys, writes it, and calls ``committed(_:)`` once the transaction stands. Until then nothing is forgotten.
/// - *Room.* After a commit everything is in the store, so the owner may evict all keys: those that come
///   again are read through.
/// - *Spilling.* Before a version's first commit there is nothing to read keys from. What they have become in a
///   stretch of the log is written to a sorted run, and ``spill(keepingMemory:)`` forgets it: a key that
///   comes again begins anew, and nothing is looked up. ``writeSpilled(_:to:sideBySide:_:)`` makes one row
///   of what a key has become in all stretches, in log order. An owner can spill if it can tell how two stretches
///   of one key become one; every operator is to be able to, as only the store has no bounds.
///
/// Closures are called for what is rare, and at commits. What is done for each event is reading and
/// writing memory at ``record(_:)``.
final class KeyedTable {
    /// The keys and their records.
    let keys: GroupTable
    let keyIsText: [Bool]
    /// Where the owner's bytes begin in a record.
    let stateOffset: Int
    /// The keys that have changed since the last commit.
    private(set) var dirty: [UInt32] = []
    /// Whether memory holds all that the store does, so that a key that is not in memory is a new one.
    private(set) var isComplete: Bool
    private let stored: StoredTable?
    private let loaded: LoadedKey
    /// Keys that are new in memory, that the store may know, and that were not read through yet.
    private var fresh: [UInt32] = []

    /// - Parameter stored: The table with what the store knows of the keys; nil where the owner loads them
    ///   itself, all of them.
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
    /// What sorting those that changed will take.
    var sortingBytes: Int { dirty.count * KeySort.bytesPerRow }

    @inline(__always)
    func record(_ id: UInt32) -> UnsafeMutableRawPointer { keys.record(id) }

    // MARK: Finding

    /// Finds the keys of some rows, and makes those that are new; ``readThrough(_:)`` comes next.
    func find(rows: ArraySlice<Int32>, keys: [KeyColumn], into ids: inout [UInt32]) {
        self.keys.find(rows: rows, keys: keys, into: &ids, fresh: &fresh)
        if isComplete { fresh.removeAll(keepingCapacity: true) }
    }

    /// Hands over the keys that are new in memory, if the store may know them.
    /// - Parameter load: Takes in what the store has of a key, and tells whether it has anything.
    func readThrough(_ load: (UInt32) throws -> Bool) throws {
        if fresh.isEmpty { return }
        for id in fresh where try load(id) { RecordFlags.set(RecordFlags.stored, record(id)) }
        fresh.removeAll(keepingCapacity: true)
    }

    /// Finds a key that stands in some columns of a row; makes it if it is new.
    func find(_ row: any RowCursor, _ columns: [Int]) -> (id: UInt32, isNew: Bool) {
        loaded.load(row, columns, isText: { keyIsText[$0] })
        return keys.find(keys: loaded.columns)
    }

    /// The same where the last part of the key is no column.
    func find(_ row: any RowCursor, _ columns: [Int], last: Int64) -> UInt32 {
        loaded.load(row, columns, isText: { keyIsText[$0] })
        loaded.set(columns.count, last)
        return keys.find(keys: loaded.columns).id
    }

    /// Finds a key that stands in cells of a packed row, from one on; makes it if it is new.
    func find(_ row: PackedRow, from first: Int, of cells: Int) -> UInt32 {
        loaded.load(row, from: first, of: cells, isText: keyIsText)
        return keys.find(keys: loaded.columns).id
    }

    // MARK: Changing

    func isDirty(_ id: UInt32) -> Bool { RecordFlags.has(RecordFlags.dirty, record(id)) }
    /// Whether the store holds what the owner knew of a key at the last commit.
    func isStored(_ id: UInt32) -> Bool { RecordFlags.has(RecordFlags.stored, record(id)) }

    /// Notes that a key has changed.
    @inline(__always)
    func touch(_ id: UInt32) { if RecordFlags.setDirty(record(id)) { dirty.append(id) } }

    /// Notes that keys have changed, some of them more than once.
    func touch(_ ids: [UInt32]) {
        let (base, stride) = (keys.base, keys.recordStride)
        var dirty = dirty
        // Else appending would copy what is there.
        self.dirty = []
        for id in ids where RecordFlags.setDirty(base + Int(id) &* stride) { dirty.append(id) }
        self.dirty = dirty
    }

    // MARK: Writing

    /// Sorts the keys that have changed as the store sorts them.
    /// - Returns: These keys.
    func sortDirty() -> [UInt32] {
        KeyOrder.sort(&dirty, in: keys)
        return dirty
    }

    /// Leaves keys out of those that are to be written.
    func skip(where isSkipped: (UInt32) -> Bool) { dirty.removeAll(where: isSkipped) }

    /// The keys that have changed, sorted; from now on they count as unchanged.
    func takeDirty() -> [UInt32] {
        KeyOrder.sort(&dirty, in: keys)
        for id in dirty { RecordFlags.clear(RecordFlags.dirty, record(id)) }
        defer { dirty.removeAll(keepingCapacity: true) }
        return dirty
    }

    /// Asks for the record of a key some places ahead of one that is looked at: keys are written in their
    /// order, which is none that memory knows.
    @inline(__always)
    func prefetch(aheadOf index: Int, in ids: [UInt32]) {
        guard index + 8 < ids.count else { return }
        kj_prefetch(record(ids[index + 8]))
        kj_prefetch(record(ids[index + 8]) + 64)
    }

    /// The transaction was committed: no key has changed since.
    /// - Parameter isStored: Asked for each key that was written: whether the store now holds
    ///   something of it.
    @inline(__always)
    func committed(_ isStored: (UInt32) -> Bool) {
        if dirty.count * 4 > keys.count {
            // One after the other, as they stand in memory.
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

    /// Binds the parts of a key, the first one at index `first`.
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

    /// Reads the row that the store has under a key; whether it has one.
    func lookUp(_ id: UInt32, _ read: (any RowCursor) throws -> Void) throws -> Bool {
        guard let stored else { return false }
        return try stored.store.lookUp(
            table: stored.index, bindKey: { bindKey(id, to: $0) }, read: read)
    }

    /// Reads the rows whose keys begin with a key; whether there are any.
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

    /// Reads all rows that the store has: `take` gets each with the number of its key.
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

    /// Forgets all keys, which are in the store. The owner has given back what it holds.
    func evict() {
        keys.reset()
        isComplete = stored == nil
    }

    /// Whether so few keys are needed that the others are worth forgetting.
    func isWorthCompacting(needed: Int) -> Bool {
        keys.count > 4_096 && keys.count > 4 * needed
    }

    /// Forgets the keys that are not needed; none has changed.
    /// - Returns: The new number of each key that is.
    func compact(keeping isNeeded: (UInt32) -> Bool) -> [UInt32] {
        keys.compact(keeping: isNeeded)
    }

    // MARK: Spilling

    /// What was written has spilled: forgets all keys, and begins anew.
    /// - Parameter keepingMemory: Whether as many keys are to come.
    func spill(keepingMemory: Bool) {
        dirty.removeAll(keepingCapacity: true)
        keys.reset(keepingMemory: keepingMemory)
    }

    /// What an owner does with records of rows that have spilled. They stand outside of the table.
    struct Merging {
        /// Takes a row in, in a record that has its key.
        let load: (UnsafeMutableRawPointer, any RowCursor) throws -> Void
        /// Takes in what the key has become in a later stretch of the log.
        let merge:
            (_ later: UnsafeMutableRawPointer, _ into: UnsafeMutableRawPointer) throws -> Void
        /// Gives back what a record holds.
        let free: (UnsafeMutableRawPointer) -> Void
        let write: (UnsafeMutableRawPointer, any RowWriter) throws -> Void
    }

    /// Writes the rows of all stretches that have spilled, one for each key. Nothing is in memory.
    /// - Parameter sideBySide: Whether the owner can do that for several keys at once.
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

    /// Makes one record of a key's rows, the earliest first; `later` is room for another record.
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

    /// Reads a row into a record of its own, with its key, whose texts are the cursor's.
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

/// The table of the store that a ``KeyedTable`` stands over.
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
    /// Whether a key of this kind is kept as a text.
    var isText: Bool { self == .text || self == .json }
}
