/// Rows of a batch and their records, in log order.
struct GroupedRows {
    let base: UnsafeMutableRawPointer
    let stride: Int
    let count: Int
    let ids: UnsafePointer<UInt32>
    /// Indices into the columns.
    let rows: UnsafePointer<Int32>
    /// The event of each row, as an index into the batch.
    let events: UnsafePointer<Int32>

    @inline(__always)
    func record(_ index: Int) -> UnsafeMutableRawPointer { base + Int(ids[index]) * stride }
}

/// The rows of one chunk of a batch that meet the aggregates' conditions. Aggregates with the same condition
/// share its rows, which are found once.
final class ChunkRows {
    private final class Kept {
        var mask: UnsafePointer<UInt8>?
        var count = 0
        private var capacity: Int
        private(set) var ids: UnsafeMutablePointer<UInt32>
        private(set) var rows: UnsafeMutablePointer<Int32>
        private(set) var events: UnsafeMutablePointer<Int32>

        init(capacity: Int) {
            self.capacity = capacity
            ids = .allocate(capacity: capacity)
            rows = .allocate(capacity: capacity)
            events = .allocate(capacity: capacity)
        }

        deinit { deallocate() }

        private func deallocate() {
            ids.deallocate()
            rows.deallocate()
            events.deallocate()
        }

        func take(_ all: GroupedRows, _ mask: UnsafePointer<UInt8>) {
            self.mask = mask
            reserve(all.count)
            let (ids, rows, events) = (ids, rows, events)
            var kept = 0
            // Writes each row, but counts it only if the mask lets it through: this needs no branch that
            // could be mispredicted.
            for index in 0..<all.count {
                let row = all.rows[index]
                rows[kept] = row
                ids[kept] = all.ids[index]
                events[kept] = all.events[index]
                kept += Int(mask[Int(row)])
            }
            count = kept
        }

        private func reserve(_ rows: Int) {
            guard rows > capacity else { return }
            deallocate()
            capacity = rows
            ids = .allocate(capacity: capacity)
            self.rows = .allocate(capacity: capacity)
            events = .allocate(capacity: capacity)
        }
    }

    private var kept: [Kept] = []
    private var used = 0

    /// Begins another chunk.
    func reset() { used = 0 }

    /// The rows of the chunk `all` that a mask lets through; valid until ``reset()``.
    func rows(_ all: GroupedRows, _ mask: UnsafePointer<UInt8>?) -> GroupedRows {
        guard let mask else { return all }
        let found = kept[..<used].first { $0.mask == mask } ?? add(all, mask)
        return GroupedRows(
            base: all.base, stride: all.stride, count: found.count, ids: found.ids,
            rows: found.rows, events: found.events)
    }

    private func add(_ all: GroupedRows, _ mask: UnsafePointer<UInt8>) -> Kept {
        if used == kept.count { kept.append(Kept(capacity: all.count)) }
        used += 1
        kept[used - 1].take(all, mask)
        return kept[used - 1]
    }
}

/// Rows of a batch whose records are known, collected to be accumulated together.
final class PendingRows {
    private let ids: UnsafeMutablePointer<UInt32>
    private let rows: UnsafeMutablePointer<Int32>
    private let events: UnsafeMutablePointer<Int32>
    private let capacity: Int
    /// The input of the aggregates.
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

    /// Adds a row; there must be room for it.
    @inline(__always)
    func append(_ id: UInt32, row: Int32, event: Int32) {
        precondition(count < capacity, "more rows wait than there is room for")
        ids[count] = id
        rows[count] = row
        events[count] = event
        count += 1
    }

    func removeAll() { count = 0 }

    /// The pending rows, with records of `stride` bytes from `base` on.
    func rows(_ base: UnsafeMutableRawPointer, stride: Int) -> GroupedRows {
        GroupedRows(
            base: base, stride: stride, count: count, ids: ids, rows: rows, events: events)
    }
}
