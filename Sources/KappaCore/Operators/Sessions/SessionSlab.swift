import Glibc

/// Sessions in memory: records of one size.
///
/// A record is a header (times, key, links, flags) and the aggregates' state.
final class SessionSlab {
    /// Bytes of the header: start, last, stored start, key, older, flags.
    static let stateOffset = 48
    private static let storedFlag: UInt32 = 1
    private static let dirtyFlag: UInt32 = 2
    private static let usedFlag: UInt32 = 4

    let stride: Int
    private var memory: UnsafeMutableRawPointer
    private var capacity = 256
    private var count = 0
    private var free: [UInt32] = []
    private var removed: [UInt32] = []

    init(stateBytes: Int) {
        stride = (Self.stateOffset + stateBytes + 15) & ~15
        memory = LargeMemory.resized(nil, byteCount: capacity * stride)
    }

    deinit { Glibc.free(memory) }

    var memoryBytes: Int { capacity * stride }

    /// Where the first record stands; it moves when sessions are added.
    var base: UnsafeMutableRawPointer { memory }

    @inline(__always)
    func record(_ id: UInt32) -> UnsafeMutableRawPointer { memory + Int(id) * stride }

    /// A new session of one event.
    func insert(key: UInt32, time: Int64) -> UInt32 {
        let id: UInt32
        if let reused = free.popLast() {
            id = reused
        } else {
            if count == capacity { grow() }
            id = UInt32(count)
            count += 1
        }
        record(id).initializeMemory(as: UInt8.self, repeating: 0, count: stride)
        setStart(id, time)
        setLast(id, time)
        record(id).storeBytes(of: key, toByteOffset: 24, as: UInt32.self)
        setFlag(id, Self.usedFlag, true)
        return id
    }

    /// Takes a session away. Its number stays unused until ``recycle()``.
    func remove(_ id: UInt32) {
        record(id).storeBytes(of: 0, toByteOffset: 32, as: UInt32.self)
        removed.append(id)
    }

    /// Lets the numbers of removed sessions be used again: nobody remembers them any more.
    func recycle() {
        free += removed
        removed.removeAll(keepingCapacity: true)
    }

    private func grow() {
        capacity *= 2
        memory = LargeMemory.resized(memory, byteCount: capacity * stride)
    }

    func reset() {
        capacity = 256
        count = 0
        free = []
        removed = []
        memory = LargeMemory.resized(memory, byteCount: capacity * stride)
    }

    /// The sessions that there are.
    var used: [UInt32] { (0..<UInt32(count)).filter { flags($0) & Self.usedFlag != 0 } }

    func start(_ id: UInt32) -> Int64 { record(id).load(as: Int64.self) }
    func setStart(_ id: UInt32, _ time: Int64) { record(id).storeBytes(of: time, as: Int64.self) }
    /// The time of the last event.
    func last(_ id: UInt32) -> Int64 { record(id).load(fromByteOffset: 8, as: Int64.self) }
    func setLast(_ id: UInt32, _ time: Int64) {
        record(id).storeBytes(of: time, toByteOffset: 8, as: Int64.self)
    }
    /// The start under which the store holds the session's row; nil if it holds none.
    func storedStart(_ id: UInt32) -> Int64? {
        flags(id) & Self.storedFlag != 0
            ? record(id).load(fromByteOffset: 16, as: Int64.self) : nil
    }
    func setStoredStart(_ id: UInt32, _ start: Int64) {
        record(id).storeBytes(of: start, toByteOffset: 16, as: Int64.self)
        setFlag(id, Self.storedFlag, true)
    }
    func key(_ id: UInt32) -> UInt32 { record(id).load(fromByteOffset: 24, as: UInt32.self) }
    /// The next older session of the same key.
    func older(_ id: UInt32) -> UInt32? {
        let word = record(id).load(fromByteOffset: 28, as: UInt32.self)
        return word == 0 ? nil : word - 1
    }
    func setOlder(_ id: UInt32, _ older: UInt32?) {
        record(id).storeBytes(of: older.map { $0 + 1 } ?? 0, toByteOffset: 28, as: UInt32.self)
    }
    func isDirty(_ id: UInt32) -> Bool { flags(id) & Self.dirtyFlag != 0 }
    func setDirty(_ id: UInt32, _ isDirty: Bool) { setFlag(id, Self.dirtyFlag, isDirty) }

    private func flags(_ id: UInt32) -> UInt32 {
        record(id).load(fromByteOffset: 32, as: UInt32.self)
    }
    private func setFlag(_ id: UInt32, _ flag: UInt32, _ isSet: Bool) {
        let flags = flags(id)
        record(id).storeBytes(
            of: isSet ? flags | flag : flags & ~flag, toByteOffset: 32, as: UInt32.self)
    }
}
