import CKappaJSON

/// Runs an aggregation whose groups never merge: by key, by windows of fixed bounds, or by both.
final class AggregationRunner: StepRunner {
    private let definition: AggregationDefinition
    private let input: any AggregationInput
    private let store: any RowStore
    private let tableIndex: Int
    private let clock: PartitionClock
    private let cut: WindowCut?
    /// Which part of the group's key is the window's start.
    private let windowPart: Int
    private let rows: GroupRows
    private let table: KeyedTable
    /// The table's keys: each group is a row.
    private let groups: GroupTable
    /// Set if a row may be in several windows.
    private let panes: HoppingPanes?
    private let sorter: WindowSorter?
    /// Set if rows are deleted after a time.
    private var retention: Retention?
    private let keyIndex: KeyIndexWriter?
    private let budgetBytes: Int

    private var ids: [UInt32] = []
    private var pairs = HoppingPanes.Pairs()
    private let conditionRows = ChunkRows()

    init(
        _ definition: AggregationDefinition, input: any AggregationInput, store: any RowStore,
        table index: Int, clock: PartitionClock, keyIndex: KeyIndexWriter?, budgetBytes: Int
    ) throws {
        self.definition = definition
        self.input = input
        self.store = store
        tableIndex = index
        self.clock = clock
        self.keyIndex = keyIndex
        self.budgetBytes = budgetBytes
        cut = WindowCut(definition)
        retention = Retention(definition, clock)
        var keyIsText = definition.keyKinds.map { $0 == .text || $0 == .json }
        let windowIsFirst = if case .windowStart? = definition.origins.first { true } else { false }
        windowPart = windowIsFirst ? 0 : keyIsText.count
        if cut != nil { keyIsText.insert(false, at: windowPart) }
        rows = GroupRows(definition.layout, at: GroupTable.stateOffset(keyParts: keyIsText.count))
        let stored = try StoredTable(store, index, keyColumns: definition.table.keyColumns)
        table = KeyedTable(keyIsText: keyIsText, stateBytes: rows.stateBytes, over: stored)
        groups = table.keys
        panes = cut.flatMap { [windowPart] cut in
            cut.mostWindows == 1
                ? nil : HoppingPanes(cut, keyIsText: keyIsText, windowPart: windowPart)
        }
        sorter = cut.map { [panes] in
            WindowSorter($0, definition, panes: panes, keyIndex: keyIndex)
        }
        if stored.rowsAtFirst > 0, stored.rowsAtFirst * 200 < budgetBytes {
            try table.loadAll { try rows.load(groups.record($0), $1) }
        }
    }

    deinit { freeAll() }

    /// Includes the memory that sorting the rows to be written will take.
    var memoryBytes: Int {
        table.memoryBytes + rows.heldBytes.total + table.sortingBytes + (panes?.memoryBytes ?? 0)
    }
    var dirtyRows: Int { table.dirty.count }

    // MARK: Applying

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        let reference = input.rows(of: batch, range)
        reference.value.noteRefused(in: pass)
        keyIndex?.begin(events: batch.count)
        if let sorter {
            sorter.sort(&reference.value, range, of: batch, clock, pass)
        }
        let input = reference.value
        guard !input.rows.isEmpty else { return }
        pass.markApplied(input.events)
        let keys = keyColumns(input)
        let firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        let chunkRows = panes?.chunkRows ?? Self.chunkRows
        pairs.rows.inputs = input.inputs
        var start = 0
        while start < input.rows.count {
            let chunk = start..<min(start + chunkRows, input.rows.count)
            if let panes {
                panes.mayReopen = clock.hasPartitions
                panes.find(input, chunk, keys: keys, in: table, into: &pairs)
                keyIndex?.add(
                    input.events[chunk], panes.paneIDs, of: panes.panes,
                    firstOffset: batch.firstOffset)
                try accumulate(pairs.rows, 0..<pairs.ids.count, pairs.ids, firstOffset)
            } else {
                table.find(rows: input.rows[chunk], keys: keys, into: &ids)
                keyIndex?.add(
                    input.events[chunk], ids, of: groups, firstOffset: batch.firstOffset)
                try accumulate(input, chunk, ids, firstOffset)
            }
            start = chunk.upperBound
        }
    }

    /// Rows are accumulated in chunks, small enough that their records stay in the processor's cache while
    /// one aggregate after another takes them.
    private static let chunkRows = 2_048

    private func accumulate(
        _ input: AggregationRows, _ chunk: Range<Int>, _ ids: [UInt32], _ firstOffset: Int64
    ) throws {
        try table.readThrough { id in
            try table.lookUp(id) { try rows.load(groups.record(id), $0) }
        }
        table.touch(ids)
        conditionRows.reset()
        try withRows(input, chunk, ids) { all in
            for (accumulator, columns) in zip(rows.accumulators, input.inputs) {
                let taken = conditionRows.rows(all, columns.mask)
                try accumulator.add(columns, taken, firstOffset: firstOffset)
            }
        }
    }

    private func withRows(
        _ input: AggregationRows, _ chunk: Range<Int>, _ ids: [UInt32],
        _ body: (GroupedRows) throws -> Void
    ) throws {
        try input.rows.withUnsafeBufferPointer { rows in
            try input.events.withUnsafeBufferPointer { events in
                try ids.withUnsafeBufferPointer { ids in
                    guard let rows = rows.baseAddress, let events = events.baseAddress,
                        let first = ids.baseAddress
                    else { return }
                    try body(
                        GroupedRows(
                            base: groups.base, stride: groups.recordStride, count: ids.count,
                            ids: first, rows: rows + chunk.lowerBound,
                            events: events + chunk.lowerBound))
                }
            }
        }
    }

    /// The key's columns in the order of the key; without the window if there are panes.
    private func keyColumns(_ input: AggregationRows) -> [KeyColumn] {
        var keys = input.keyColumns(definition.keyKinds)
        if let column = sorter?.column { keys.insert(column, at: windowPart) }
        return keys
    }

    // MARK: Rows

    private func place(_ id: UInt32) -> GroupRows.Place { place(of: groups.record(id)) }

    private func place(of record: UnsafeMutableRawPointer) -> GroupRows.Place {
        var place = GroupRows.Place(keyRecord: record, firstKeyPart: 0)
        if let cut {
            place.windowStart = record.load(
                fromByteOffset: 16 + 16 * windowPart, as: Int64.self)
            place.windowEnd = cut.end(ofStart: place.windowStart)
            place.firstKeyPart = windowPart == 0 ? 1 : 0
        }
        return place
    }

    func write(to transaction: any StoreTransaction) throws {
        try retention?.deleteRows(from: store, tableIndex, definition.table, transaction)
        if let retention { table.skip { retention.isGone(place($0).windowEnd) } }
        let dirty = table.sortDirty()
        let (table, rows) = (table, rows)
        guard rows.canWriteSideBySide else {
            let writer = transaction.upsert(into: tableIndex)
            for id in dirty { try rows.upsert(groups.record(id), place(id), writer) }
            return
        }
        try transaction.upsertRows(into: tableIndex, count: dirty.count) { index, writer in
            table.prefetch(aheadOf: index, in: dirty)
            let record = table.record(dirty[index])
            try rows.upsert(record, place(of: record), writer)
        }
    }

    func committed(mayEvict: Bool) {
        table.committed { _ in true }
        if mayEvict, memoryBytes > budgetBytes {
            freeAll()
            table.evict()
            panes?.reset()
        }
    }

    private func freeAll() {
        guard rows.ownsMemory else { return }
        for id in 0..<groups.count { rows.free(groups.record(UInt32(id))) }
    }

    // MARK: Spilled rows

    var canSpill: Bool { retention == nil && rows.accumulators.allSatisfy(\.mergesExactly) }

    func spill(keepingMemory: Bool) {
        freeAll()
        table.spill(keepingMemory: keepingMemory)
        panes?.reset()
    }

    func writeSpilled(_ spilled: any SpilledRows, to transaction: any StoreTransaction) throws {
        let merging = KeyedTable.Merging(
            load: { [rows] in try rows.load($0, $1) },
            merge: { [rows] in try rows.merge(later: $0, into: $1) },
            free: { [rows] in rows.free($0) },
            write: { [rows, self] in try rows.upsert($0, place(of: $0), $1) })
        try table.writeSpilled(
            spilled, to: transaction, sideBySide: rows.canWriteSideBySide, merging)
    }
}
