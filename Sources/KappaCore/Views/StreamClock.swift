import CKappaJSON

/// The time by which a stream judges what is late: the largest event time of the partition.
///
/// Every event that has the stream's time field counts, of whatever type it is and whether or not
/// the stream takes it; and so do the times of the stream's own elements.
package final class StreamClock {
    /// The largest time of the elements that were met, and of the batches before.
    private var met: Int64
    /// The largest time of the partition as of the batch's last event.
    private var end: Int64
    private let partition = PartitionTimes()
    private var times: UnsafePointer<Int64>?

    package init(_ time: Int64) {
        met = time
        end = time
    }

    /// As of the last event, in microseconds; `Int64.min` before the first.
    package var time: Int64 { max(met, end) }

    /// Takes the events of a batch that are in `range` as those that the other calls are about.
    func load(_ batch: EventBatch, _ range: Range<Int>, _ columns: [Int]) {
        met = time
        times = partition.times(batch, range, columns, from: met)
        if let times, let last = range.last { end = times[last] }
    }

    /// The time as of an event, itself included.
    func time(at event: Int) -> Int64 { times.map { max(met, $0[event]) } ?? met }

    /// Meets an element of that time.
    func meet(_ elementTime: Int64) { met = max(met, elementTime) }

    /// What was met so far, for ``forget(since:)``.
    var mark: Int64 { met }

    /// Elements that were met since then do not count: their event was not taken.
    func forget(since mark: Int64) { met = mark }
}

/// The largest event time of the partition as of each event of a batch.
final class PartitionTimes {
    private var times = UnsafeMutableBufferPointer<Int64>.allocate(capacity: 0)

    deinit { times.deallocate() }

    /// For each event in `range` the largest value that `columns` hold up to it and in itself, at
    /// the index of the event; nil where no column holds times. Valid until the next call.
    /// - Parameter start: The largest time before the range.
    func times(
        _ batch: EventBatch, _ range: Range<Int>, _ columns: [Int], from start: Int64
    ) -> UnsafePointer<Int64>? {
        if columns.isEmpty || range.isEmpty { return nil }
        if times.count < range.upperBound {
            times.deallocate()
            times = .allocate(capacity: max(range.upperBound, 2 * times.count))
        }
        for event in range { times[event] = start }
        for column in columns { raise(to: batch.columns[column], range) }
        return times.baseAddress.map { UnsafePointer($0) }
    }

    private func raise(to column: kj_column, _ range: Range<Int>) {
        guard let states = column.states, let values = column.integers else { return }
        let times = times
        var largest = Int64.min
        for event in range {
            if states[event] == UInt8(KJ_VALUE.rawValue) { largest = max(largest, values[event]) }
            times[event] = max(times[event], largest)
        }
    }
}
