/// Which elements a reader has made of the loaded batch, in log order.
final class ElementList {
    /// Where each element stands with its reader.
    private(set) var rows: [Int32] = []
    /// The event of each element, as an index into the batch.
    private(set) var events: [Int32] = []
    /// The events of which the stream could not take all elements; it has taken none of them.
    private(set) var failures: [(event: Int, outcome: EventOutcome)] = []
    /// Whether a failed event has left traces in what the stream remembers, so that the last
    /// reading has to be taken back.
    private(set) var isSpoilt = false

    var count: Int { rows.count }

    func clear() {
        rows.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
        failures.removeAll(keepingCapacity: true)
        isSpoilt = false
    }

    @inline(__always)
    func append(row: Int, event: Int32) {
        rows.append(Int32(truncatingIfNeeded: row))
        events.append(event)
    }

    /// Appends elements that stand where their events do.
    func append(events new: [Int32]) {
        rows.append(contentsOf: new)
        events.append(contentsOf: new)
    }

    /// Appends elements of another list.
    func append(_ other: ElementList, _ elements: Range<Int>) {
        rows.append(contentsOf: other.rows[elements])
        events.append(contentsOf: other.events[elements])
    }

    /// Appends those elements of another list in whose rows a mask says so.
    func append(_ other: ElementList, _ elements: Range<Int>, where mask: RowMask) {
        let (otherRows, otherEvents) = (other.rows, other.events)
        for index in elements where mask.bytes[Int(otherRows[index])] != 0 {
            rows.append(otherRows[index])
            events.append(otherEvents[index])
        }
    }

    /// How many elements are of events before one.
    func count(before event: Int32) -> Int {
        var count = events.count
        while count > 0, events[count - 1] >= event { count -= 1 }
        return count
    }

    func truncate(to count: Int) {
        guard count < rows.count else { return }
        rows.removeLast(rows.count - count)
        events.removeLast(events.count - count)
    }

    /// An event cannot be taken.
    /// - Parameter remembers: Whether the stream may have remembered something of it.
    func fail(_ event: Int, _ outcome: EventOutcome, remembers: Bool) {
        failures.append((event, outcome))
        if remembers { isSpoilt = true }
    }

    /// Takes over what failed in the stream before.
    func adoptFailures(of other: ElementList, from mark: Int) {
        failures.append(contentsOf: other.failures[mark...])
        if other.isSpoilt { isSpoilt = true }
    }

    /// Forgets failures, to try again.
    func forgetFailures(from mark: Int) {
        failures.removeLast(failures.count - mark)
        isSpoilt = false
    }

    /// Something of the last reading has to be taken back.
    func spoil() { isSpoilt = true }

    /// A reading begins.
    func begin() { isSpoilt = false }
}
