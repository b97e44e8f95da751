import CKappaJSON

/// Runs an aggregation whose groups never merge: by key, by tumbling window, or by both.
final class AggregationRunner: StepRunner {
    private static let dirtyFlag: UInt32 = 1
    private static let storedFlag: UInt32 = 2

    private let definition: AggregationDefinition
    private let input: any AggregationInput
    private let store: any RowStore
    private let tableIndex: Int
    private let stepIndex: Int
    private let windowSize: Int64?
    /// Which part of the group's key is the window's start.
    private let windowPart: Int
    private let rows: GroupRows
    private let groups: GroupTable
    private let budgetBytes: Int
    /// Whether every row of the store is in memory, so that an unknown key is a new one.
    private var isComplete: Bool

    private var dirty: [UInt32] = []
    private var windowStarts: [Int64] = []
    private var ids: [UInt32] = []
    private var fresh: [UInt32] = []

    init(
        _ definition: AggregationDefinition, input: any AggregationInput, store: any RowStore,
        table: Int, step: Int, budgetBytes: Int
    ) throws {
        self.definition = definition
        self.input = input
        self.store = store
        tableIndex = table
        stepIndex = step
        self.budgetBytes = budgetBytes
        if case .tumbling(let size) = definition.window {
            windowSize = size
        } else {
            windowSize = nil
        }
        var keyIsText = definition.keyKinds.map { $0 == .text || $0 == .json }
        let windowIsFirst = if case .windowStart? = definition.origins.first { true } else { false }
        windowPart = windowIsFirst ? 0 : keyIsText.count
        if windowSize != nil { keyIsText.insert(false, at: windowPart) }
        rows = GroupRows(definition, at: GroupTable.stateOffset(keyParts: keyIsText.count))
        groups = GroupTable(keyIsText: keyIsText, stateBytes: rows.stateBytes)
        let stored = try store.rowCount(table: table)
        isComplete = stored == 0
        if stored > 0, stored * 200 < budgetBytes { try loadAll() }
    }

    deinit { freeAll() }

    var memoryBytes: Int { groups.memoryBytes }
    var dirtyRows: Int { dirty.count }

    // MARK: Applying

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        let reference = input.rows(of: batch, range)
        for (event, reason) in reference.value.dead { pass.kill(event, reason) }
        if let windowSize { cutWindows(&reference.value, windowSize, pass) }
        let input = reference.value
        guard !input.rows.isEmpty else { return }
        pass.markApplied(input.events)
        let (keys, release) = keyColumns(input)
        defer { release() }
        let firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        var start = 0
        while start < input.rows.count {
            let chunk = start..<min(start + Self.chunkRows, input.rows.count)
            try accumulate(input, chunk, keys, firstOffset: firstOffset)
            start = chunk.upperBound
        }
    }

    /// So many rows at once that the records which they touch stay in the processor's cache while
    /// one aggregate after another takes them in.
    private static let chunkRows = 2_048

    private func accumulate(
        _ input: AggregationRows, _ chunk: Range<Int>, _ keys: [KeyColumn], firstOffset: Int64
    ) throws {
        fresh.removeAll(keepingCapacity: true)
        groups.find(rows: input.rows[chunk], keys: keys, into: &ids, fresh: &fresh)
        if !isComplete { for id in fresh { try loadOne(id) } }
        markDirty()
        for (accumulator, column) in zip(rows.accumulators, input.inputs) {
            try accumulator.add(
                column, input, chunk, firstOffset: firstOffset,
                to: GroupedRecords(base: groups.base, stride: groups.recordStride, ids: ids))
        }
    }

    /// Finds each row's window, and takes out the rows whose window has closed.
    private func cutWindows(_ input: inout AggregationRows, _ size: Int64, _ pass: BatchPass) {
        guard let times = input.time?.integers else { return }
        let lateness = definition.latenessMicroseconds
        var streamTime = pass.streamTimes[stepIndex]
        let highest = Int(input.rows.last ?? 0)
        if windowStarts.count <= highest {
            windowStarts = [Int64](repeating: 0, count: max(highest + 1, 1_024))
        }
        var kept = 0
        for index in 0..<input.rows.count {
            let row = input.rows[index]
            let event = input.events[index]
            let time = times[Int(row)]
            streamTime = max(streamTime, time)
            let start = Window.start(of: time, size: size)
            if let lateness, start &+ size &+ lateness <= streamTime {
                pass.mark(Int(event), .late)
                continue
            }
            windowStarts[Int(row)] = start
            input.rows[kept] = row
            input.events[kept] = event
            kept += 1
        }
        input.rows.removeLast(input.rows.count - kept)
        input.events.removeLast(input.events.count - kept)
        pass.streamTimes[stepIndex] = streamTime
    }

    /// The key's columns in the order of the key; `release` ends the use of the windows' starts.
    private func keyColumns(_ input: AggregationRows) -> ([KeyColumn], () -> Void) {
        var keys: [KeyColumn] = zip(input.keys, definition.keyKinds).map { column, kind in
            kind == .text || kind == .json ? .texts(column.strings) : .integers(column.integers)
        }
        guard windowSize != nil else { return (keys, {}) }
        let copy = UnsafeMutablePointer<Int64>.allocate(capacity: windowStarts.count)
        copy.initialize(from: windowStarts, count: windowStarts.count)
        keys.insert(.integers(copy), at: windowPart)
        return (keys, { copy.deallocate() })
    }

    private func markDirty() {
        for id in ids {
            let flags = groups.record(id).load(fromByteOffset: 4, as: UInt32.self)
            if flags & Self.dirtyFlag != 0 { continue }
            groups.record(id).storeBytes(
                of: flags | Self.dirtyFlag, toByteOffset: 4, as: UInt32.self)
            dirty.append(id)
        }
    }

    // MARK: Rows

    private func place(_ id: UInt32) -> GroupRows.Place {
        var place = GroupRows.Place(keyRecord: groups.record(id), firstKeyPart: 0)
        if let windowSize {
            place.windowStart = groups.integerKey(id, windowPart)
            place.windowEnd = place.windowStart &+ windowSize
            place.firstKeyPart = windowPart == 0 ? 1 : 0
        }
        return place
    }

    func write(to transaction: any StoreTransaction, changesAt offset: Offset?) throws {
        KeyOrder.sort(&dirty, in: groups)
        let writer = transaction.upsert(into: tableIndex)
        let changes = ChangeLog(
            transaction: transaction, store: store, table: tableIndex, schema: definition.table,
            offset: offset)
        for (index, id) in dirty.enumerated() {
            prefetchRow(index)
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
    private func prefetchRow(_ index: Int) {
        guard index + 8 < dirty.count else { return }
        kj_prefetch(groups.record(dirty[index + 8]))
        kj_prefetch(groups.record(dirty[index + 8]) + 64)
    }

    func committed(mayEvict: Bool) {
        for id in dirty {
            groups.record(id).storeBytes(of: Self.storedFlag, toByteOffset: 4, as: UInt32.self)
        }
        dirty.removeAll(keepingCapacity: true)
        if mayEvict, memoryBytes > budgetBytes {
            freeAll()
            groups.reset()
            isComplete = false
        }
    }

    private func freeAll() {
        guard rows.ownsMemory else { return }
        for id in 0..<groups.count { rows.free(groups.record(UInt32(id))) }
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
        try store.scan(table: tableIndex) { cursor in
            let key = LoadedKey(cursor, keyColumns, isText: groups.isText)
            let (id, _) = withExtendedLifetime(key) { groups.find(keys: key.columns) }
            try rows.load(groups.record(id), cursor)
            groups.record(id).storeBytes(of: Self.storedFlag, toByteOffset: 4, as: UInt32.self)
        }
        isComplete = true
    }
}
