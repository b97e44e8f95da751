import CKappaJSON

/// Runs an aggregation over sliding windows: a row for each time at which a key has an element.
///
/// Elements are kept for as long as a window may need them, each with the aggregates over it alone. When a
/// changed row is written, ``SlidingWindows`` computes it again from them.
final class SlidingRunner: StepRunner {
    private let definition: AggregationDefinition
    private let input: any AggregationInput
    private let store: any RowStore
    private let table: Int
    private let elementsTable: Int
    private let clock: PartitionClock
    private let size: Int64
    /// A window has closed once its end plus this is at most the stream time.
    private let lateness: Int64?
    private let windowIsFirst: Bool
    private let rows: GroupRows
    private let elementRows: GroupRows
    private let keyTable: KeyedTable
    private let keys: GroupTable
    /// The elements. An element is marked as changed if the row of the window that ends with it has changed;
    /// among elements of one time, the first is marked.
    private let elements: SlidingElements
    private var retention: Retention?

    /// Elements not yet in the store, in log order.
    private var added: [UInt32] = []
    /// Those of `added`, by key, whose own windows had closed when they came.
    private var lateElements: [UInt32: [UInt32]] = [:]
    /// Elements that no window needs any more; they are removed after the commit.
    private var expired: [UInt32] = []
    private var ids: [UInt32] = []

    init(
        _ definition: AggregationDefinition, size: Int64, input: any AggregationInput,
        store: any RowStore, table: Int, elements layout: RowLayout, elementsTable: Int,
        clock: PartitionClock
    ) throws {
        self.definition = definition
        self.size = size
        self.input = input
        self.store = store
        self.table = table
        self.elementsTable = elementsTable
        self.clock = clock
        lateness = definition.latenessMicroseconds
        retention = Retention(definition, clock)
        windowIsFirst = if case .windowStart? = definition.origins.first { true } else { false }
        rows = GroupRows(definition.layout, at: SlidingElements.stateOffset)
        elementRows = GroupRows(layout, at: SlidingElements.stateOffset)
        let stored = try StoredTable(store, elementsTable, keyColumns: layout.keyColumns)
        keyTable = KeyedTable(
            keyIsText: definition.keyKinds.map(\.isText), stateBytes: 0, over: stored)
        keys = keyTable.keys
        elements = SlidingElements(stateBytes: rows.stateBytes)
        try loadAll()
    }

    deinit { freeAll() }

    var memoryBytes: Int {
        keyTable.memoryBytes + elements.memoryBytes + elementRows.heldBytes.total
    }
    var dirtyRows: Int { elements.slab.dirty.count + added.count }

    // MARK: Applying

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        if dirtyRows == 0 { try forgetKeys() }
        let reference = input.rows(of: batch, range)
        reference.value.noteRefused(in: pass)
        let input = reference.value
        var running = clock.start(batch, from: range.lowerBound)
        try take(input, firstOffset: batch.firstOffset, &running, pass)
        running.advance(through: range.upperBound - 1)
        clock.stop(running)
    }

    private func take(
        _ input: AggregationRows, firstOffset: Offset, _ clock: inout StreamClock,
        _ pass: BatchPass
    ) throws {
        guard !input.rows.isEmpty, let times = input.time?.integers else { return }
        keyTable.find(
            rows: input.rows[...], keys: input.keyColumns(definition.keyKinds), into: &ids)
        let firstOffset = Int64(truncatingIfNeeded: firstOffset.rawValue)
        var part: Int64 = 0
        for index in 0..<ids.count {
            let event = input.events[index]
            part = index > 0 && input.events[index - 1] == event ? part + 1 : 0
            let row = Int(input.rows[index])
            let time = times[row]
            clock.advance(through: Int(event))
            clock.meet(time)
            if isClosed(time &+ size, at: clock.time) {
                pass.markLate(
                    Int(event), definition.late, time: time, streamTime: clock.time)
                continue
            }
            pass.mark(Int(event), .applied)
            let offset = firstOffset + Int64(event)
            // The windows that it is in are those that no partition's element has seen closed.
            let passed = clock.least
            let (id, place) = elements.insert(
                key: ids[index], time: time, offset: offset, part: part, streamTime: passed)
            added.append(id)
            if isClosed(time, at: passed) { lateElements[ids[index], default: []].append(id) }
            for (accumulator, column) in zip(elementRows.accumulators, input.inputs) {
                try accumulator.add(elements.record(id), column, row, offset: offset)
            }
            touchWindows(of: id, at: place, streamTime: passed)
        }
    }

    /// Whether a window that ends at `end` has closed by a stream time.
    private func isClosed(_ end: Int64, at streamTime: Int64) -> Bool {
        lateness.map { end &+ $0 <= streamTime } ?? false
    }

    /// Marks the rows of the open windows that an element is in as changed: its own, and those that end up to
    /// `size` after it.
    private func touchWindows(of id: UInt32, at place: Int, streamTime: Int64) {
        let (key, time) = (elements.key(id), elements.time(id))
        if !isClosed(time, at: streamTime) { touch(first(of: time, at: place, of: key)) }
        let all = elements.elements(of: key)
        var next = place + 1
        while next < all.count, elements.time(all[next]) &- time <= size {
            let end = elements.time(all[next])
            if !isClosed(end, at: streamTime) { touch(all[next]) }
            next += 1
            while next < all.count, elements.time(all[next]) == end { next += 1 }
        }
    }

    /// The first of a key's elements of one time, by the place of any of them.
    private func first(of time: Int64, at place: Int, of key: UInt32) -> UInt32 {
        let all = elements.elements(of: key)
        if place == 0 || elements.time(all[place - 1]) < time { return all[place] }
        return all[elements.place(from: time, of: key)]
    }

    private func touch(_ id: UInt32) { elements.slab.touch(id) }

    // MARK: Rows

    func write(to transaction: any StoreTransaction) throws {
        try retention?.deleteRows(from: store, table, definition.table, transaction)
        try writeRows(transaction)
        while let until = expiry, let id = elements.popOldest(upTo: until) { expired.append(id) }
        try writeElements(transaction)
    }

    /// Elements of this time or earlier are in no open window; nil if there are none.
    private var expiry: Int64? {
        guard let lateness, clock.least > .min else { return nil }
        let (until, overflow) = clock.least.subtractingReportingOverflow(lateness &+ size)
        return overflow ? nil : until
    }

    private func writeRows(_ transaction: any StoreTransaction) throws {
        let writer = transaction.upsert(into: table)
        try forEachChanged { id, record in
            let end = elements.time(id)
            let place = GroupRows.Place(
                windowStart: end &- size, windowEnd: end,
                keyRecord: keys.record(elements.key(id)), firstKeyPart: 0)
            try rows.upsert(record, place, writer)
        }
    }

    /// Computes the windows that changed, and visits them in the order of their rows.
    private func forEachChanged(
        _ body: (UInt32, UnsafeMutableRawPointer) throws -> Void
    ) throws {
        let changed = elements.slab.dirty.filter { retention?.isGone(elements.time($0)) != true }
        func sorted(startsFirst: Bool) -> [UInt32] {
            KeyOrder.sorted(
                changed, in: keys, key: elements.key, start: elements.time,
                startsFirst: startsFirst)
        }
        let windows = SlidingWindows(elements, rows, size: size, lateness: lateness, lateElements)
        // Even if windows precede keys in the order of the rows, the windows of a key are computed together.
        let byKey = sorted(startsFirst: false)
        guard windowIsFirst, windows.areSwept else {
            for id in windowIsFirst ? sorted(startsFirst: true) : byKey {
                try windows.with(id) { try body(id, $0) }
            }
            return
        }
        let bytes = windows.recordBytes
        let made = UnsafeMutableRawPointer.allocate(
            byteCount: max(1, byKey.count) * bytes, alignment: 16)
        defer { made.deallocate() }
        // Elements are in no chain, so their link is free to hold the place of the computed record.
        for (place, id) in byKey.enumerated() {
            elements.slab.setNext(id, UInt32(place))
            try windows.with(id) { (made + place * bytes).copyMemory(from: $0, byteCount: bytes) }
        }
        for id in sorted(startsFirst: true) {
            try body(id, made + Int(elements.slab.next(id) ?? 0) * bytes)
        }
    }

    // MARK: Elements

    private func place(_ id: UInt32) -> GroupRows.Place {
        GroupRows.Place(
            windowEnd: elements.time(id), offset: elements.offset(id), part: elements.part(id),
            keyRecord: keys.record(elements.key(id)), firstKeyPart: 0)
    }

    private func writeElements(_ transaction: any StoreTransaction) throws {
        let deleter = transaction.delete(from: elementsTable)
        for id in expired.sorted(by: elements.isBefore)
        where elements.slab.has(id, RecordFlags.stored) {
            try elementRows.delete(elements.record(id), place(id), deleter)
        }
        let writer = transaction.upsert(into: elementsTable)
        for id in added {
            if let expiry, elements.time(id) <= expiry { continue }
            try elementRows.upsert(elements.record(id), place(id), writer)
        }
    }

    func committed(mayEvict: Bool) {
        elements.slab.committed()
        for id in added { elements.slab.mark(id, RecordFlags.stored) }
        added.removeAll(keepingCapacity: true)
        lateElements.removeAll(keepingCapacity: true)
        guard let expiry, !expired.isEmpty else { return }
        for id in expired { elementRows.free(elements.record(id)) }
        elements.remove(expired, upTo: expiry)
        expired.removeAll(keepingCapacity: true)
    }

    private func freeAll() {
        guard elementRows.ownsMemory else { return }
        for id in elements.slab.all { elementRows.free(elements.record(id)) }
    }

    // MARK: Reading

    /// Forgets the keys without elements, if most keys are: evicts everything and loads the rest from the
    /// store.
    private func forgetKeys() throws {
        guard keyTable.isWorthCompacting(needed: elements.slab.count) else { return }
        freeAll()
        keyTable.evict()
        elements.reset()
        try loadAll()
    }

    private func loadAll() throws {
        try keyTable.loadAll { id, cursor in
            // Windows that closed before the checkpoint are not computed again, so every stored element
            // counts as in time for the others.
            let element = elements.insert(
                key: id, time: cursor.integer(2), offset: cursor.integer(0),
                part: cursor.integer(1), streamTime: .min
            ).id
            elements.slab.mark(element, RecordFlags.stored)
            try elementRows.load(elements.record(element), cursor)
        }
    }
}
