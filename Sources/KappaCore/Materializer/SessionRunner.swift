import CKappaJSON

/// Runs an aggregation over session windows: groups of one key that grow and merge.
///
/// Each key has a chain of sessions, newest first; two of a chain are always more than the gap apart.
final class SessionRunner: StepRunner {
    private let definition: AggregationDefinition
    private let input: any AggregationInput
    private let store: any RowStore
    private let tableIndex: Int
    private let stepIndex: Int
    private let gap: Int64
    private let windowIsFirst: Bool
    private let rows: GroupRows
    /// One record for each key; its state is the newest session's number plus one, 0 for none.
    private let keys: GroupTable
    private let sessions: SessionSlab
    private let budgetBytes: Int
    private var isComplete: Bool

    private var dirty: [UInt32] = []
    private var ids: [UInt32] = []
    private var fresh: [UInt32] = []
    /// Rows of the store whose session has moved its start or merged into another.
    private var orphans: [Orphan] = []

    private struct Orphan {
        var key: UInt32
        var start: Int64
    }

    init(
        _ definition: AggregationDefinition, gap: Int64, input: any AggregationInput,
        store: any RowStore, table: Int, step: Int, budgetBytes: Int
    ) throws {
        self.definition = definition
        self.gap = gap
        self.input = input
        self.store = store
        tableIndex = table
        stepIndex = step
        self.budgetBytes = budgetBytes
        windowIsFirst = if case .windowStart? = definition.origins.first { true } else { false }
        rows = GroupRows(definition, at: SessionSlab.stateOffset)
        keys = GroupTable(
            keyIsText: definition.keyKinds.map { $0 == .text || $0 == .json }, stateBytes: 8)
        sessions = SessionSlab(stateBytes: rows.stateBytes)
        let stored = try store.rowCount(table: table)
        isComplete = stored == 0
        // Where the window stands before the key, a key's sessions cannot be looked up together.
        if stored > 0, windowIsFirst || stored * 250 < budgetBytes { try loadAll() }
    }

    deinit { freeAll() }

    var memoryBytes: Int { keys.memoryBytes + sessions.memoryBytes }
    var dirtyRows: Int { dirty.count + orphans.count }

    // MARK: Applying

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        let reference = input.rows(of: batch, range)
        for event in reference.value.late { pass.mark(event, .late) }
        for (event, reason) in reference.value.dead { pass.kill(event, reason) }
        let input = reference.value
        guard !input.rows.isEmpty, let times = input.time?.integers else { return }
        let columns: [KeyColumn] = zip(input.keys, definition.keyKinds).map { column, kind in
            kind == .text || kind == .json ? .texts(column.strings) : .integers(column.integers)
        }
        let firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        var start = 0
        while start < input.rows.count {
            let chunk = start..<min(start + Self.chunkRows, input.rows.count)
            fresh.removeAll(keepingCapacity: true)
            keys.find(rows: input.rows[chunk], keys: columns, into: &ids, fresh: &fresh)
            if !isComplete { for key in fresh { try loadSessions(of: key) } }
            for index in 0..<ids.count {
                prefetch(index)
                try add(
                    input, chunk.lowerBound + index, times, of: ids[index],
                    firstOffset: firstOffset, pass)
            }
            start = chunk.upperBound
        }
    }

    /// So many rows at once that the keys' records stay in the processor's cache.
    private static let chunkRows = 2_048

    /// Asks for the session that a row some places ahead will look at first.
    @inline(__always)
    private func prefetch(_ index: Int) {
        guard index + 8 < ids.count, let newest = newest(of: ids[index + 8]) else { return }
        kj_prefetch(sessions.record(newest))
        kj_prefetch(sessions.record(newest) + 64)
    }

    /// Takes one row in.
    private func add(
        _ input: AggregationRows, _ index: Int, _ times: UnsafePointer<Int64>, of key: UInt32,
        firstOffset: Int64, _ pass: BatchPass
    ) throws(KappaError) {
        let row = Int(input.rows[index])
        let event = Int(input.events[index])
        let time = times[row]
        pass.streamTimes[stepIndex] = max(pass.streamTimes[stepIndex], time)
        guard let session = try session(for: time, of: key, pass) else {
            return pass.mark(event, .late)
        }
        pass.mark(event, .applied)
        let record = sessions.record(session)
        for (accumulator, column) in zip(rows.accumulators, input.inputs) {
            try accumulator.add(record, column, row, offset: firstOffset + Int64(event))
        }
    }

    /// The session that an event at `time` belongs to, grown to hold it; nil if it has closed.
    private func session(
        for time: Int64, of key: UInt32, _ pass: BatchPass
    ) throws(KappaError) -> UInt32? {
        var newer: UInt32?
        var current = newest(of: key)
        while let id = current, time < sessions.start(id) &- gap {
            newer = id
            current = sessions.older(id)
        }
        if let id = current, time <= sessions.last(id) &+ gap {
            if isClosed(max(time, sessions.last(id)), pass) { return nil }
            touch(id)
            return try grow(id, to: time, newer: newer)
        }
        if isClosed(time, pass) { return nil }
        // A newer session is more than the gap away, or the walk would have stopped at it.
        let id = sessions.insert(key: key, time: time)
        sessions.setOlder(id, current)
        link(id, behind: newer, of: key)
        touch(id)
        return id
    }

    private func isClosed(_ last: Int64, _ pass: BatchPass) -> Bool {
        guard let lateness = definition.latenessMicroseconds else { return false }
        return last &+ gap &+ lateness <= pass.streamTimes[stepIndex]
    }

    /// Stretches a session to a time, and merges it with a neighbour that it now reaches.
    private func grow(
        _ id: UInt32, to time: Int64, newer: UInt32?
    ) throws(KappaError) -> UInt32 {
        if time < sessions.start(id) {
            if let stored = sessions.storedStart(id), stored == sessions.start(id) {
                orphans.append(Orphan(key: sessions.key(id), start: stored))
            }
            sessions.setStart(id, time)
            if let older = sessions.older(id), time &- sessions.last(older) <= gap {
                touch(older)
                return try merge(newer: id, into: older, newestBefore: newer)
            }
        } else if time > sessions.last(id) {
            sessions.setLast(id, time)
            if let newer, sessions.start(newer) &- time <= gap {
                touch(newer)
                let before = newerNeighbour(of: newer)
                return try merge(newer: newer, into: id, newestBefore: before)
            }
        }
        return id
    }

    /// Puts what `newer` holds into the next older session `id`, and takes `newer` away.
    private func merge(
        newer: UInt32, into id: UInt32, newestBefore: UInt32?
    ) throws(KappaError) -> UInt32 {
        for accumulator in rows.accumulators {
            try accumulator.merge(sessions.record(newer), into: sessions.record(id))
        }
        sessions.setLast(id, max(sessions.last(id), sessions.last(newer)))
        sessions.setStart(id, min(sessions.start(id), sessions.start(newer)))
        link(id, behind: newestBefore, of: sessions.key(id))
        if let start = sessions.storedStart(newer) {
            orphans.append(Orphan(key: sessions.key(newer), start: start))
        }
        rows.free(sessions.record(newer))
        sessions.remove(newer)
        return id
    }

    private func newerNeighbour(of id: UInt32) -> UInt32? {
        var newer: UInt32?
        var current = newest(of: sessions.key(id))
        while let at = current, at != id {
            newer = at
            current = sessions.older(at)
        }
        return newer
    }

    private func newest(of key: UInt32) -> UInt32? {
        let word = keys.record(key).load(
            fromByteOffset: GroupTable.stateOffset(keyParts: keys.keyParts), as: UInt32.self)
        return word == 0 ? nil : word - 1
    }

    private func link(_ id: UInt32, behind newer: UInt32?, of key: UInt32) {
        if let newer { return sessions.setOlder(newer, id) }
        keys.record(key).storeBytes(
            of: id + 1, toByteOffset: GroupTable.stateOffset(keyParts: keys.keyParts),
            as: UInt32.self)
    }

    private func touch(_ id: UInt32) {
        if sessions.isDirty(id) { return }
        sessions.setDirty(id, true)
        dirty.append(id)
    }

    // MARK: Rows

    private func place(_ id: UInt32) -> GroupRows.Place {
        GroupRows.Place(
            windowStart: sessions.start(id), windowEnd: sessions.last(id) &+ gap,
            keyRecord: keys.record(sessions.key(id)), firstKeyPart: 0)
    }

    func write(to transaction: any StoreTransaction, changesAt offset: Offset?) throws {
        dirty.removeAll { !sessions.isDirty($0) }
        sortDirty()
        let changes = ChangeLog(
            transaction: transaction, store: store, table: tableIndex, schema: definition.table,
            offset: offset)
        let deleter = transaction.delete(from: tableIndex)
        for orphan in orphans {
            let record = keys.record(orphan.key)
            let place = GroupRows.Place(
                windowStart: orphan.start, keyRecord: record, firstKeyPart: 0)
            try note(changes, record, place, isDeleted: true) {
                rows.bindKey(record, place, deleter)
                try deleter.execute()
            }
        }
        let writer = transaction.upsert(into: tableIndex)
        for (index, id) in dirty.enumerated() {
            prefetchRow(index)
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
    private func prefetchRow(_ index: Int) {
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

    /// Sorts the sessions to be written as the store orders their rows. Each key is looked at once:
    /// sessions are sorted by their keys' ranks.
    private func sortDirty() {
        var ranks = [UInt32](repeating: .max, count: keys.count)
        var used: [UInt32] = []
        for id in dirty where ranks[Int(sessions.key(id))] == .max {
            ranks[Int(sessions.key(id))] = 0
            used.append(sessions.key(id))
        }
        KeyOrder.sort(&used, in: keys)
        for (rank, key) in used.enumerated() { ranks[Int(key)] = UInt32(rank) }
        var sort = KeySort(dirty)
        if windowIsFirst {
            sort.sortByIntegers { Int64(ranks[Int(sessions.key($0))]) }
            sort.sortByIntegers { sessions.start($0) }
        } else {
            sort.sortByIntegers { sessions.start($0) }
            sort.sortByIntegers { Int64(ranks[Int(sessions.key($0))]) }
        }
        dirty = sort.ids
    }

    func committed(mayEvict: Bool) {
        for id in dirty {
            sessions.setDirty(id, false)
            sessions.setStoredStart(id, sessions.start(id))
        }
        sessions.recycle()
        dirty.removeAll(keepingCapacity: true)
        orphans.removeAll(keepingCapacity: true)
        if mayEvict, memoryBytes > budgetBytes, !windowIsFirst {
            freeAll()
            sessions.reset()
            keys.reset()
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

    /// Rows of one key come oldest first: each becomes the newest of its chain.
    private func load(_ cursor: any RowCursor, of key: UInt32) throws {
        let start = cursor.integer(column(of: .start))
        let id = sessions.insert(key: key, time: start)
        sessions.setLast(id, cursor.integer(column(of: .end)) &- gap)
        sessions.setStoredStart(id, start)
        sessions.setOlder(id, newest(of: key))
        link(id, behind: nil, of: key)
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
