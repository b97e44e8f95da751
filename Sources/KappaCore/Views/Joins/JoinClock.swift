import CKappaJSON

/// The stream time by which a join judges what is late, event by event.
///
/// Every event of the log that has one of the streams' time fields moves it, whether or not a stream
/// takes it. Where the times are computed, only the join's own elements do.
final class JoinClock {
    private let clock: StreamClock
    private let columns: [Int]
    /// The time as of each event of the range at hand.
    private var times: [Int64] = []
    private var first = 0

    /// - Parameter columns: The plan's columns that hold the streams' event times.
    init(_ clock: StreamClock, columns: [Int]) {
        self.clock = clock
        self.columns = columns
    }

    /// The time as of the last event.
    var time: Int64 { clock.time }

    /// Passes over the events of a range.
    func pass(_ batch: EventBatch?, _ range: Range<Int>) {
        guard let batch, !columns.isEmpty else { return }
        let columns = columns.map { batch.times($0) }
        first = range.lowerBound
        times.removeAll(keepingCapacity: true)
        for event in range {
            for column in columns where column.states[event] == UInt8(KJ_VALUE.rawValue) {
                clock.time = max(clock.time, column.integers[event])
            }
            times.append(clock.time)
        }
    }

    /// The time as of an event that makes an element of a time.
    func time(at event: Int, _ own: Int64) -> Int64 {
        if columns.isEmpty {
            clock.time = max(clock.time, own)
            return clock.time
        }
        return max(times[event - first], own)
    }
}
