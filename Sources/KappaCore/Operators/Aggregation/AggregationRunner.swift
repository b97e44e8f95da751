import CKappaJSON

/// Runs an aggregation whose groups never merge: by key, by windows of fixed bounds, or by both.
final class AggregationRunner: StepRunner {
    private static let dirtyFlag: UInt32 = 1
    private static let storedFlag: UInt32 = 2

    private let definition: AggregationDefinition
    private let input: any AggregationInput
    private let store: any RowStore
    private let tableIndex: Int
    private let stepIndex: Int
    private let cut: WindowCut?
    /// Which part of the group's key is the window's start.
    private let windowPart: Int
    private let rows: GroupRows
    private let groups: GroupTable
    /// Where a row may be in several windows.
    private let panes: HoppingPanes?
    private let sorter: WindowSorter?
    /// Where rows are not kept for ever.
    private var retention: Retention?
    private let keyIndex: KeyIndexWriter?
    private let budgetBytes: Int
    /// Whether every row of the store is in memory, so that an unknown key is a new one.
    private var isComplete: Bool

    private var dirty: [UInt32] = []
    private var ids: [UInt32] = []
    private var pairs = HoppingPanes.Pairs()
    private var fresh: [UInt32] = []
    private let conditionRows = ChunkRows()

    init(
        _ definition: AggregationDefinition, input: any AggregationInput, store: any RowStore,
        table: Int, step: Int, keyIndex: KeyIndexWriter?, budgetBytes: Int
    ) throws {
        self.definition = definition
        self.input = input
        self.store = store
        tableIndex = table
        stepIndex = step
        self.keyIndex = keyIndex
        self.budgetBytes = budgetBytes
        cut = WindowCut(definition)
        retention = Retention(definition)
        var keyIsText = definition.keyKinds.map { $0 == .text || $0 == .json }
        let windowIsFirst = if case .windowStart? = definition.origins.first { true } else { false }
        windowPart = windowIsFirst ? 0 : keyIsText.count
        if cut != nil { keyIsText.insert(false, at: windowPart) }
        rows = GroupRows(definition.layout, at: GroupTable.stateOffset(keyParts: keyIsText.count))
        groups = GroupTable(keyIsText: keyIsText, stateBytes: rows.stateBytes)
        panes = cut.flatMap { [windowPart] cut in
            cut.mostWindows == 1
                ? nil : HoppingPanes(cut, keyIsText: keyIsText, windowPart: windowPart)
        }
        sorter = cut.map { [panes] in
            WindowSorter($0, definition, panes: panes, keyIndex: keyIndex)
        }
        let stored = try store.rowCount(table: table)
        isComplete = stored == 0
        if stored > 0, stored * 200 < budgetBytes { try loadAll() }
    }

    deinit { freeAll() }

    /// Sorting the rows to be written takes some memory, too.
    var memoryBytes: Int {
        groups.memoryBytes + rows.heldBytes.total + dirty.count * KeySort.bytesPerRow
            + (panes?.memoryBytes ?? 0)
    }
    var dirtyRows: Int { dirty.count }

    // MARK: Applying

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        let reference = input.rows(of: batch, range)
        for (event, reason) in reference.value.dead { pass.kill(event, reason) }
        for event in reference.value.late { pass.mark(event, .late) }
        keyIndex?.begin(events: batch.count)
        if let sorter {
            let time = sorter.sort(
                &reference.value, range, streamTime: pass.streamTimes[stepIndex], pass)
            pass.streamTimes[stepIndex] = time
            retention?.streamTime = time
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
            fresh.removeAll(keepingCapacity: true)
            if let panes {
                panes.find(input, chunk, keys: keys, in: groups, into: &pairs, fresh: &fresh)
                keyIndex?.add(
                    input.events[chunk], panes.paneIDs, of: panes.panes,
                    firstOffset: batch.firstOffset)
                try accumulate(pairs.rows, 0..<pairs.ids.count, pairs.ids, firstOffset)
            } else {
                groups.find(rows: input.rows[chunk], keys: keys, into: &ids, fresh: &fresh)
                keyIndex?.add(
                    input.events[chunk], ids, of: groups, firstOffset: batch.firstOffset)
                try accumulate(input, chunk, ids, firstOffset)
            }
            start = chunk.upperBound
        }
    }

    /// So many rows at once that the records which they touch stay in the processor's cache while
    /// one aggregate after another takes them in.
    private static let chunkRows = 2_048

    private func accumulate(
        _ input: AggregationRows, _ chunk: Range<Int>, _ ids: [UInt32], _ firstOffset: Int64
    ) throws {
        if !isComplete { for id in fresh { try loadOne(id) } }
        markDirty(ids)
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

    /// The key's columns in the order of the key; where there are panes, without the window.
    private func keyColumns(_ input: AggregationRows) -> [KeyColumn] {
        var keys: [KeyColumn] = zip(input.keys, definition.keyKinds).map { column, kind in
            kind == .text || kind == .json ? .texts(column.strings) : .integers(column.integers)
        }
        if let column = sorter?.column { keys.insert(column, at: windowPart) }
        return keys
    }

    private func markDirty(_ ids: [UInt32]) {
        let (base, stride) = (groups.base, groups.recordStride)
        var dirty = dirty
        // Else appending would copy what is there.
        self.dirty = []
        for id in ids {
            let record = base + Int(id) * stride
            let flags = record.load(fromByteOffset: 4, as: UInt32.self)
            if flags & Self.dirtyFlag != 0 { continue }
            record.storeBytes(of: flags | Self.dirtyFlag, toByteOffset: 4, as: UInt32.self)
            dirty.append(id)
        }
        self.dirty = dirty
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

    func write(to transaction: any StoreTransaction, changesAt offset: Offset?) throws {
        try retention?.deleteRows(
            from: store, tableIndex, definition.table, transaction, changesAt: offset)
        if let retention { self.dirty.removeAll { retention.isGone(place($0).windowEnd) } }
        KeyOrder.sort(&self.dirty, in: groups)
        let (dirty, rows, groups) = (dirty, rows, groups)
        if offset == nil, rows.canWriteSideBySide {
            return try transaction.upsertRows(into: tableIndex, count: dirty.count) {
                index, writer in
                prefetchRow(index, of: dirty)
                let record = groups.record(dirty[index])
                try rows.upsert(record, place(of: record), writer)
            }
        }
        let writer = transaction.upsert(into: tableIndex)
        let changes = ChangeLog(
            transaction: transaction, store: store, table: tableIndex, schema: definition.table,
            offset: offset)
        for id in dirty {
            let record = groups.record(id)
            let place = place(id)
            try changes.note {
                rows.keyJSON(record, place)
            } bindKey: {
                rows.bindKey(record, place, $0)
            } after: {
                rows.json(record, place)
            } write: {
                try rows.upsert(record, place, writer)
            }
        }
    }

    /// Asks for the record of a row some places ahead: rows are written in the order of their keys,
    /// which is none that memory knows.
    @inline(__always)
    private func prefetchRow(_ index: Int, of dirty: [UInt32]) {
        guard index + 8 < dirty.count else { return }
        kj_prefetch(groups.record(dirty[index + 8]))
        kj_prefetch(groups.record(dirty[index + 8]) + 64)
    }

    func committed(mayEvict: Bool) {
        for (index, id) in dirty.enumerated() {
            prefetchRow(index, of: dirty)
            groups.record(id).storeBytes(of: Self.storedFlag, toByteOffset: 4, as: UInt32.self)
        }
        dirty.removeAll(keepingCapacity: true)
        if mayEvict, memoryBytes > budgetBytes { forgetAll() }
    }

    private func freeAll() {
        guard rows.ownsMemory else { return }
        for id in 0..<groups.count { rows.free(groups.record(UInt32(id))) }
    }

    // MARK: Spilled rows

    var canSpill: Bool { retention == nil && rows.accumulators.allSatisfy(\.mergesExactly) }

    func spill(keepingMemory: Bool) {
        dirty.removeAll(keepingCapacity: true)
        freeAll()
        // A key that comes again begins anew: none is to be looked up in the store.
        groups.reset(keepingMemory: keepingMemory)
        panes?.reset()
    }

    private func forgetAll() {
        freeAll()
        groups.reset()
        panes?.reset()
        isComplete = false
    }

    func writeSpilled(_ spilled: any SpilledRows, to transaction: any StoreTransaction) throws {
        groups.reset()
        try transaction.merge(
            spilled, into: tableIndex, sideBySide: rows.canWriteSideBySide, telling: nil
        ) { cursors, writer in
            try withUnsafeTemporaryAllocation(
                byteCount: 2 * groups.recordStride, alignment: 16
            ) { memory in
                guard let merged = memory.baseAddress else { return }
                try merge(cursors, into: merged, merged + groups.recordStride)
                defer { rows.free(merged) }
                try rows.upsert(merged, place(of: merged), writer)
            }
        }
        isComplete = false
    }

    /// Makes one record of a key's rows, the earliest first; `later` is room for another record.
    private func merge(
        _ cursors: [any RowCursor], into merged: UnsafeMutableRawPointer,
        _ later: UnsafeMutableRawPointer
    ) throws {
        try load(cursors[0], into: merged)
        do {
            for cursor in cursors.dropFirst() {
                try load(cursor, into: later)
                defer { rows.free(later) }
                try rows.merge(later: later, into: merged)
            }
        } catch {
            rows.free(merged)
            throw error
        }
    }

    /// Reads a row into a record of its own, with its key, whose texts are the cursor's.
    private func load(_ cursor: any RowCursor, into record: UnsafeMutableRawPointer) throws {
        record.initializeMemory(as: UInt8.self, repeating: 0, count: groups.recordStride)
        for (part, column) in definition.table.keyColumns.enumerated() {
            let cell = record + (16 + 16 * part)
            if groups.isText(part) {
                TextCell.setBorrowed(cell, cursor.text(column))
            } else {
                cell.storeBytes(of: cursor.integer(column), as: Int64.self)
            }
        }
        try rows.load(record, cursor)
    }

    // MARK: Reading through

    private func loadOne(_ id: UInt32) throws {
        let found = try store.lookUp(table: tableIndex) { writer in
            rows.bindKey(groups.record(id), place(id), writer)
        } read: { cursor in
            try rows.load(groups.record(id), cursor)
        }
        if found {
            groups.record(id).storeBytes(of: Self.storedFlag, toByteOffset: 4, as: UInt32.self)
        }
    }

    private func loadAll() throws {
        let keyColumns = definition.table.keyColumns
        let key = LoadedKey(parts: keyColumns.count)
        try store.scan(table: tableIndex) { cursor in
            key.load(cursor, keyColumns, isText: groups.isText)
            let (id, _) = groups.find(keys: key.columns)
            try rows.load(groups.record(id), cursor)
            groups.record(id).storeBytes(of: Self.storedFlag, toByteOffset: 4, as: UInt32.self)
        }
        isComplete = true
    }
}
