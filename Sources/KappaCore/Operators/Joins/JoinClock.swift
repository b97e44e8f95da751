import CKappaJSON

/// The stream time by which a join judges what is late, event by event.
///
/// Every event of the log that has one of the streams' time fields moves it, whether or not a stream
/// takes it. Where the times are computed, only the join's own elements do.
final class JoinClock {
    private let clock: StreamClock
    private let columns: [Int]
    private var batch: EventBatch?
    /// The time as of each event of the range at hand.
    private var times: [Int64] = []
    private var range = 0..<0
    /// The time before the range at hand.
    private var before: Int64 = .min

    /// - Parameter columns: The plan's columns that hold the streams' event times.
    init(_ clock: StreamClock, columns: [Int]) {
        self.clock = clock
        self.columns = columns
    }

    /// The time as of the last event.
    var time: Int64 { clock.time }

    func load(_ batch: EventBatch) { self.batch = batch }

    /// Passes over the events of a range.
    func pass(_ range: Range<Int>) {
        before = clock.time
        self.range = range
        guard let batch, !columns.isEmpty else { return }
        let columns = columns.map { batch.times($0) }
        times.removeAll(keepingCapacity: true)
        times.append(contentsOf: repeatElement(before, count: range.count))
        var now = before
        times.withUnsafeMutableBufferPointer { times in
            for event in range {
                for column in columns where column.states[event] == UInt8(KJ_VALUE.rawValue) {
                    now = max(now, column.integers[event])
                }
                times[event - range.lowerBound] = now
            }
        }
        clock.time = now
    }

    /// The range will be passed over again, in smaller ones. A single event has been there, whether
    /// or not it could be taken.
    func undo() { if range.count > 1 { clock.time = before } }

    /// The time as of an event that makes an element of a time.
    func time(at event: Int, _ own: Int64) -> Int64 {
        if columns.isEmpty {
            clock.time = max(clock.time, own)
            return clock.time
        }
        return max(times[event - range.lowerBound], own)
    }
}
