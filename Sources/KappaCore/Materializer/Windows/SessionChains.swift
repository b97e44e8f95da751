/// The sessions of every key, and which of them an event goes into.
///
/// Each key has a chain of sessions, the one with the latest last event first. So with a lateness the
/// open sessions stand before those that have closed, which nothing touches any more. Two that are
/// open are always more than the gap apart.
final class SessionChains {
    /// One record for each key; its state is the newest session's number plus one, 0 for none, and
    /// behind it the time of that session's last event.
    let keys: GroupTable
    let sessions: SessionSlab
    /// The sessions that have changed since the last commit, and some that are gone.
    var dirty: [UInt32] = []
    /// Rows of the store whose session has moved its start or merged into another.
    var orphans: [Orphan] = []
    private let rows: GroupRows
    private let gap: Int64
    private let lateness: Int64?
    /// Where a key's record tells its newest session.
    private let newestPlace: Int

    struct Orphan {
        var key: UInt32
        var start: Int64
    }

    init(keyIsText: [Bool], rows: GroupRows, gap: Int64, lateness: Int64?) {
        keys = GroupTable(keyIsText: keyIsText, stateBytes: 16)
        newestPlace = GroupTable.stateOffset(keyParts: keyIsText.count)
        sessions = SessionSlab(stateBytes: rows.stateBytes)
        self.rows = rows
        self.gap = gap
        self.lateness = lateness
    }

    /// The session that an event at `time` belongs to, grown to hold it; nil where the event is late.
    ///
    /// As in Flink, an event makes a session of its own, which merges with the open ones that it
    /// overlaps or touches; it is late if what comes out of that has closed.
    /// - Parameter beforeMerge: Called before two sessions become one: both must hold all their events
    ///   by then.
    func session(
        for time: Int64, of key: UInt32, streamTime: Int64,
        beforeMerge: () throws(KappaError) -> Void
    ) throws(KappaError) -> UInt32? {
        // A session has closed if its last event is at this time or before.
        let closed = lateness.map { streamTime &- $0 &- gap } ?? .min
        var newer: UInt32?
        var current = newest(of: key)
        if let newest = current {
            let last = newestLast(of: key)
            // Behind all sessions of the key, and out of their reach: none of them is looked at.
            if time > last &+ gap {
                return time > closed ? begin(key, time, older: newest, newer: nil) : nil
            }
            // Where the newest session ends, as most events are: it reaches no other one.
            if time >= last, last > closed {
                touch(newest)
                if time > last {
                    sessions.setLast(newest, time)
                    link(newest, behind: nil, of: key)
                }
                return newest
            }
        }
        while let id = current, sessions.last(id) > closed, time < sessions.start(id) &- gap {
            newer = id
            current = sessions.older(id)
        }
        if let id = current, sessions.last(id) > closed, time <= sessions.last(id) &+ gap {
            if time <= closed, time < sessions.start(id), isTaken(time, key, after: id) {
                return nil
            }
            touch(id)
            return try grow(id, to: time, newer: newer, closed: closed, beforeMerge)
        }
        // A newer session is more than the gap away, or the walk would have stopped at it.
        return time > closed ? begin(key, time, older: current, newer: newer) : nil
    }

    /// A new session between its neighbours.
    private func begin(_ key: UInt32, _ time: Int64, older: UInt32?, newer: UInt32?) -> UInt32 {
        let id = sessions.insert(key: key, time: time)
        sessions.setOlder(id, older)
        link(id, behind: newer, of: key)
        touch(id)
        return id
    }

    /// Whether a session that has closed begins at this very time: a row is known by its key and its
    /// start, so no other session may begin there.
    private func isTaken(_ time: Int64, _ key: UInt32, after id: UInt32) -> Bool {
        var current = sessions.older(id)
        while let closed = current {
            if sessions.start(closed) == time { return true }
            current = sessions.older(closed)
        }
        return false
    }

    /// Stretches a session to a time, and merges it with a neighbour that it now reaches.
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
                return try merge(newer: id, into: older, newestBefore: newer)
            }
        } else if time > sessions.last(id) {
            sessions.setLast(id, time)
            guard let newer else {
                link(id, behind: nil, of: sessions.key(id))
                return id
            }
            if sessions.start(newer) &- time <= gap {
                touch(newer)
                try beforeMerge()
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

    func newest(of key: UInt32) -> UInt32? {
        let word = keys.record(key).load(fromByteOffset: newestPlace, as: UInt32.self)
        return word == 0 ? nil : word - 1
    }

    /// The time of the last event of a key's newest session.
    private func newestLast(of key: UInt32) -> Int64 {
        keys.record(key).load(fromByteOffset: newestPlace + 8, as: Int64.self)
    }

    /// Puts a session behind a newer one, or makes it the newest. To be called again when the newest
    /// one's last event changes.
    private func link(_ id: UInt32, behind newer: UInt32?, of key: UInt32) {
        if let newer { return sessions.setOlder(newer, id) }
        let record = keys.record(key)
        record.storeBytes(of: id + 1, toByteOffset: newestPlace, as: UInt32.self)
        record.storeBytes(of: sessions.last(id), toByteOffset: newestPlace + 8, as: Int64.self)
    }

    private func touch(_ id: UInt32) {
        if sessions.isDirty(id) { return }
        sessions.setDirty(id, true)
        dirty.append(id)
    }

    /// Puts a stored session into its key's chain, at its place by the last event.
    func load(key: UInt32, start: Int64, last: Int64) -> UInt32 {
        let id = sessions.insert(key: key, time: start)
        sessions.setLast(id, last)
        sessions.setStoredStart(id, start)
        // Rows of one key come by their starts: most belong to the front.
        var newer: UInt32?
        var older = newest(of: key)
        while let at = older, sessions.last(at) > last {
            newer = at
            older = sessions.older(at)
        }
        sessions.setOlder(id, older)
        link(id, behind: newer, of: key)
        return id
    }
}
