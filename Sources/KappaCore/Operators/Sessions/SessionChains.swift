/// The sessions of every key; finds the session that an event belongs to.
///
/// Each key has a chain of sessions, the one with the latest last event first. So, if there is a lateness,
/// the open sessions come before the closed ones, which no longer change: those that have closed in all time
/// partitions. Two open sessions are always more than the gap apart. A chain that is too long to walk gets an index.
final class SessionChains {
    /// One record for each key; its state is the newest session's number plus one, 0 for none, followed by
    /// the time of that session's last event.
    let table: KeyedTable
    let keys: GroupTable
    let sessions: Sessions
    /// Stored rows to delete, because their session has moved its start or merged into another.
    var orphans: [Orphan] = []
    private let rows: GroupRows
    private let gap: Int64
    private let lateness: Int64?
    /// The offset in a key's record of the number of its newest session.
    private let newestPlace: Int
    /// Indexes for keys that have many sessions, the one with the earliest last event first.
    private var indexes: [UInt32: OrderedNumbers] = [:]
    private var indexedSessions = 0
    /// After this many steps along a chain, its key gets an index.
    private let mostSteps: Int

    struct Orphan {
        var key: UInt32
        var start: Int64
    }

    init(
        keyIsText: [Bool], over stored: StoredTable? = nil, rows: GroupRows, gap: Int64,
        lateness: Int64?, mostSteps: Int = 64
    ) {
        table = KeyedTable(keyIsText: keyIsText, stateBytes: 16, over: stored)
        keys = table.keys
        newestPlace = table.stateOffset
        sessions = Sessions(stateBytes: rows.stateBytes)
        self.rows = rows
        self.gap = gap
        self.lateness = lateness
        self.mostSteps = mostSteps
    }

    /// Returns the session of an event at `time`, extended to include it; nil if the event is late.
    ///
    /// As in Flink, an event starts as a session of its own, which merges with the open ones that it overlaps
    /// or touches; it is late if the resulting session has closed in the event's partition.
    /// - Parameters:
    ///   - streamTime: That of the event's partition.
    ///   - passed: The time that all partitions have passed.
    ///   - beforeMerge: Called before two sessions merge. When it returns, the aggregates of both must
    ///     include all their events.
    func session(
        for time: Int64, of key: UInt32, streamTime: Int64, passed: Int64,
        beforeMerge: () throws(KappaError) -> Void
    ) throws(KappaError) -> UInt32? {
        // A session has closed if its last event is at this time or before: in this partition, and in all.
        let late = lateness.map { streamTime &- $0 &- gap } ?? .min
        let closed = lateness.map { passed > .min ? passed &- $0 &- gap : .min } ?? .min
        if let newest = newest(of: key) {
            let last = newestLast(of: key)
            // Later than all sessions of the key by more than the gap: no search is needed.
            if time > last &+ gap {
                return time > late ? begin(key, time, older: newest, newer: nil) : nil
            }
            // At the end of the newest session, as most events are: it cannot reach another session.
            if time >= last, last > closed {
                if time <= late { return nil }
                touch(newest)
                if time > last {
                    sessions.setLast(newest, time)
                    link(newest, after: nil, of: key)
                }
                return newest
            }
        }
        let (current, newer) = neighbours(of: key) {
            sessions.last($0) > closed && time < sessions.start($0) &- gap
        }
        if let id = current, sessions.last(id) > closed, time <= sessions.last(id) &+ gap {
            if max(time, sessions.last(id)) <= late { return nil }
            if time <= closed, time < sessions.start(id), isTaken(time, key, after: id) {
                return nil
            }
            touch(id)
            return try grow(id, to: time, newer: newer, closed: closed, beforeMerge)
        }
        // A newer session is more than the gap away, or the search would have found it.
        return time > late ? begin(key, time, older: current, newer: newer) : nil
    }

    /// Adds a session between its neighbours.
    private func begin(_ key: UInt32, _ time: Int64, older: UInt32?, newer: UInt32?) -> UInt32 {
        let id = sessions.insert(key: key, time: time)
        put(id, into: key, older: older, newer: newer)
        touch(id)
        return id
    }

    /// Whether a closed session begins at exactly this time. A row's key is the group's key and the start, so
    /// no other session may begin there.
    private func isTaken(_ time: Int64, _ key: UInt32, after id: UInt32) -> Bool {
        var current = sessions.older(id)
        // A session whose last event is earlier than this time does not begin at it.
        while let closed = current, sessions.last(closed) >= time {
            if sessions.start(closed) == time { return true }
            current = sessions.older(closed)
        }
        return false
    }

    /// Extends a session to a time, and merges it into the older one if it now reaches that.
    private func grow(
        _ id: UInt32, to time: Int64, newer: UInt32?, closed: Int64,
        _ beforeMerge: () throws(KappaError) -> Void
    ) throws(KappaError) -> UInt32 {
        if time < sessions.start(id) {
            if let stored = sessions.storedStart(id), stored == sessions.start(id) {
                orphans.append(Orphan(key: sessions.key(id), start: stored))
            }
            sessions.setStart(id, time)
            if let older = sessions.older(id), sessions.last(older) > closed,
                time &- sessions.last(older) <= gap
            {
                touch(older)
                try beforeMerge()
                return try merge(id, into: older, newer: newer)
            }
        } else if time > sessions.last(id) {
            // It does not reach the newer session, or the search would have found that one for the event.
            sessions.setLast(id, time)
            if newer == nil { link(id, after: nil, of: sessions.key(id)) }
        }
        return id
    }

    /// Merges a session into the next older one, and removes it.
    private func merge(
        _ id: UInt32, into older: UInt32, newer: UInt32?
    ) throws(KappaError) -> UInt32 {
        for accumulator in rows.accumulators {
            try accumulator.merge(sessions.slab.record(id), into: sessions.slab.record(older))
        }
        let key = sessions.key(id)
        removeFromIndex(id, of: key)
        sessions.setLast(older, max(sessions.last(older), sessions.last(id)))
        sessions.setStart(older, min(sessions.start(older), sessions.start(id)))
        link(older, after: newer, of: key)
        if let start = sessions.storedStart(id) {
            orphans.append(Orphan(key: key, start: start))
        }
        rows.free(sessions.slab.record(id))
        sessions.slab.remove(id)
        return older
    }

    // MARK: Chains

    var memoryBytes: Int {
        table.memoryBytes + sessions.slab.memoryBytes
            + indexedSessions * 2 * MemoryLayout<UInt32>.stride
    }

    /// Forgets all sessions and keys; the store holds them.
    func evict() {
        sessions.slab.reset()
        table.evict()
        indexes = [:]
        indexedSessions = 0
    }

    /// Returns, as `newer`, the oldest of the key's sessions for which `isNewer` holds, and, as `older`, the
    /// next older session.
    /// - Parameter isNewer: Must hold for the newest sessions down to some point, and for none older than
    ///   that.
    private func neighbours(
        of key: UInt32, where isNewer: (UInt32) -> Bool
    ) -> (older: UInt32?, newer: UInt32?) {
        if let index = indexes[key] {
            let place = index.place { !isNewer($0) }
            return (index.number(before: place), index.number(at: place))
        }
        var newer: UInt32?
        var current = newest(of: key)
        var steps = 0
        while let id = current, isNewer(id) {
            if steps == mostSteps {
                makeIndex(of: key)
                return neighbours(of: key, where: isNewer)
            }
            newer = id
            current = sessions.older(id)
            steps += 1
        }
        return (current, newer)
    }

    private func makeIndex(of key: UInt32) {
        var chain: [UInt32] = []
        var current = newest(of: key)
        while let id = current {
            chain.append(id)
            current = sessions.older(id)
        }
        indexes[key] = OrderedNumbers(chain.reversed())
        indexedSessions += chain.count
    }

    /// No two sessions of a key have the same last event time: once a session has closed, an event at its
    /// last time is late, or joins an open session, which ends later.
    private func removeFromIndex(_ id: UInt32, of key: UInt32) {
        guard let place = indexes[key]?.place(where: { sessions.last($0) < sessions.last(id) })
        else { return }
        indexes[key]?.remove(at: place)
        indexedSessions -= 1
    }

    /// Links a session between its neighbours.
    private func put(_ id: UInt32, into key: UInt32, older: UInt32?, newer: UInt32?) {
        sessions.setOlder(id, older)
        link(id, after: newer, of: key)
        guard let place = indexes[key]?.place(where: { sessions.last($0) <= sessions.last(id) })
        else { return }
        indexes[key]?.insert(id, at: place)
        indexedSessions += 1
    }

    func newest(of key: UInt32) -> UInt32? {
        let word = keys.record(key).load(fromByteOffset: newestPlace, as: UInt32.self)
        return word == 0 ? nil : word - 1
    }

    /// The time of the last event of a key's newest session.
    private func newestLast(of key: UInt32) -> Int64 {
        keys.record(key).load(fromByteOffset: newestPlace + 8, as: Int64.self)
    }

    /// Links a session after a newer one, or makes it the newest. Must be called again when the last event of
    /// the newest session changes.
    private func link(_ id: UInt32, after newer: UInt32?, of key: UInt32) {
        if let newer { return sessions.setOlder(newer, id) }
        let record = keys.record(key)
        record.storeBytes(of: id + 1, toByteOffset: newestPlace, as: UInt32.self)
        record.storeBytes(of: sessions.last(id), toByteOffset: newestPlace + 8, as: Int64.self)
    }

    @inline(__always)
    private func touch(_ id: UInt32) { sessions.slab.touch(id) }

    /// Adds a stored session to its key's chain, at its place by the last event.
    func load(key: UInt32, start: Int64, last: Int64) -> UInt32 {
        let id = sessions.insert(key: key, time: start)
        sessions.setLast(id, last)
        sessions.setStoredStart(id, start)
        // Rows of one key come in the order of their starts, so most go to the front.
        let (older, newer) = neighbours(of: key) { sessions.last($0) > last }
        put(id, into: key, older: older, newer: newer)
        return id
    }
}

/// The fields of sessions. They follow the header of a record, and the aggregates' states follow them.
struct Sessions {
    /// Bytes before the aggregates' states: the header, start, last, and stored start.
    static let stateOffset = 48
    let slab: RecordSlab

    init(stateBytes: Int) { slab = RecordSlab(recordBytes: Self.stateOffset + stateBytes) }

    /// Adds a session of one event.
    func insert(key: UInt32, time: Int64) -> UInt32 {
        let id = slab.insert(key: key)
        setStart(id, time)
        setLast(id, time)
        return id
    }

    @inline(__always)
    func key(_ id: UInt32) -> UInt32 { slab.key(id) }
    @inline(__always)
    func start(_ id: UInt32) -> Int64 { slab.record(id).load(fromByteOffset: 16, as: Int64.self) }
    func setStart(_ id: UInt32, _ time: Int64) {
        slab.record(id).storeBytes(of: time, toByteOffset: 16, as: Int64.self)
    }
    /// The time of the last event.
    @inline(__always)
    func last(_ id: UInt32) -> Int64 { slab.record(id).load(fromByteOffset: 24, as: Int64.self) }
    func setLast(_ id: UInt32, _ time: Int64) {
        slab.record(id).storeBytes(of: time, toByteOffset: 24, as: Int64.self)
    }
    /// The start under which the store holds the session's row; nil if it holds none.
    func storedStart(_ id: UInt32) -> Int64? {
        guard slab.has(id, RecordFlags.stored) else { return nil }
        return slab.record(id).load(fromByteOffset: 32, as: Int64.self)
    }
    func setStoredStart(_ id: UInt32, _ start: Int64) {
        slab.record(id).storeBytes(of: start, toByteOffset: 32, as: Int64.self)
        slab.mark(id, RecordFlags.stored)
    }
    /// The next older session of the same key.
    @inline(__always)
    func older(_ id: UInt32) -> UInt32? { slab.next(id) }
    func setOlder(_ id: UInt32, _ older: UInt32?) { slab.setNext(id, older) }
}
