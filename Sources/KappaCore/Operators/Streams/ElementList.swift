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
    private(set) var needsRetry = false

    var count: Int { rows.count }

    func clear() {
        rows.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
        failures.removeAll(keepingCapacity: true)
        needsRetry = false
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

    /// Appends elements that stand in the given rows, each with its event.
    func append(rows new: Range<Int>, of newEvents: PlainList<Int32>) {
        rows.append(contentsOf: new.lazy.map { Int32(truncatingIfNeeded: $0) })
        events.append(contentsOf: new.lazy.map { newEvents[$0] })
    }

    /// Appends elements that stand in the given rows; each is of the event of the old element that it was
    /// made of.
    func append(rows new: Range<Int>, _ origins: UnsafePointer<Int32>, of oldEvents: [Int32]) {
        rows.append(contentsOf: new.lazy.map { Int32(truncatingIfNeeded: $0) })
        events.append(contentsOf: new.lazy.map { oldEvents[Int(origins[$0])] })
    }

    /// Appends elements of another list.
    func append(_ other: ElementList, _ elements: Range<Int>) {
        rows.append(contentsOf: other.rows[elements])
        events.append(contentsOf: other.events[elements])
    }

    /// Appends those elements of another list in whose rows a mask says so.
    func append(_ other: ElementList, _ elements: Range<Int>, where mask: RowMask) {
        let (otherRows, otherEvents, isIn) = (other.rows, other.events, mask.bytes)
        var end = rows.count
        rows.append(contentsOf: repeatElement(0, count: elements.count))
        events.append(contentsOf: repeatElement(0, count: elements.count))
        // No branch depends on an element: each is written, and the next one over it if it is not in.
        rows.withUnsafeMutableBufferPointer { rows in
            events.withUnsafeMutableBufferPointer { events in
                for index in elements {
                    rows[end] = otherRows[index]
                    events[end] = otherEvents[index]
                    end &+= isIn[Int(otherRows[index])] != 0 ? 1 : 0
                }
            }
        }
        rows.removeLast(rows.count - end)
        events.removeLast(events.count - end)
    }

    /// How many elements are of events before one.
    func count(before event: Int32) -> Int { events.count(before: event) }

    func truncate(to count: Int) {
        guard count < rows.count else { return }
        rows.removeLast(rows.count - count)
        events.removeLast(events.count - count)
    }

    /// An event cannot be taken.
    /// - Parameter remembers: Whether the stream may have remembered something of it.
    func fail(_ event: Int, _ outcome: EventOutcome, remembers: Bool) {
        failures.append((event, outcome))
        if remembers { needsRetry = true }
    }

    /// Takes over what failed in the stream before.
    func adoptFailures(of other: ElementList, from mark: Int) {
        failures.append(contentsOf: other.failures[mark...])
        if other.needsRetry { needsRetry = true }
    }

    /// Forgets failures, to try again.
    func forgetFailures(from mark: Int) {
        failures.removeLast(failures.count - mark)
        needsRetry = false
    }

    /// Something of the last reading has to be taken back.
    func requireRetry() { needsRetry = true }

    /// A reading begins.
    func begin() { needsRetry = false }
}

extension ElementList {
    /// Visits elements event by event.
    func forEachEvent(
        _ elements: Range<Int>, _ body: (_ event: Int32, _ elements: Range<Int>) -> Void
    ) {
        var start = elements.lowerBound
        while start < elements.upperBound {
            let event = events[start]
            var end = start + 1
            while end < elements.upperBound, events[end] == event { end += 1 }
            body(event, start..<end)
            start = end
        }
    }
}

extension RandomAccessCollection<Int32> where Index == Int {
    /// How many of some ascending events, counted from index 0, are before one.
    func count(before event: Int32) -> Int {
        var count = count
        while count > 0, self[count - 1] >= event { count -= 1 }
        return count
    }
}
