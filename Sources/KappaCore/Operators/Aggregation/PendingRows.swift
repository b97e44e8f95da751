/// Rows of a batch whose records are known, and which wait to be taken in together.
final class PendingRows {
    private let ids: UnsafeMutablePointer<UInt32>
    private let rows: UnsafeMutablePointer<Int32>
    private let events: UnsafeMutablePointer<Int32>
    private let capacity: Int
    /// What the aggregates take, and the offset of the batch's first event.
    var columns: [AggregateColumns] = []
    var firstOffset: Int64 = 0
    private var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        ids = .allocate(capacity: capacity)
        rows = .allocate(capacity: capacity)
        events = .allocate(capacity: capacity)
    }

    deinit {
        ids.deallocate()
        rows.deallocate()
        events.deallocate()
    }

    /// Adds a row; there are at most as many as the capacity.
    @inline(__always)
    func append(_ id: UInt32, row: Int32, event: Int32) {
        precondition(count < capacity, "more rows wait than there is room for")
        ids[count] = id
        rows[count] = row
        events[count] = event
        count += 1
    }

    func removeAll() { count = 0 }

    /// What waits, with records of `stride` bytes from `base` on.
    func rows(_ base: UnsafeMutableRawPointer, stride: Int) -> GroupedRows {
        GroupedRows(
            base: base, stride: stride, count: count, ids: ids, rows: rows, events: events)
    }
}
