/// The rows of one chunk of a batch that conditions let through. Aggregates with one condition share
/// its rows: they are found once.
final class ChunkRows {
    private final class Kept {
        var mask: UnsafePointer<UInt8>?
        var count = 0
        let ids: UnsafeMutablePointer<UInt32>
        let rows: UnsafeMutablePointer<Int32>
        let events: UnsafeMutablePointer<Int32>

        init(capacity: Int) {
            ids = .allocate(capacity: capacity)
            rows = .allocate(capacity: capacity)
            events = .allocate(capacity: capacity)
        }

        deinit {
            ids.deallocate()
            rows.deallocate()
            events.deallocate()
        }

        func take(_ all: GroupedRows, _ mask: UnsafePointer<UInt8>) {
            self.mask = mask
            var kept = 0
            // Each row is written, and only counted where it is let through: no branch to guess.
            for index in 0..<all.count {
                let row = all.rows[index]
                rows[kept] = row
                ids[kept] = all.ids[index]
                events[kept] = all.events[index]
                kept += Int(mask[Int(row)])
            }
            count = kept
        }
    }

    private let capacity: Int
    private var kept: [Kept] = []
    private var used = 0

    /// - Parameter capacity: the most rows that a chunk has.
    init(capacity: Int) { self.capacity = capacity }

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
        if used == kept.count { kept.append(Kept(capacity: capacity)) }
        used += 1
        kept[used - 1].take(all, mask)
        return kept[used - 1]
    }
}
