import CKappaJSON
import Glibc

/// Records of one size, addressed by number, of which a key of an operator can have several.
///
/// A record begins with a header: the number of its key, its flags (see ``RecordFlags``), and two links. The
/// owner's fields follow. The links form chains of the records of one key; the owner stores where each begins
/// and ends. The owner touches each record that it changes. A number is reused once its record is removed and
/// nothing refers to the number any more.
final class RecordSlab {
    /// Bytes of the header: key, flags, and the numbers of the next and the previous record, each plus one.
    static let headerBytes = 16

    let stride: Int
    private var memory: UnsafeMutableRawPointer
    private var capacity = 256
    /// How many numbers have been given out, including those of removed records.
    private(set) var end = 0
    private let free = PlainList<UInt32>()
    /// The records that have changed since the last commit; some may have been removed since.
    private(set) var dirty: [UInt32] = []

    /// - Parameter bytes: The size of a record, with its header.
    init(recordBytes bytes: Int) {
        stride = (bytes + 15) & ~15
        memory = LargeMemory.resized(nil, byteCount: capacity * stride)
    }

    deinit { Glibc.free(memory) }

    /// How many records there are, including removed ones whose numbers are still in use.
    var count: Int { end - free.count }
    var memoryBytes: Int { end * stride }

    /// The address of the first record; adding records may move it.
    var base: UnsafeMutableRawPointer { memory }

    @inline(__always)
    func record(_ id: UInt32) -> UnsafeMutableRawPointer { memory + Int(id) &* stride }

    /// Adds a record to a key; its fields are zero.
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

    /// Removes a record. Its number is not reused until nothing refers to it.
    func remove(_ id: UInt32) { unmark(id, RecordFlags.used) }

    /// Forgets all records. The owner has freed the memory they own.
    func reset() {
        (end, capacity) = (0, 256)
        free.truncate(to: 0)
        dirty.removeAll(keepingCapacity: true)
        memory = LargeMemory.resized(memory, byteCount: capacity * stride)
    }

    /// The records that have not been removed.
    var all: [UInt32] { (0..<UInt32(end)).filter(isThere) }

    // MARK: The header

    @inline(__always)
    func key(_ id: UInt32) -> UInt32 { record(id).load(as: UInt32.self) }

    /// Updates the key of each record, after the keys have been renumbered.
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

    /// Clears a flag. When the last flag that reserves the number is cleared, the number can be reused.
    func unmark(_ id: UInt32, _ flag: UInt32) {
        RecordFlags.clear(flag, record(id))
        if RecordFlags.of(record(id)) & Self.keepingFlags == 0 { free.append(id) }
    }

    private static let keepingFlags = RecordFlags.used | RecordFlags.dirty | RecordFlags.held

    // MARK: Chains

    /// The first and the last record of a chain: their numbers plus one, 0 if the chain is empty.
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

    /// Removes a record from a chain.
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

    /// Puts the changed records, without those removed since, in the order in which they will be written.
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

/// The flags of a record, in the word at its byte 4. Both ``KeyedTable`` and ``RecordSlab`` use them.
enum RecordFlags {
    /// It has changed since the last commit, and is among those to be written.
    static let dirty: UInt32 = 1
    /// The store holds it.
    static let stored: UInt32 = 2
    /// In a slab: the record exists.
    static let used: UInt32 = 4
    /// In a slab: something besides the list of changed records refers to its number.
    static let held: UInt32 = 8
    /// For an element of a join: it has matched one of the other side.
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
    /// Marks a record as changed; returns whether it was unchanged before.
    @inline(__always)
    static func setDirty(_ record: UnsafeMutableRawPointer) -> Bool {
        let flags = of(record)
        if flags & dirty != 0 { return false }
        replace(by: flags | dirty, record)
        return true
    }
}
