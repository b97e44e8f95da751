import CKappaJSON

/// The ingestion time of each event of a batch, as a column.
final class IngestionColumn {
    private var times = UnsafeMutablePointer<Int64>.allocate(capacity: 1)
    private var states = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
    private var capacity = 1

    deinit {
        times.deallocate()
        states.deallocate()
    }

    /// Takes in the runs of a block of `count` events.
    func fill(_ runs: [IngestionRun], count: Int) {
        if count > capacity {
            times.deallocate()
            states.deallocate()
            capacity = count
            times = .allocate(capacity: count)
            states = .allocate(capacity: count)
        }
        states.update(repeating: UInt8(KJ_VALUE.rawValue), count: count)
        var event = 0
        for run in runs {
            let end = min(count, event + run.events)
            for index in event..<end { times[index] = run.ingestedAtMicros }
            event = end
        }
        // A block tells it for each of its events; where one did not, the event would have no time.
        for index in event..<count {
            times[index] = 0
            states[index] = UInt8(KJ_MISSING.rawValue)
        }
    }

    /// Valid until the next batch.
    var column: kj_column {
        var column = kj_column()
        column.kind = KJ_TIMESTAMP
        column.states = states
        column.integers = times
        return column
    }
}

/// A column of times in which those that are too far ahead of their events' ingestion are missing.
final class LimitedTimes {
    private var states = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
    private var capacity = 1
    /// Valid until the next batch.
    private(set) var column = kj_column()

    deinit { states.deallocate() }

    func fill(_ times: kj_column, _ ingestion: kj_column, atMostAhead ahead: Int64, count: Int) {
        if count > capacity {
            states.deallocate()
            capacity = count
            states = .allocate(capacity: count)
        }
        column = times
        for event in 0..<count {
            states[event] =
                Self.isAhead(times, ingestion, event, by: ahead)
                ? UInt8(KJ_MISSING.rawValue) : times.states[event]
        }
        column.states = states
    }

    /// Whether an event's time is further ahead of its ingestion than that.
    static func isAhead(
        _ times: kj_column, _ ingestion: kj_column, _ event: Int, by ahead: Int64
    ) -> Bool {
        guard times.states[event] == UInt8(KJ_VALUE.rawValue) else { return false }
        return isAhead(times.integers[event], ingestion, event, by: ahead)
    }

    static func isAhead(
        _ time: Int64, _ ingestion: kj_column, _ event: Int, by ahead: Int64
    ) -> Bool {
        guard ingestion.states[event] == UInt8(KJ_VALUE.rawValue) else { return false }
        let (limit, overflow) = ingestion.integers[event].addingReportingOverflow(ahead)
        return !overflow && time > limit
    }
}
