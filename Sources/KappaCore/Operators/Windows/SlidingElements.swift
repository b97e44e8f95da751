import Glibc

/// The elements of sliding windows in memory, over their table: records of one size, by key and time.
///
/// A record is a header and the aggregates' state over that element alone.
final class SlidingElements {
    /// Bytes of the header: time, offset, part, stream time, key, flags, place.
    static let stateOffset = 48
    private static let storedFlag: UInt32 = 1
    private static let dirtyFlag: UInt32 = 2

    private let stride: Int
    private var memory: UnsafeMutableRawPointer
    private var capacity = 256
    private var count = 0
    private var free: [UInt32] = []
    /// The elements of each key, sorted by time, and those of one time in log order.
    private var byKey: [[UInt32]] = []
    private var oldest = TimeHeap()

    init(stateBytes: Int) {
        stride = (Self.stateOffset + stateBytes + 15) & ~15
        memory = LargeMemory.resized(nil, byteCount: capacity * stride)
    }

    deinit { Glibc.free(memory) }

    var used: Int { count - free.count }
    /// With the element's number in its key's list and in the heap.
    var memoryBytes: Int { count * (stride + 20) }

    @inline(__always)
    func record(_ id: UInt32) -> UnsafeMutableRawPointer { memory + Int(id) * stride }

    /// A new element, without a state; it stands behind all of its key and its time.
    /// - Returns: its number, and its place in its key's list.
    func insert(
        key: UInt32, time: Int64, offset: Int64, part: Int64, streamTime: Int64
    ) -> (id: UInt32, place: Int) {
        let id: UInt32
        if let reused = free.popLast() {
            id = reused
        } else {
            if count == capacity { grow() }
            id = UInt32(count)
            count += 1
        }
        let record = record(id)
        record.initializeMemory(as: UInt8.self, repeating: 0, count: stride)
        record.storeBytes(of: time, as: Int64.self)
        record.storeBytes(of: offset, toByteOffset: 8, as: Int64.self)
        record.storeBytes(of: part, toByteOffset: 16, as: Int64.self)
        record.storeBytes(of: streamTime, toByteOffset: 24, as: Int64.self)
        record.storeBytes(of: key, toByteOffset: 32, as: UInt32.self)
        while byKey.count <= Int(key) { byKey.append([]) }
        let place = self.place(behind: time, of: key)
        byKey[Int(key)].insert(id, at: place)
        oldest.insert(time, id)
        return (id, place)
    }

    private func grow() {
        capacity *= 2
        memory = LargeMemory.resized(memory, byteCount: capacity * stride)
    }

    /// A key's elements by time.
    func elements(of key: UInt32) -> [UInt32] { byKey[Int(key)] }

    /// The place of a key's first element whose time is later than this.
    func place(behind time: Int64, of key: UInt32) -> Int {
        let ids = byKey[Int(key)]
        // Most come in order.
        if let last = ids.last, self.time(last) > time {
            return Self.firstIndex(in: ids) { self.time($0) > time }
        }
        return ids.count
    }

    /// The place of a key's first element that is not before this time.
    func place(from time: Int64, of key: UInt32) -> Int {
        Self.firstIndex(in: byKey[Int(key)]) { self.time($0) >= time }
    }

    /// Where a condition begins to hold that goes on to hold.
    static func firstIndex(in ids: [UInt32], where holds: (UInt32) -> Bool) -> Int {
        var (low, high) = (0, ids.count)
        while low < high {
            let middle = (low + high) / 2
            if holds(ids[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    // MARK: Forgetting

    /// The next of the elements whose time is `time` or earlier; each is told once.
    func popOldest(upTo time: Int64) -> UInt32? { oldest.pop(upTo: time) }

    /// Forgets elements that were popped; all of their keys' older ones are among them. Their owner
    /// has freed what their states hold.
    func remove(_ ids: [UInt32], upTo time: Int64) {
        for id in ids {
            let key = key(id)
            if let first = byKey[Int(key)].first, self.time(first) <= time {
                byKey[Int(key)].removeFirst(place(behind: time, of: key))
            }
        }
        free += ids
    }

    /// Forgets all elements and keys.
    func reset() {
        (count, capacity) = (0, 256)
        free = []
        byKey = []
        oldest = TimeHeap()
        memory = LargeMemory.resized(memory, byteCount: capacity * stride)
    }

    /// The numbers of all elements.
    var all: [UInt32] { byKey.flatMap { $0 } }

    // MARK: The header

    @inline(__always)
    func time(_ id: UInt32) -> Int64 { record(id).load(as: Int64.self) }
    func offset(_ id: UInt32) -> Int64 { record(id).load(fromByteOffset: 8, as: Int64.self) }
    /// Which of its event's elements it is.
    func part(_ id: UInt32) -> Int64 { record(id).load(fromByteOffset: 16, as: Int64.self) }
    /// The stream time when it came.
    func streamTime(_ id: UInt32) -> Int64 { record(id).load(fromByteOffset: 24, as: Int64.self) }
    func key(_ id: UInt32) -> UInt32 { record(id).load(fromByteOffset: 32, as: UInt32.self) }
    /// Whether the store holds it.
    func isStored(_ id: UInt32) -> Bool { flags(id) & Self.storedFlag != 0 }
    func setStored(_ id: UInt32) { setFlag(id, Self.storedFlag, true) }
    /// Whether the row of the window that ends with it has changed. Of elements of one time, the first
    /// one tells.
    func isDirty(_ id: UInt32) -> Bool { flags(id) & Self.dirtyFlag != 0 }
    func setDirty(_ id: UInt32, _ isDirty: Bool) { setFlag(id, Self.dirtyFlag, isDirty) }

    /// Whether one stands before another in the log.
    func isBefore(_ a: UInt32, _ b: UInt32) -> Bool {
        (offset(a), part(a)) < (offset(b), part(b))
    }

    /// Where what its window makes was put.
    func result(_ id: UInt32) -> Int { record(id).load(fromByteOffset: 40, as: Int.self) }
    func setResult(_ id: UInt32, _ place: Int) {
        record(id).storeBytes(of: place, toByteOffset: 40, as: Int.self)
    }

    private func flags(_ id: UInt32) -> UInt32 {
        record(id).load(fromByteOffset: 36, as: UInt32.self)
    }
    private func setFlag(_ id: UInt32, _ flag: UInt32, _ isSet: Bool) {
        let flags = flags(id)
        record(id).storeBytes(
            of: isSet ? flags | flag : flags & ~flag, toByteOffset: 36, as: UInt32.self)
    }
}
