import CKappaJSON

/// The stream time as events pass: the largest event time seen so far in the partition.
///
/// Every event that has one of the view's time fields advances it, whatever its type and whether or not the
/// view takes it. So whether an event is late does not depend on which events a view filters out.
struct StreamClock {
    /// In microseconds; `Int64.min` before the first event.
    private(set) var time: Int64
    private var states: UnsafeMutablePointer<UInt8>?
    private var times: UnsafeMutablePointer<Int64>?
    private var others: ArraySlice<kj_column> = []
    private var next = 0

    init(_ time: Int64) { self.time = time }

    /// - Parameters:
    ///   - columns: The batch's columns that hold the view's event times. Empty if the time is computed: then
    ///     only times passed to ``meet(_:)`` count.
    ///   - first: The first event not yet seen.
    init(_ time: Int64, columns: [kj_column], from first: Int) {
        self.time = time
        states = columns.first?.states
        times = columns.first?.integers
        others = columns.dropFirst()
        next = first
    }

    /// Takes in the times of all events up to and including this one.
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

    /// Takes in the time of an element, which need not be in a column.
    @inline(__always)
    mutating func meet(_ own: Int64) { time = max(time, own) }
}

/// The clock of a stream that judges lateness before any step does: a join, or a stream that passes the
/// lateness of its elements to a closure. Its time is kept with the checkpoint, and a reading that is undone
/// sets it back.
package final class StreamTimekeeper {
    private var clock: StreamClock
    private let columns: [Int]
    private var batch: EventBatch?
    private var range = 0..<0
    /// The time before the current range.
    private var before: Int64

    /// - Parameters:
    ///   - time: In microseconds; `Int64.min` before the first event.
    ///   - columns: The plan's columns that hold the streams' event times. Empty if the time is computed:
    ///     then only the stream's own elements count.
    package init(_ time: Int64, columns: [Int]) {
        clock = StreamClock(time)
        before = time
        self.columns = columns
    }

    /// The time as of the last event.
    package var time: Int64 { clock.time }

    func load(_ batch: EventBatch) { self.batch = batch }

    /// Begins a pass over the events of a range.
    func pass(_ range: Range<Int>) {
        before = clock.time
        self.range = range
        guard let batch else { return }
        clock = StreamClock(
            before, columns: columns.map { batch.times($0) }, from: range.lowerBound)
    }

    /// The stream time at an event that makes an element with the time `own`. Events come in log order.
    func time(at event: Int, _ own: Int64) -> Int64 {
        if columns.isEmpty {
            clock.meet(own)
            return clock.time
        }
        clock.advance(through: event)
        return max(clock.time, own)
    }

    /// Advances past all events of the range.
    func settle() { clock.advance(through: range.upperBound - 1) }

    /// Sets the clock back, because the range will be read again in smaller ranges. A range of one event is
    /// not read again: its time counts even if the event failed.
    func undo() { if range.count > 1 { clock = StreamClock(before) } else { settle() } }
}
