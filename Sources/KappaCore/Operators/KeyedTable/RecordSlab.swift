import CKappaJSON
import Glibc

/// What stands under the keys of an operator, several of it under one: records of one size, by number.
///
/// A record begins with a header: the number of its key, what is known of it (see ``RecordFlags``), and two links.
/// Behind that stand the fields of its owner. Chains of records hang from the records of the keys;
/// where they begin is the owner's to know. Whoever changes a record touches it; a number is used again once
/// its record is gone and nothing knows the number any more.
final class RecordSlab {
    /// Bytes of the header: key, flags, and the numbers, plus one, of the next and the previous record.
    static let headerBytes = 16

    let stride: Int
    private var memory: UnsafeMutableRawPointer
    private var capacity = 256
    /// How many numbers were given, those of records that are gone included.
    private(set) var end = 0
    private let free = PlainList<UInt32>()
    /// The records that have changed since the last commit, and some that are gone.
    private(set) var dirty: [UInt32] = []

    /// - Parameter bytes: Of a record, with its header.
    init(recordBytes bytes: Int) {
        stride = (bytes + 15) & ~15
        memory = LargeMemory.resized(nil, byteCount: capacity * stride)
    }

    deinit { Glibc.free(memory) }

    /// How many records there are, and such that are gone and known still.
    var count: Int { end - free.count }
    var memoryBytes: Int { end * stride }

    /// Where the first record stands; it moves when records are added.
    var base: UnsafeMutableRawPointer { memory }

    @inline(__always)
    func record(_ id: UInt32) -> UnsafeMutableRawPointer { memory + Int(id) &* stride }

    /// A new record under a key; its fields are zero.
    func insert(key: UInt32) -> UInt32 {
        let id = free.popLast() ?? next()
        let record = record(id)
        record.initializeMemory(as: UInt8.self, repeating: 0, count: stride)
        record.storeBytes(of: key, as: UInt32.self)
        RecordFlags.replace(by: RecordFlags.used, record)
        return id
    }

    private func next() -> UInt32 {
        if end == capacity {
            capacity *= 2
            memory = LargeMemory.resized(memory, byteCount: capacity * stride)
        }
        end += 1
        return UInt32(end - 1)
    }

    /// Takes a record away. Its number stays unused until nothing knows it.
    func remove(_ id: UInt32) { unmark(id, RecordFlags.used) }

    /// Forgets all records. The owner has given back what they hold.
    func reset() {
        (end, capacity) = (0, 256)
        free.truncate(to: 0)
        dirty.removeAll(keepingCapacity: true)
        memory = LargeMemory.resized(memory, byteCount: capacity * stride)
    }

    /// The records that there are.
    var all: [UInt32] { (0..<UInt32(end)).filter(isThere) }

    // MARK: The header

    @inline(__always)
    func key(_ id: UInt32) -> UInt32 { record(id).load(as: UInt32.self) }

    /// Keys have got other numbers: gives each record that of its key.
    func renumberKeys(_ numbers: [UInt32]) {
        for id in 0..<UInt32(end) where isThere(id) {
            record(id).storeBytes(of: numbers[Int(key(id))], as: UInt32.self)
        }
    }

    @inline(__always)
    func has(_ id: UInt32, _ flag: UInt32) -> Bool { RecordFlags.has(flag, record(id)) }
    func isThere(_ id: UInt32) -> Bool { has(id, RecordFlags.used) }

    @inline(__always)
    func mark(_ id: UInt32, _ flag: UInt32) { RecordFlags.set(flag, record(id)) }

    /// Takes a mark away. With the last of those that keep its number, that is used again.
    func unmark(_ id: UInt32, _ flag: UInt32) {
        RecordFlags.clear(flag, record(id))
        if RecordFlags.of(record(id)) & Self.keepingFlags == 0 { free.append(id) }
    }

    private static let keepingFlags = RecordFlags.used | RecordFlags.dirty | RecordFlags.held

    // MARK: Chains

    /// The first and the last record of a chain: their numbers plus one, 0 where there are none.
    struct Ends {
        var first: UInt32
        var last: UInt32
    }

    @inline(__always)
    func next(_ id: UInt32) -> UInt32? {
        Self.number(record(id).load(fromByteOffset: 8, as: UInt32.self))
    }
    func setNext(_ id: UInt32, _ next: UInt32?) {
        record(id).storeBytes(of: next.map { $0 + 1 } ?? 0, toByteOffset: 8, as: UInt32.self)
    }
    private func previous(_ id: UInt32) -> UInt32? {
        Self.number(record(id).load(fromByteOffset: 12, as: UInt32.self))
    }
    private func setPrevious(_ id: UInt32, _ previous: UInt32?) {
        record(id).storeBytes(of: previous.map { $0 + 1 } ?? 0, toByteOffset: 12, as: UInt32.self)
    }

    @inline(__always)
    static func number(_ link: UInt32) -> UInt32? { link == 0 ? nil : link - 1 }

    /// Puts a record at the end of a chain.
    func append(_ id: UInt32, to ends: inout Ends) {
        if let last = Self.number(ends.last) {
            setNext(last, id)
            setPrevious(id, last)
        } else {
            ends.first = id + 1
        }
        ends.last = id + 1
    }

    /// Takes a record out of a chain.
    func unlink(_ id: UInt32, from ends: inout Ends) {
        let (next, previous) = (next(id), previous(id))
        if let previous { setNext(previous, next) } else { ends.first = next.map { $0 + 1 } ?? 0 }
        if let next {
            setPrevious(next, previous)
        } else {
            ends.last = previous.map { $0 + 1 } ?? 0
        }
    }

    // MARK: Writing

    /// Notes that a record has changed.
    @inline(__always)
    func touch(_ id: UInt32) { if RecordFlags.setDirty(record(id)) { dirty.append(id) } }

    /// Puts the records that have changed, and are there, in the order in which they are to be written.
    /// - Parameter order: Sorts them, and may leave some out.
    func sortDirty(_ order: ([UInt32]) -> [UInt32]) -> [UInt32] {
        dirty.removeAll { id in
            if isThere(id) { return false }
            unmark(id, RecordFlags.dirty)
            return true
        }
        dirty = order(dirty)
        return dirty
    }

    /// The transaction was committed: no record has changed since, and the store holds those that were written.
    @inline(__always)
    func committed(_ settle: (UInt32) -> Void = { _ in }) {
        for (index, id) in dirty.enumerated() {
            if index + 16 < dirty.count { kj_prefetch(record(dirty[index + 16])) }
            let record = record(id)
            let flags = RecordFlags.of(record) & ~RecordFlags.dirty | RecordFlags.stored
            RecordFlags.replace(by: flags, record)
            settle(id)
        }
        dirty.removeAll(keepingCapacity: true)
    }
}

/// What is known of a record, as bits of the word at its byte 4: in a ``KeyedTable`` of the key, in a
/// ``RecordSlab`` of what stands under one.
enum RecordFlags {
    /// It has changed since the last commit, and is among those to be written.
    static let dirty: UInt32 = 1
    /// The store holds it.
    static let stored: UInt32 = 2
    /// Of a slab: it is there.
    static let used: UInt32 = 4
    /// Of a slab: something besides the list of those that changed knows its number.
    static let held: UInt32 = 8
    /// Of a join's element: it has met one of the other side.
    static let matched: UInt32 = 16

    @inline(__always)
    static func of(_ record: UnsafeMutableRawPointer) -> UInt32 {
        record.load(fromByteOffset: 4, as: UInt32.self)
    }
    @inline(__always)
    static func replace(by flags: UInt32, _ record: UnsafeMutableRawPointer) {
        record.storeBytes(of: flags, toByteOffset: 4, as: UInt32.self)
    }
    @inline(__always)
    static func has(_ flag: UInt32, _ record: UnsafeMutableRawPointer) -> Bool {
        of(record) & flag != 0
    }
    @inline(__always)
    static func set(_ flag: UInt32, _ record: UnsafeMutableRawPointer) {
        replace(by: of(record) | flag, record)
    }
    @inline(__always)
    static func clear(_ flag: UInt32, _ record: UnsafeMutableRawPointer) {
        replace(by: of(record) & ~flag, record)
    }
    /// Marks a record as changed; whether it was not before.
    @inline(__always)
    static func setDirty(_ record: UnsafeMutableRawPointer) -> Bool {
        let flags = of(record)
        if flags & dirty != 0 { return false }
        replace(by: flags | dirty, record)
        return true
    }
}
