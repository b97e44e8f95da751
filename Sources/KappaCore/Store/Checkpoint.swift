/// What a version commits with its rows: its position, and its counts of events.
package struct Checkpoint: Equatable, Sendable {
    /// The next offset to apply.
    package var offset: Offset
    /// The digest of all event bytes below `offset`, as this version read them.
    package var digest: LogDigest
    package var counters: Counters
    /// How far the event times have come.
    package var streamTimes: StreamTimes

    package init(
        offset: Offset = .zero, digest: LogDigest = .empty, counters: Counters = Counters(),
        streamTimes: StreamTimes = StreamTimes()
    ) {
        self.offset = offset
        self.digest = digest
        self.counters = counters
        self.streamTimes = streamTimes
    }

    /// The offset of the version's first event: each event since then is counted once. It is 0 unless the log had
    /// been trimmed when the version was begun.
    package var began: Offset {
        let counted = counters.applied + counters.filtered + counters.late + counters.dead
        return Offset(offset.rawValue - min(counted, offset.rawValue))
    }
}

/// Counts of events since the version's first. Each event is counted once, as the first that fits of dead, late,
/// applied, filtered.
public struct Counters: Equatable, Sendable {
    /// Events that changed, or could have changed, a row.
    public var applied: UInt64 = 0
    /// Events that the view does not ask for.
    public var filtered: UInt64 = 0
    /// Events that came after their window had closed.
    public var late: UInt64 = 0
    /// Events that the view could not take; see the dead letters.
    public var dead: UInt64 = 0

    /// No events yet.
    public init() {}
}

/// An event that a view could not take, with the reason.
public struct DeadLetter: Equatable, Sendable {
    /// The event's offset in the log.
    public var offset: Offset
    /// Why it could not be taken, in one line.
    public var reason: String
    /// The event's JSON, as appended.
    public var event: String

    /// An event with the reason.
    public init(offset: Offset, reason: String, event: String) {
        self.offset = offset
        self.reason = reason
        self.event = event
    }
}

/// One change of one row, as followers see it.
package struct ChangeRecord: Equatable, Sendable {
    /// The offset after the last event of the commit that made the change.
    package var offset: Offset
    package var table: Int
    /// The row's key and its columns before and after, as JSON texts. The key is an array of the
    /// key's parts; `before` is nil for an insert, `after` for a delete.
    package var key: String
    package var before: String?
    package var after: String?

    package init(offset: Offset, table: Int, key: String, before: String?, after: String?) {
        self.offset = offset
        self.table = table
        self.key = key
        self.before = before
        self.after = after
    }
}
