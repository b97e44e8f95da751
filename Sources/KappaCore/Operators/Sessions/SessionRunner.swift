import CKappaJSON

/// Runs an aggregation over session windows: groups of one key that grow and merge.
final class SessionRunner: StepRunner {
    private let definition: AggregationDefinition
    private let input: any AggregationInput
    private let store: any RowStore
    private let tableIndex: Int
    private let clock: PartitionClock
    private let gap: Int64
    private let windowIsFirst: Bool
    private let rows: GroupRows
    private let chains: SessionChains
    private let keys: GroupTable
    private let sessions: Sessions
    private let slab: RecordSlab
    private let keyIndex: KeyIndexWriter?
    private let budgetBytes: Int
    private var retention: Retention?

    private var ids: [UInt32] = []
    /// Rows of a chunk whose session is known but whose values are not in its aggregates yet.
    private let pending = PendingRows(capacity: chunkRows)
    private let conditionRows = ChunkRows()

    init(
        _ definition: AggregationDefinition, gap: Int64, input: any AggregationInput,
        store: any RowStore, table index: Int, clock: PartitionClock, keyIndex: KeyIndexWriter?,
        budgetBytes: Int
    ) throws {
        self.definition = definition
        self.gap = gap
        self.input = input
        self.store = store
        tableIndex = index
        self.clock = clock
        self.keyIndex = keyIndex
        self.budgetBytes = budgetBytes
        retention = Retention(definition, clock)
        windowIsFirst = if case .windowStart? = definition.origins.first { true } else { false }
        rows = GroupRows(definition.layout, at: Sessions.stateOffset)
        let stored = try StoredTable(store, index, keyColumns: definition.layout.keyColumns)
        chains = SessionChains(
            keyIsText: definition.keyKinds.map(\.isText), over: stored, rows: rows,
            gap: gap, lateness: definition.latenessMicroseconds)
        (keys, sessions, slab) = (chains.keys, chains.sessions, chains.sessions.slab)
        // If the window's start precedes the key in the row's key, the store cannot look up a key's sessions
        // together.
        if stored.rowsAtFirst > 0, windowIsFirst || stored.rowsAtFirst * 250 < budgetBytes {
            try chains.table.loadAll { try load($1, of: $0) }
        }
    }

    deinit { freeAll() }

    var memoryBytes: Int { chains.memoryBytes + rows.heldBytes.total }
    var dirtyRows: Int { slab.dirty.count + chains.orphans.count }

    // MARK: Applying

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        let reference = input.rows(of: batch, range)
        reference.value.noteRefused(in: pass)
        let input = reference.value
        var running = clock.start(batch, from: range.lowerBound)
        keyIndex?.begin(events: batch.count)
        try take(input, firstOffset: batch.firstOffset, &running, pass)
        running.advance(through: range.upperBound - 1)
        clock.stop(running)
    }

    private func take(
        _ input: AggregationRows, firstOffset: Offset, _ clock: inout StreamClock,
        _ pass: BatchPass
    ) throws {
        guard !input.rows.isEmpty, let times = input.time?.integers else { return }
        let columns = input.keyColumns(definition.keyKinds)
        pending.columns = input.inputs
        pending.firstOffset = Int64(truncatingIfNeeded: firstOffset.rawValue)
        // A late event is marked as late below, which takes precedence.
        pass.markApplied(input.events)
        var start = 0
        while start < input.rows.count {
            let chunk = start..<min(start + Self.chunkRows, input.rows.count)
            chains.table.find(rows: input.rows[chunk], keys: columns, into: &ids)
            try chains.table.readThrough { key in
                try chains.table.scan(key) { try load($0, of: key) }
            }
            try findSessions(input, chunk, times, &clock, pass)
            try addPending()
            keyIndex?.add(input.events[chunk], ids, of: keys, firstOffset: firstOffset)
            start = chunk.upperBound
        }
    }

    /// Rows are taken in chunks, small enough that the keys' records stay in the processor's cache.
    private static let chunkRows = 2_048

    /// Finds the session of each row of a chunk. The rows are added to the aggregates together, or earlier if
    /// a merge needs them.
    private func findSessions(
        _ input: AggregationRows, _ chunk: Range<Int>, _ times: UnsafePointer<Int64>,
        _ clock: inout StreamClock, _ pass: BatchPass
    ) throws {
        let timed = keyIndex?.keepsTimes == true ? keyIndex : nil
        var last: Int32 = -1
        let addPending = { () throws(KappaError) in try self.addPending() }
        for index in chunk {
            let key = ids[index - chunk.lowerBound]
            let row = input.rows[index]
            let event = input.events[index]
            let time = times[Int(row)]
            if let timed, event != last {
                clock.advance(through: Int(event) - 1)
                timed.note(event, streamTimeBefore: clock.time)
                last = event
            }
            clock.advance(through: Int(event))
            clock.meet(time)
            let session = try chains.session(
                for: time, of: key, streamTime: clock.time, passed: clock.least,
                beforeMerge: addPending)
            if let session {
                pending.append(session, row: row, event: event)
            } else {
                pass.markLate(Int(event), definition.late, time: time, streamTime: clock.time)
            }
        }
    }

    /// Adds the pending rows to the aggregates of their sessions.
    private func addPending() throws(KappaError) {
        conditionRows.reset()
        let all = pending.rows(slab.base, stride: slab.stride)
        for (accumulator, columns) in zip(rows.accumulators, pending.columns) {
            let taken = conditionRows.rows(all, columns.mask)
            try accumulator.add(columns, taken, firstOffset: pending.firstOffset)
        }
        pending.removeAll()
    }

    // MARK: Rows

    private func place(_ id: UInt32) -> GroupRows.Place {
        GroupRows.Place(
            windowStart: sessions.start(id), windowEnd: sessions.last(id) &+ gap,
            keyRecord: keys.record(sessions.key(id)), firstKeyPart: 0)
    }

    func write(to transaction: any StoreTransaction) throws {
        try retention?.deleteRows(from: store, tableIndex, definition.table, transaction)
        let dirty = takeSorted()
        let deleter = transaction.delete(from: tableIndex)
        for orphan in chains.orphans {
            let record = keys.record(orphan.key)
            let place = GroupRows.Place(
                windowStart: orphan.start, keyRecord: record, firstKeyPart: 0)
            try rows.delete(record, place, deleter)
        }
        guard rows.canWriteSideBySide else {
            let writer = transaction.upsert(into: tableIndex)
            for id in dirty { try rows.upsert(slab.record(id), place(id), writer) }
            return
        }
        try transaction.upsertRows(into: tableIndex, count: dirty.count) { index, writer in
            prefetchRow(index, of: dirty)
            try rows.upsert(slab.record(dirty[index]), place(dirty[index]), writer)
        }
    }

    /// Prefetches the records of a row some places ahead: rows are written in key order, which is random in
    /// memory.
    @inline(__always)
    private func prefetchRow(_ index: Int, of dirty: [UInt32]) {
        if index + 16 < dirty.count {
            kj_prefetch(slab.record(dirty[index + 16]))
            kj_prefetch(slab.record(dirty[index + 16]) + 64)
        }
        if index + 8 < dirty.count { kj_prefetch(keys.record(sessions.key(dirty[index + 8]))) }
    }

    /// The sessions to be written, in the store's order of their rows.
    private func takeSorted() -> [UInt32] {
        slab.sortDirty { dirty in
            let shown = dirty.filter { retention?.isGone(sessions.last($0) &+ gap) != true }
            return KeyOrder.sorted(
                shown, in: keys, key: sessions.key, start: sessions.start,
                startsFirst: windowIsFirst)
        }
    }

    func committed(mayEvict: Bool) {
        slab.committed { sessions.setStoredStart($0, sessions.start($0)) }
        chains.orphans.removeAll(keepingCapacity: true)
        if mayEvict, memoryBytes > budgetBytes, !windowIsFirst {
            freeAll()
            chains.evict()
        }
    }

    private func freeAll() {
        guard rows.ownsMemory else { return }
        for id in slab.all { rows.free(slab.record(id)) }
    }

    // MARK: Reading through

    private func load(_ cursor: any RowCursor, of key: UInt32) throws {
        let id = chains.load(
            key: key, start: cursor.integer(column(of: .start)),
            last: cursor.integer(column(of: .end)) &- gap)
        try rows.load(slab.record(id), cursor)
    }

    private enum Bound { case start, end }

    private func column(of bound: Bound) -> Int {
        definition.origins.firstIndex {
            switch ($0, bound) {
            case (.windowStart, .start), (.windowEnd, .end): true
            default: false
            }
        } ?? 0
    }
}
