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
