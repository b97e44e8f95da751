/// The elements that a reader has made from the loaded batch, in log order.
final class ElementList {
    /// The row of each element in its reader.
    private(set) var rows: [Int32] = []
    /// The event of each element, as an index into the batch.
    private(set) var events: [Int32] = []
    /// The events that failed. The stream has taken none of their elements.
    private(set) var failures: [(event: Int, outcome: EventOutcome)] = []
    /// Whether a failed event may have changed the stream's state, so that the current reading must be undone
    /// and retried.
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

    /// Appends elements whose rows are the indices of their events.
    func append(events new: [Int32]) {
        rows.append(contentsOf: new)
        events.append(contentsOf: new)
    }

    /// Appends elements in the given rows, each with its event.
    func append(rows new: Range<Int>, of newEvents: PlainList<Int32>) {
        rows.append(contentsOf: new.lazy.map { Int32(truncatingIfNeeded: $0) })
        events.append(contentsOf: new.lazy.map { newEvents[$0] })
    }

    /// Appends elements in the given rows; each belongs to the event of the old element that it was made
    /// from.
    func append(rows new: Range<Int>, _ origins: UnsafePointer<Int32>, of oldEvents: [Int32]) {
        rows.append(contentsOf: new.lazy.map { Int32(truncatingIfNeeded: $0) })
        events.append(contentsOf: new.lazy.map { oldEvents[Int(origins[$0])] })
    }

    /// Appends elements of another list.
    func append(_ other: ElementList, _ elements: Range<Int>) {
        rows.append(contentsOf: other.rows[elements])
        events.append(contentsOf: other.events[elements])
    }

    /// Appends the elements of another list for whose rows a mask is set.
    func append(_ other: ElementList, _ elements: Range<Int>, where mask: RowMask) {
        let (otherRows, otherEvents, isIn) = (other.rows, other.events, mask.bytes)
        var end = rows.count
        rows.append(contentsOf: repeatElement(0, count: elements.count))
        events.append(contentsOf: repeatElement(0, count: elements.count))
        // Writes each element, and overwrites it with the next if its mask is not set, so that no branch
        // depends on an element.
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

    /// How many elements belong to events before this one.
    func count(before event: Int32) -> Int { events.count(before: event) }

    func truncate(to count: Int) {
        guard count < rows.count else { return }
        rows.removeLast(rows.count - count)
        events.removeLast(events.count - count)
    }

    /// Records that an event has failed.
    /// - Parameter remembers: Whether the event may have changed the stream's state.
    func fail(_ event: Int, _ outcome: EventOutcome, remembers: Bool) {
        failures.append((event, outcome))
        if remembers { needsRetry = true }
    }

    /// Adds the failures of the upstream.
    func adoptFailures(of other: ElementList, from mark: Int) {
        failures.append(contentsOf: other.failures[mark...])
        if other.needsRetry { needsRetry = true }
    }

    /// Forgets failures, before a retry.
    func forgetFailures(from mark: Int) {
        failures.removeLast(failures.count - mark)
        needsRetry = false
    }

    /// Requires that the current reading be undone and retried.
    func requireRetry() { needsRetry = true }

    /// Begins a reading.
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
    /// In a collection of events in ascending order, how many come before this one.
    func count(before event: Int32) -> Int {
        var count = count
        while count > 0, self[count - 1] >= event { count -= 1 }
        return count
    }
}
