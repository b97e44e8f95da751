import Glibc

/// The elements of sliding windows in memory, by key and time.
///
/// After its header, a record holds the fields of its element and the aggregates' states over that element
/// alone. The elements of a window are found by their times, so the elements of a key are kept in a sorted
/// list, not in a chain.
final class SlidingElements {
    /// Bytes before the aggregates' states: the header, time, offset, part, and stream time.
    static let stateOffset = 48
    let slab: RecordSlab
    /// The elements of each key, sorted by time; elements of one time are in log order.
    private var byKey: [[UInt32]] = []
    private var oldest = TimeHeap()

    init(stateBytes: Int) { slab = RecordSlab(recordBytes: Self.stateOffset + stateBytes) }

    /// Includes the elements' numbers in the keys' lists and in the heap.
    var memoryBytes: Int { slab.memoryBytes + slab.end * 20 }

    @inline(__always)
    func record(_ id: UInt32) -> UnsafeMutableRawPointer { slab.record(id) }

    /// Adds an element, without a state, after all others of its key and its time.
    /// - Returns: Its number, and its place in its key's list.
    func insert(
        key: UInt32, time: Int64, offset: Int64, part: Int64, streamTime: Int64
    ) -> (id: UInt32, place: Int) {
        let id = slab.insert(key: key)
        let record = record(id)
        record.storeBytes(of: time, toByteOffset: 16, as: Int64.self)
        record.storeBytes(of: offset, toByteOffset: 24, as: Int64.self)
        record.storeBytes(of: part, toByteOffset: 32, as: Int64.self)
        record.storeBytes(of: streamTime, toByteOffset: 40, as: Int64.self)
        while byKey.count <= Int(key) { byKey.append([]) }
        let place = self.place(behind: time, of: key)
        byKey[Int(key)].insert(id, at: place)
        oldest.insert(time, id)
        return (id, place)
    }

    /// A key's elements by time.
    func elements(of key: UInt32) -> [UInt32] { byKey[Int(key)] }

    /// The place of a key's first element whose time is later than this.
    func place(behind time: Int64, of key: UInt32) -> Int {
        let ids = byKey[Int(key)]
        // Most elements come in order.
        if let last = ids.last, self.time(last) > time {
            return Self.firstIndex(in: ids) { self.time($0) > time }
        }
        return ids.count
    }

    /// The place of a key's first element at or after this time.
    func place(from time: Int64, of key: UInt32) -> Int {
        Self.firstIndex(in: byKey[Int(key)]) { self.time($0) >= time }
    }

    /// The first index at which a condition holds; it must hold for all later ones too.
    static func firstIndex(in ids: [UInt32], where holds: (UInt32) -> Bool) -> Int {
        var (low, high) = (0, ids.count)
        while low < high {
            let middle = (low + high) / 2
            if holds(ids[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    // MARK: Forgetting

    /// Removes and returns the oldest element at or before `time` from the heap; each element is returned
    /// once.
    func popOldest(upTo time: Int64) -> UInt32? { oldest.pop(upTo: time) }

    /// Forgets elements that were popped, which must include all older ones of their keys. The owner has
    /// freed what their states hold.
    func remove(_ ids: [UInt32], upTo time: Int64) {
        for id in ids {
            let key = key(id)
            if let first = byKey[Int(key)].first, self.time(first) <= time {
                byKey[Int(key)].removeFirst(place(behind: time, of: key))
            }
        }
        for id in ids { slab.remove(id) }
    }

    /// Forgets all elements and keys.
    func reset() {
        slab.reset()
        byKey = []
        oldest = TimeHeap()
    }

    // MARK: The fields

    @inline(__always)
    func key(_ id: UInt32) -> UInt32 { slab.key(id) }
    @inline(__always)
    func time(_ id: UInt32) -> Int64 { record(id).load(fromByteOffset: 16, as: Int64.self) }
    func offset(_ id: UInt32) -> Int64 { record(id).load(fromByteOffset: 24, as: Int64.self) }
    /// The element's index among those of its event.
    func part(_ id: UInt32) -> Int64 { record(id).load(fromByteOffset: 32, as: Int64.self) }
    /// The time that all partitions had passed when it came.
    func streamTime(_ id: UInt32) -> Int64 { record(id).load(fromByteOffset: 40, as: Int64.self) }

    /// Whether one element precedes another in the log.
    func isBefore(_ a: UInt32, _ b: UInt32) -> Bool {
        (offset(a), part(a)) < (offset(b), part(b))
    }
}
