import CKappaJSON
import Glibc

/// The rows of one batch under which groups are looked up: one column for each part of the key.
enum KeyColumn {
    case integers(UnsafePointer<Int64>)
    case texts(UnsafePointer<kj_string>)
}

/// Groups by key: an open-addressing hash table over records of one size.
///
/// A record is a header, the key's parts, and as much state as its owner asked for. Records keep
/// their number for as long as the table is not reset. Memory moves when the table grows, so a
/// record's address holds only until the next look-up.
final class GroupTable {
    /// Bytes of a record before the state: hash and flags, then 16 bytes for each part of the key.
    static func stateOffset(keyParts: Int) -> Int { 16 + 16 * keyParts }

    private let keyIsText: [Bool]
    private let stride: Int
    private var slots: UnsafeMutablePointer<UInt64>
    private var slotBits: Int
    private var memory: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var count = 0
    private var texts = ByteArena()
    private var hashes: [UInt32] = []

    init(keyIsText: [Bool], stateBytes: Int) {
        self.keyIsText = keyIsText
        stride = (Self.stateOffset(keyParts: keyIsText.count) + stateBytes + 15) & ~15
        (slots, slotBits) = Self.makeSlots(bits: 10)
        capacity = 256
        memory = .allocate(byteCount: capacity * stride, alignment: 16)
    }

    deinit {
        slots.deallocate()
        memory.deallocate()
    }

    private static func makeSlots(bits: Int) -> (UnsafeMutablePointer<UInt64>, Int) {
        let slots = UnsafeMutablePointer<UInt64>.allocate(capacity: 1 << bits)
        slots.initialize(repeating: 0, count: 1 << bits)
        return (slots, bits)
    }

    var memoryBytes: Int { capacity * stride + 8 << slotBits + texts.byteCount }

    @inline(__always)
    func record(_ id: UInt32) -> UnsafeMutableRawPointer { memory + Int(id) * stride }

    @inline(__always)
    var base: UnsafeMutableRawPointer { memory }
    @inline(__always)
    var recordStride: Int { stride }

    @inline(__always)
    func integerKey(_ id: UInt32, _ part: Int) -> Int64 {
        record(id).load(fromByteOffset: 16 + 16 * part, as: Int64.self)
    }

    @inline(__always)
    func textKey(_ id: UInt32, _ part: Int) -> kj_string {
        record(id).load(fromByteOffset: 16 + 16 * part, as: kj_string.self)
    }

    func isText(_ part: Int) -> Bool { keyIsText[part] }
    var keyParts: Int { keyIsText.count }

    // MARK: Look-up

    /// Finds the group of each row, making those that are new; appends the new ones to `fresh`.
    func find(
        rows: [Int32], keys: [KeyColumn], into ids: inout [UInt32], fresh: inout [UInt32]
    ) {
        hash(rows, keys)
        ids.removeAll(keepingCapacity: true)
        ids.reserveCapacity(rows.count)
        let ahead = 12
        for index in 0..<rows.count {
            if index + ahead < rows.count { kj_prefetch(slots + home(hashes[index + ahead])) }
            if (count + 1) * 2 > 1 << slotBits { growSlots() }
            let row = Int(rows[index])
            let hash = hashes[index]
            var slot = home(hash)
            while true {
                let entry = slots[slot]
                if entry == 0 {
                    let id = insert(hash, at: slot)
                    setKey(id, keys, row)
                    fresh.append(id)
                    ids.append(id)
                    break
                }
                if UInt32(truncatingIfNeeded: entry >> 32) == hash {
                    let id = UInt32(truncatingIfNeeded: entry) &- 1
                    if isEqual(id, keys, row) {
                        ids.append(id)
                        break
                    }
                }
                slot = (slot + 1) & (1 << slotBits - 1)
            }
        }
    }

    /// Finds the group of one key, making it if it is new.
    func find(keys: [KeyColumn]) -> (id: UInt32, isNew: Bool) {
        var ids: [UInt32] = []
        var fresh: [UInt32] = []
        find(rows: [0], keys: keys, into: &ids, fresh: &fresh)
        return (ids[0], !fresh.isEmpty)
    }

    @inline(__always)
    private func home(_ hash: UInt32) -> Int {
        Int(truncatingIfNeeded: (UInt64(hash) &* 0x9E37_79B9_7F4A_7C15) >> UInt64(64 - slotBits))
    }

    private func hash(_ rows: [Int32], _ keys: [KeyColumn]) {
        if hashes.count < rows.count {
            hashes = [UInt32](repeating: 0, count: max(rows.count, 1_024))
        }
        hashes.withUnsafeMutableBufferPointer { hashes in
            for index in 0..<rows.count { hashes[index] = 0 }
            for key in keys {
                switch key {
                case .integers(let integers):
                    for index in 0..<rows.count {
                        hashes[index] = Self.mix(
                            hashes[index], Self.hash(integers[Int(rows[index])]))
                    }
                case .texts(let texts):
                    for index in 0..<rows.count {
                        hashes[index] = Self.mix(hashes[index], texts[Int(rows[index])].hash)
                    }
                }
            }
        }
    }

    @inline(__always)
    private static func mix(_ a: UInt32, _ b: UInt32) -> UInt32 {
        (a &* 0x85EB_CA6B).rotated13 ^ b
    }

    @inline(__always)
    private static func hash(_ value: Int64) -> UInt32 {
        let product = UInt64(bitPattern: value) &* 0x9E37_79B9_7F4A_7C15
        return UInt32(truncatingIfNeeded: product >> 32) ^ UInt32(truncatingIfNeeded: product)
    }

    @inline(__always)
    private func isEqual(_ id: UInt32, _ keys: [KeyColumn], _ row: Int) -> Bool {
        for part in 0..<keys.count {
            switch keys[part] {
            case .integers(let integers):
                if integerKey(id, part) != integers[row] { return false }
            case .texts(let texts):
                let mine = textKey(id, part)
                let other = texts[row]
                guard mine.length == other.length, mine.hash == other.hash,
                    memcmp(mine.data, other.data, Int(mine.length)) == 0
                else { return false }
            }
        }
        return true
    }

    private func insert(_ hash: UInt32, at slot: Int) -> UInt32 {
        if count == capacity { growMemory() }
        let id = UInt32(count)
        count += 1
        slots[slot] = UInt64(hash) << 32 | UInt64(id + 1)
        record(id).initializeMemory(as: UInt8.self, repeating: 0, count: stride)
        return id
    }

    private func setKey(_ id: UInt32, _ keys: [KeyColumn], _ row: Int) {
        for part in 0..<keys.count {
            let cell = record(id) + 16 + 16 * part
            switch keys[part] {
            case .integers(let integers): cell.storeBytes(of: integers[row], as: Int64.self)
            case .texts(let column):
                let text = column[row]
                let copy = texts.add(text.buffer, hash: text.hash)
                cell.storeBytes(of: copy, as: kj_string.self)
            }
        }
    }

    private func growMemory() {
        let larger = UnsafeMutableRawPointer.allocate(
            byteCount: capacity * 2 * stride, alignment: 16)
        larger.copyMemory(from: memory, byteCount: capacity * stride)
        memory.deallocate()
        memory = larger
        capacity *= 2
    }

    private func growSlots() {
        let old = slots
        let oldCount = 1 << slotBits
        (slots, slotBits) = Self.makeSlots(bits: slotBits + 1)
        for index in 0..<oldCount where old[index] != 0 {
            var slot = home(UInt32(truncatingIfNeeded: old[index] >> 32))
            while slots[slot] != 0 { slot = (slot + 1) & (1 << slotBits - 1) }
            slots[slot] = old[index]
        }
        old.deallocate()
    }

    /// Forgets every group. The owner has freed what its states hold.
    func reset() {
        slots.deallocate()
        memory.deallocate()
        (slots, slotBits) = Self.makeSlots(bits: 10)
        capacity = 256
        memory = .allocate(byteCount: capacity * stride, alignment: 16)
        count = 0
        texts.clear()
    }
}

extension UInt32 {
    @inline(__always)
    fileprivate var rotated13: UInt32 { self << 13 | self >> 19 }
}
