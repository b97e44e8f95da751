import CKappaJSON

/// The stream time as the events of one time partition pass: the largest event time seen so far.
///
/// Every event that has one of the view's time fields advances it, whatever its type and whether or not the
/// view takes it. So whether an event is late does not depend on which events a view filters out.
struct StreamClock {
    /// What the partition's own events have reached; `Int64.min` before the first.
    private(set) var reached: Int64
    /// What all partitions had passed before these events.
    private let passed: Int64
    /// What all other partitions have reached; `Int64.max` if there are none.
    private let others: Int64
    private var states: UnsafeMutablePointer<UInt8>?
    private var times: UnsafeMutablePointer<Int64>?
    private var further: ArraySlice<kj_column> = []
    private var next = 0

    /// - Parameters:
    ///   - columns: The batch's columns that hold the view's event times. Empty if the time is computed: then
    ///     only times passed to ``meet(_:)`` count.
    ///   - first: The first event not yet seen.
    init(
        reached: Int64, passed: Int64, others: Int64, columns: [kj_column], from first: Int
    ) {
        self.reached = reached
        self.passed = passed
        self.others = others
        states = columns.first?.states
        times = columns.first?.integers
        further = columns.dropFirst()
        next = first
    }

    /// The stream time of the partition, in microseconds: an event whose windows have closed by it is late. A partition
    /// begins where the others are, since nothing can be added to windows that are final.
    @inline(__always)
    var time: Int64 { max(reached, passed) }

    /// The time that all partitions have passed: windows that have closed by it are final.
    @inline(__always)
    var least: Int64 { max(passed, min(others, time)) }

    /// Takes in the times of all events up to and including this one.
    @inline(__always)
    mutating func advance(through event: Int) {
        guard let states, let times else { return }
        while next <= event {
            if states[next] == UInt8(KJ_VALUE.rawValue) { reached = max(reached, times[next]) }
            if !further.isEmpty { meetFurther() }
            next += 1
        }
    }

    private mutating func meetFurther() {
        for column in further where column.states[next] == UInt8(KJ_VALUE.rawValue) {
            reached = max(reached, column.integers[next])
        }
    }

    /// Takes in the time of an element, if times are computed. A time in a column was taken in with its event; that of
    /// a pair may be of an event in another partition.
    @inline(__always)
    mutating func meet(_ own: Int64) { if states == nil { reached = max(reached, own) } }
}

/// The clock of a stream that judges lateness before any step does: a join, or a stream that passes the
/// lateness of its elements to a closure. A reading that is undone sets it back.
package final class StreamTimekeeper {
    private let clock: PartitionClock
    private var running: StreamClock
    private var batch: EventBatch?
    private var range = 0..<0

    init(_ clock: PartitionClock) {
        self.clock = clock
        running = clock.start(nil, from: 0)
    }

    /// What all partitions have passed as of the last event.
    var least: Int64 { clock.least }

    func load(_ batch: EventBatch) { self.batch = batch }

    /// Begins a pass over the events of a range.
    func pass(_ range: Range<Int>) {
        self.range = range
        running = clock.start(batch, from: range.lowerBound)
    }

    /// The partition's stream time at an event that makes an element with the time `own`, and what all partitions
    /// have passed then. Events come in log order.
    func times(at event: Int, _ own: Int64) -> (time: Int64, least: Int64) {
        running.advance(through: event)
        running.meet(own)
        return (running.time, running.least)
    }

    /// Advances past all events of the range.
    func settle() {
        running.advance(through: range.upperBound - 1)
        clock.stop(running)
    }

    /// Sets the clock back, because the range will be read again in smaller ranges. A range of one event is
    /// not read again: its time counts even if the event failed.
    func undo() { if range.count <= 1 { settle() } }
}
