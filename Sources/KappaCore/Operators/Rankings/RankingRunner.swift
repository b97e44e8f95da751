import CKappaJSON

/// Runs a ranking: the best elements of each group. All groups are in memory.
final class RankingRunner: StepRunner {
    private let definition: RankingDefinition
    private let input: any RankingInput
    private let tableIndex: Int
    /// One record for each group; its state is the number of its rows in the store.
    private let groups: KeyedTable
    private let keyIsText: [Bool]
    /// Whether the store has any rows.
    private var hasStored = false
    private var ids: [UInt32] = []

    init(
        _ definition: RankingDefinition, input: any RankingInput, store: any RowStore, table: Int
    ) throws {
        self.definition = definition
        self.input = input
        tableIndex = table
        keyIsText = definition.keyKinds.map(\.isText)
        let stored = try StoredTable(store, table, keyColumns: definition.keyColumns)
        groups = KeyedTable(keyIsText: keyIsText, stateBytes: 8, over: stored)
        try groups.loadAll { id, cursor in
            try input.load(cursor, into: Int(id))
            setStoredRows(id, storedRows(id) + 1)
            hasStored = true
        }
    }

    var memoryBytes: Int { groups.memoryBytes + input.memoryBytes }
    /// The approximate number of rows in the changed groups.
    var dirtyRows: Int { groups.dirty.count * max(1, input.rowCount / max(1, groups.count)) }

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        input.take(batch, range) { rows, columns in
            guard !rows.isEmpty else { return [] }
            let keys: [KeyColumn] = zip(columns, keyIsText).map { column, isText in
                isText ? .texts(column.strings) : .integers(column.integers)
            }
            groups.find(rows: rows, keys: keys, into: &ids)
            return ids
        } changed: { id in
            groups.touch(id)
        } _: {
            pass.note($0, $1)
        }
    }

    private func storedRows(_ id: UInt32) -> Int {
        Int(groups.record(id).load(fromByteOffset: groups.stateOffset, as: Int64.self))
    }

    private func setStoredRows(_ id: UInt32, _ count: Int) {
        groups.record(id).storeBytes(
            of: Int64(count), toByteOffset: groups.stateOffset, as: Int64.self)
    }

    // MARK: Writing

    func write(to transaction: any StoreTransaction) throws {
        let dirty = groups.sortDirty()
        try transaction.upsertRows(into: tableIndex, count: dirty.count) { index, writer in
            prefetch(ahead: index, of: dirty)
            for rank in 0..<input.count(in: Int(dirty[index])) {
                try upsert(dirty[index], rank, writer)
            }
        }
        guard hasStored else { return }
        let deleter = transaction.delete(from: tableIndex)
        for id in dirty {
            let count = input.count(in: Int(id))
            for rank in count..<max(count, storedRows(id)) {
                bindKey(id, rank, to: deleter)
                try deleter.execute()
            }
        }
    }

    /// Prefetches groups and their rows some places ahead: they are written in key order, which is random in
    /// memory.
    private func prefetch(ahead index: Int, of dirty: [UInt32]) {
        if index + 16 < dirty.count { input.prefetch(Int(dirty[index + 16])) }
        if index + 8 < dirty.count { input.prefetchRows(Int(dirty[index + 8])) }
    }

    private func upsert(_ id: UInt32, _ rank: Int, _ writer: any RowWriter) throws {
        bindKeys(id, to: writer)
        try input.bind(rank, of: Int(id), to: writer)
        try writer.execute()
    }

    private var hasRank: Bool { definition.table.keyColumns.count > keyIsText.count }

    /// Binds the parts of the key that are not properties of the element: they are the first columns.
    private func bindKeys(_ id: UInt32, to writer: any RowWriter) {
        for part in 0..<definition.addedKeys { groups.bind(id, part, to: writer, at: part) }
    }

    private func bindKey(_ id: UInt32, _ rank: Int, to writer: any RowWriter) {
        groups.bindKey(id, to: writer)
        if hasRank { writer.bind(keyIsText.count, Int64(rank + 1)) }
    }

    func committed(mayEvict: Bool) {
        hasStored = hasStored || !groups.dirty.isEmpty
        groups.committed { id in
            setStoredRows(id, input.count(in: Int(id)))
            return true
        }
        input.committed()
    }
}
