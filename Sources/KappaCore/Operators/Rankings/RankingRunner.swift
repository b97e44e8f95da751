import CKappaJSON

/// Runs a ranking: the best elements of each group. All groups are in memory.
final class RankingRunner: StepRunner {
    private static let dirtyFlag: UInt32 = 1

    private let definition: RankingDefinition
    private let input: any RankingInput
    private let store: any RowStore
    private let tableIndex: Int
    /// One record for each group; its state is how many rows the store has of it.
    private let groups: GroupTable
    private let stateOffset: Int
    private let keyIsText: [Bool]
    private var dirty: [UInt32] = []
    /// Whether the store has any rows.
    private var hasStored = false
    private var ids: [UInt32] = []
    private var fresh: [UInt32] = []

    init(
        _ definition: RankingDefinition, input: any RankingInput, store: any RowStore, table: Int
    ) throws {
        self.definition = definition
        self.input = input
        self.store = store
        tableIndex = table
        keyIsText = definition.keyKinds.map { $0 == .text || $0 == .json }
        groups = GroupTable(keyIsText: keyIsText, stateBytes: 8)
        stateOffset = GroupTable.stateOffset(keyParts: keyIsText.count)
        try loadAll()
    }

    var memoryBytes: Int { groups.memoryBytes + input.memoryBytes }
    /// About so many rows are in the groups that changed.
    var dirtyRows: Int { dirty.count * max(1, input.rowCount / max(1, groups.count)) }

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        input.take(batch, range) { rows, columns in
            guard !rows.isEmpty else { return [] }
            let keys: [KeyColumn] = zip(columns, keyIsText).map { column, isText in
                isText ? .texts(column.strings) : .integers(column.integers)
            }
            groups.find(rows: rows, keys: keys, into: &ids, fresh: &fresh)
            fresh.removeAll(keepingCapacity: true)
            return ids
        } changed: { id in
            markDirty(id)
        } _: {
            pass.note($0, $1)
        }
    }

    private func isDirty(_ id: UInt32) -> Bool {
        groups.record(id).load(fromByteOffset: 4, as: UInt32.self) & Self.dirtyFlag != 0
    }

    private func markDirty(_ id: UInt32) {
        if isDirty(id) { return }
        groups.record(id).storeBytes(of: Self.dirtyFlag, toByteOffset: 4, as: UInt32.self)
        dirty.append(id)
    }

    private func storedRows(_ id: UInt32) -> Int {
        Int(groups.record(id).load(fromByteOffset: stateOffset, as: Int64.self))
    }

    private func setStoredRows(_ id: UInt32, _ count: Int) {
        groups.record(id).storeBytes(
            of: Int64(count), toByteOffset: stateOffset, as: Int64.self)
    }

    // MARK: Writing

    func write(to transaction: any StoreTransaction, changesAt offset: Offset?) throws {
        KeyOrder.sort(&dirty, in: groups)
        let changes = ChangeLog(
            transaction: transaction, store: store, table: tableIndex, schema: definition.table,
            offset: offset)
        if offset == nil {
            try transaction.upsertRows(into: tableIndex, count: dirty.count) { index, writer in
                prefetch(ahead: index)
                for rank in 0..<input.count(in: Int(dirty[index])) {
                    try upsert(dirty[index], rank, writer)
                }
            }
        } else {
            let writer = transaction.upsert(into: tableIndex)
            for id in dirty {
                for rank in 0..<input.count(in: Int(id)) {
                    try note(changes, id, rank, isThere: true) { try upsert(id, rank, writer) }
                }
            }
        }
        guard hasStored else { return }
        let deleter = transaction.delete(from: tableIndex)
        for id in dirty {
            let count = input.count(in: Int(id))
            for rank in count..<max(count, storedRows(id)) {
                try note(changes, id, rank, isThere: false) {
                    bindKey(id, rank, to: deleter)
                    try deleter.execute()
                }
            }
        }
    }

    /// Asks for groups and their rows some places ahead: they are written in the order of their keys,
    /// which is none that memory knows.
    private func prefetch(ahead index: Int) {
        if index + 16 < dirty.count { input.prefetch(Int(dirty[index + 16])) }
        if index + 8 < dirty.count { input.prefetchRows(Int(dirty[index + 8])) }
    }

    private func upsert(_ id: UInt32, _ rank: Int, _ writer: any RowWriter) throws {
        bindKeys(id, to: writer)
        try input.bind(rank, of: Int(id), to: writer)
        try writer.execute()
    }

    private func note(
        _ changes: ChangeLog, _ id: UInt32, _ rank: Int, isThere: Bool, write: () throws -> Void
    ) throws {
        guard changes.offset != nil else { return try write() }
        var row: String?
        if isThere {
            var sink = JSONSink(names: definition.table.columns.map(\.name))
            for part in 0..<definition.addedKeys { sink.append(key(id, part)) }
            try input.values(rank, of: Int(id)).emit(to: &sink)
            row = sink.finish()
        }
        try changes.note {
            var sink = JSONSink()
            for part in keyIsText.indices { sink.append(key(id, part)) }
            if hasRank { sink.integer(Int64(rank + 1)) }
            return sink.finish()
        } bindKey: {
            bindKey(id, rank, to: $0)
        } after: {
            row
        } write: {
            try write()
        }
    }

    private var hasRank: Bool { definition.table.keyColumns.count > keyIsText.count }

    /// Binds the parts of the key that are not properties of the element: they stand first.
    private func bindKeys(_ id: UInt32, to writer: any RowWriter) {
        for part in 0..<definition.addedKeys { groups.bind(id, part, to: writer, at: part) }
    }

    private func bindKey(_ id: UInt32, _ rank: Int, to writer: any RowWriter) {
        for part in keyIsText.indices { groups.bind(id, part, to: writer, at: part) }
        if hasRank { writer.bind(keyIsText.count, Int64(rank + 1)) }
    }

    private func key(_ id: UInt32, _ part: Int) -> Value {
        groups.value(id, part, definition.keyKinds[part])
    }

    func committed(mayEvict: Bool) {
        hasStored = hasStored || !dirty.isEmpty
        if dirty.count * 4 > groups.count {
            // One after the other, as they stand in memory.
            for id in 0..<UInt32(groups.count) where isDirty(id) { setStored(id) }
        } else {
            for id in dirty { setStored(id) }
        }
        dirty.removeAll(keepingCapacity: true)
        input.committed()
    }

    private func setStored(_ id: UInt32) {
        setStoredRows(id, input.count(in: Int(id)))
        groups.record(id).storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
    }

    private func loadAll() throws {
        let key = LoadedKey(parts: keyIsText.count)
        try store.scan(table: tableIndex) { cursor in
            key.load(cursor, definition.keyColumns, isText: groups.isText)
            let (id, _) = groups.find(keys: key.columns)
            try input.load(cursor, into: Int(id))
            setStoredRows(id, storedRows(id) + 1)
            hasStored = true
        }
    }
}
