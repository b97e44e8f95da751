import CKappaJSON

/// The stream time of one step while it goes through a batch: the largest event time that has been
/// met in the partition.
///
/// Every event that has the view's time field moves it, whatever its type and whether or not the view
/// takes it. So whether an event is late does not depend on what a view leaves out.
struct PartitionClock {
    /// In microseconds; `Int64.min` before the first event.
    private(set) var time: Int64
    private let states: UnsafeMutablePointer<UInt8>?
    private let times: UnsafeMutablePointer<Int64>?
    private let others: ArraySlice<kj_column>
    private var next: Int

    /// - Parameters:
    ///   - columns: The batch's columns that hold the view's event times. None where the time is
    ///     computed: then only what the step itself takes counts.
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

    /// Meets the time of an element that the step takes, which may be none of the columns'.
    @inline(__always)
    mutating func meet(_ own: Int64) { time = max(time, own) }
}
