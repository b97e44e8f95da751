import CKappaJSON

/// The stream time while events go by: the largest event time that has been met in the partition.
///
/// Every event that has one of the view's time fields moves it, whatever its type and whether or not the
/// view takes it. So whether an event is late does not depend on what a view leaves out.
struct StreamClock {
    /// In microseconds; `Int64.min` before the first event.
    private(set) var time: Int64
    private var states: UnsafeMutablePointer<UInt8>?
    private var times: UnsafeMutablePointer<Int64>?
    private var others: ArraySlice<kj_column> = []
    private var next = 0

    init(_ time: Int64) { self.time = time }

    /// - Parameters:
    ///   - columns: The batch's columns that hold the view's event times. None where the time is
    ///     computed: then only what is met itself counts.
    ///   - first: The first event that has not been met.
    init(_ time: Int64, columns: [kj_column], from first: Int) {
        self.time = time
        states = columns.first?.states
        times = columns.first?.integers
        others = columns.dropFirst()
        next = first
    }

    /// Meets all events up to and including this one.
    @inline(__always)
    mutating func advance(through event: Int) {
        guard let states, let times else { return }
        while next <= event {
            if states[next] == UInt8(KJ_VALUE.rawValue) { time = max(time, times[next]) }
            if !others.isEmpty { meetOthers() }
            next += 1
        }
    }

    private mutating func meetOthers() {
        for column in others where column.states[next] == UInt8(KJ_VALUE.rawValue) {
            time = max(time, column.integers[next])
        }
    }

    /// Meets the time of an element that is taken, which may be none of the columns'.
    @inline(__always)
    mutating func meet(_ own: Int64) { time = max(time, own) }
}

/// The clock of a stream that judges its elements before any step does: a join, or a stream that tells which
/// of its elements are late. It is kept with the checkpoint, and goes through readings, which may be taken
/// back.
package final class StreamTimekeeper {
    private var clock: StreamClock
    private let columns: [Int]
    private var batch: EventBatch?
    private var range = 0..<0
    /// The time before the range at hand.
    private var before: Int64

    /// - Parameters:
    ///   - time: In microseconds; `Int64.min` before the first event.
    ///   - columns: The plan's columns that hold the streams' event times. None where the time is computed:
    ///     then only the stream's own elements count.
    package init(_ time: Int64, columns: [Int]) {
        clock = StreamClock(time)
        before = time
        self.columns = columns
    }

    /// The time as of the last event.
    package var time: Int64 { clock.time }

    func load(_ batch: EventBatch) { self.batch = batch }

    /// Begins to go through the events of a range.
    func pass(_ range: Range<Int>) {
        before = clock.time
        self.range = range
        guard let batch else { return }
        clock = StreamClock(
            before, columns: columns.map { batch.times($0) }, from: range.lowerBound)
    }

    /// The time as of an event that makes an element of a time. Events come in log order.
    func time(at event: Int, _ own: Int64) -> Int64 {
        if columns.isEmpty {
            clock.meet(own)
            return clock.time
        }
        clock.advance(through: event)
        return max(clock.time, own)
    }

    /// The events of the range have been there.
    func settle() { clock.advance(through: range.upperBound - 1) }

    /// The range will be passed over again, in smaller ones. A single event has been there, whether
    /// or not it could be taken.
    func undo() { if range.count > 1 { clock = StreamClock(before) } else { settle() } }
}
