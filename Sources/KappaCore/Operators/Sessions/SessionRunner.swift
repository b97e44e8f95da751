import CKappaJSON

/// Runs an aggregation over session windows: groups of one key that grow and merge.
final class SessionRunner: StepRunner {
    private let definition: AggregationDefinition
    private let input: any AggregationInput
    private let store: any RowStore
    private let tableIndex: Int
    private let stepIndex: Int
    private let gap: Int64
    private let windowIsFirst: Bool
    private let rows: GroupRows
    private let chains: SessionChains
    private let keys: GroupTable
    private let sessions: SessionSlab
    private let keyIndex: KeyIndexWriter?
    private let budgetBytes: Int
    private var retention: Retention?
    private var isComplete: Bool

    private var ids: [UInt32] = []
    private var fresh: [UInt32] = []
    /// The rows of a chunk that have a session but are not in its aggregates yet.
    private let pending = PendingRows(capacity: chunkRows)
    private let conditionRows = ChunkRows()

    init(
        _ definition: AggregationDefinition, gap: Int64, input: any AggregationInput,
        store: any RowStore, table: Int, step: Int, keyIndex: KeyIndexWriter?, budgetBytes: Int
    ) throws {
        self.definition = definition
        self.gap = gap
        self.input = input
        self.store = store
        tableIndex = table
        stepIndex = step
        self.keyIndex = keyIndex
        self.budgetBytes = budgetBytes
        retention = Retention(definition)
        windowIsFirst = if case .windowStart? = definition.origins.first { true } else { false }
        rows = GroupRows(definition.layout, at: SessionSlab.stateOffset)
        chains = SessionChains(
            keyIsText: definition.keyKinds.map { $0 == .text || $0 == .json }, rows: rows,
            gap: gap, lateness: definition.latenessMicroseconds)
        (keys, sessions) = (chains.keys, chains.sessions)
        let stored = try store.rowCount(table: table)
        isComplete = stored == 0
        // Where the window stands before the key, a key's sessions cannot be looked up together.
        if stored > 0, windowIsFirst || stored * 250 < budgetBytes { try loadAll() }
    }

    deinit { freeAll() }

    var memoryBytes: Int { chains.memoryBytes + rows.heldBytes.total }
    var dirtyRows: Int { chains.dirty.count + chains.orphans.count }

    // MARK: Applying

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        let reference = input.rows(of: batch, range)
        for (event, reason) in reference.value.dead { pass.kill(event, reason) }
        for event in reference.value.late { pass.mark(event, .late) }
        let input = reference.value
        var clock = StreamClock(
            pass.streamTimes[stepIndex], columns: input.clockColumns, from: range.lowerBound)
        keyIndex?.begin(events: batch.count)
        try take(input, firstOffset: batch.firstOffset, &clock, pass)
        clock.advance(through: range.upperBound - 1)
        pass.streamTimes[stepIndex] = clock.time
        retention?.streamTime = clock.time
    }

    private func take(
        _ input: AggregationRows, firstOffset: Offset, _ clock: inout StreamClock,
        _ pass: BatchPass
    ) throws {
        guard !input.rows.isEmpty, let times = input.time?.integers else { return }
        let columns: [KeyColumn] = zip(input.keys, definition.keyKinds).map { column, kind in
            kind == .text || kind == .json ? .texts(column.strings) : .integers(column.integers)
        }
        pending.columns = input.inputs
        pending.firstOffset = Int64(truncatingIfNeeded: firstOffset.rawValue)
        // Being late counts for more.
        pass.markApplied(input.events)
        var start = 0
        while start < input.rows.count {
            let chunk = start..<min(start + Self.chunkRows, input.rows.count)
            fresh.removeAll(keepingCapacity: true)
            keys.find(rows: input.rows[chunk], keys: columns, into: &ids, fresh: &fresh)
            if !isComplete { for key in fresh { try loadSessions(of: key) } }
            try findSessions(input, chunk, times, &clock, pass)
            try addPending()
            keyIndex?.add(input.events[chunk], ids, of: keys, firstOffset: firstOffset)
            start = chunk.upperBound
        }
    }

    /// So many rows at once that the keys' records stay in the processor's cache.
    private static let chunkRows = 2_048

    /// Finds the session of each row of a chunk. Rows wait to be added together, until a merge needs
    /// them.
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
                for: time, of: key, streamTime: clock.time, beforeMerge: addPending)
            if let session {
                pending.append(session, row: row, event: event)
            } else {
                pass.markLate(Int(event), definition.late, time: time, streamTime: clock.time)
            }
        }
    }

    /// Adds the rows that wait to the aggregates of their sessions.
    private func addPending() throws(KappaError) {
        conditionRows.reset()
        let all = pending.rows(sessions.base, stride: sessions.stride)
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

    func write(to transaction: any StoreTransaction, changesAt offset: Offset?) throws {
        try retention?.deleteRows(
            from: store, tableIndex, definition.table, transaction, changesAt: offset)
        let dirty = takeSorted()
        let changes = ChangeLog(
            transaction: transaction, store: store, table: tableIndex, schema: definition.table,
            offset: offset)
        let deleter = transaction.delete(from: tableIndex)
        for orphan in chains.orphans {
            let record = keys.record(orphan.key)
            let place = GroupRows.Place(
                windowStart: orphan.start, keyRecord: record, firstKeyPart: 0)
            try note(changes, record, place, isDeleted: true) {
                rows.bindKey(record, place, deleter)
                try deleter.execute()
            }
        }
        if offset == nil, rows.canWriteSideBySide {
            return try transaction.upsertRows(into: tableIndex, count: dirty.count) {
                index, writer in
                prefetchRow(index, of: dirty)
                try rows.upsert(sessions.record(dirty[index]), place(dirty[index]), writer)
            }
        }
        let writer = transaction.upsert(into: tableIndex)
        for id in dirty {
            let record = sessions.record(id)
            let place = place(id)
            try note(changes, record, place, isDeleted: false) {
                try rows.upsert(record, place, writer)
            }
        }
    }

    /// Asks for the records of a row some places ahead: rows are written in the order of their keys,
    /// which is none that memory knows.
    @inline(__always)
    private func prefetchRow(_ index: Int, of dirty: [UInt32]) {
        if index + 16 < dirty.count {
            kj_prefetch(sessions.record(dirty[index + 16]))
            kj_prefetch(sessions.record(dirty[index + 16]) + 64)
        }
        if index + 8 < dirty.count { kj_prefetch(keys.record(sessions.key(dirty[index + 8]))) }
    }

    private func note(
        _ changes: ChangeLog, _ record: UnsafeMutableRawPointer, _ place: GroupRows.Place,
        isDeleted: Bool, write: () throws -> Void
    ) throws {
        try changes.note {
            rows.keyJSON(record, place)
        } bindKey: {
            rows.bindKey(record, place, $0)
        } after: {
            isDeleted ? nil : rows.json(record, place)
        } write: {
            try write()
        }
    }

    /// The sessions to be written, sorted as the store orders their rows.
    private func takeSorted() -> [UInt32] {
        let dirty = chains.dirty.filter {
            sessions.isDirty($0) && retention?.isGone(sessions.last($0) &+ gap) != true
        }
        chains.dirty = KeyOrder.sorted(
            dirty, in: keys, key: sessions.key, start: sessions.start, startsFirst: windowIsFirst)
        return chains.dirty
    }

    func committed(mayEvict: Bool) {
        for (index, id) in chains.dirty.enumerated() {
            if index + 16 < chains.dirty.count {
                kj_prefetch(sessions.record(chains.dirty[index + 16]))
            }
            sessions.setDirty(id, false)
            sessions.setStoredStart(id, sessions.start(id))
        }
        sessions.recycle()
        chains.dirty.removeAll(keepingCapacity: true)
        chains.orphans.removeAll(keepingCapacity: true)
        if mayEvict, memoryBytes > budgetBytes, !windowIsFirst {
            freeAll()
            chains.reset()
            isComplete = false
        }
    }

    private func freeAll() {
        guard rows.ownsMemory else { return }
        for id in sessions.used { rows.free(sessions.record(id)) }
    }

    // MARK: Reading through

    private func loadAll() throws {
        let keyColumns = definition.table.columns.indices.filter {
            if case .key = definition.origins[$0] { true } else { false }
        }
        let key = LoadedKey(parts: keyColumns.count)
        try store.scan(table: tableIndex) { cursor in
            key.load(cursor, keyColumns, isText: keys.isText)
            let (id, _) = keys.find(keys: key.columns)
            try load(cursor, of: id)
        }
        isComplete = true
    }

    private func loadSessions(of key: UInt32) throws {
        try store.scan(table: tableIndex, prefix: keys.keyParts) { writer in
            var sink = StoreSink(writer)
            let place = GroupRows.Place(keyRecord: keys.record(key), firstKeyPart: 0)
            rows.emitKeyParts(place, to: &sink)
        } _: { cursor in
            try load(cursor, of: key)
        }
    }

    private func load(_ cursor: any RowCursor, of key: UInt32) throws {
        let id = chains.load(
            key: key, start: cursor.integer(column(of: .start)),
            last: cursor.integer(column(of: .end)) &- gap)
        try rows.load(sessions.record(id), cursor)
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
