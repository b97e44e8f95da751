import CKappaJSON
import Glibc

/// The keys of one batch's rows, by which groups are looked up: one column for each part of the key.
enum KeyColumn {
    case integers(UnsafePointer<Int64>)
    case texts(UnsafePointer<kj_string>)
}

/// Groups by key: an open-addressing hash table over records of one size.
///
/// A record is a header, the key's parts, and as much state as its owner asked for. Records keep their number
/// until the table is reset or compacted. Memory moves when the table grows, so a record's address is valid
/// only until the next lookup.
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
    /// Groups from this number on were appended, and have no slots yet.
    private var slotted = 0
    private var texts = ByteArena()
    private var hashes: UnsafeMutablePointer<UInt32>
    private var hashCapacity = 2_048
    // Reused by each lookup of a single key.
    private var oneFound: [UInt32] = []
    private var oneFresh: [UInt32] = []

    init(keyIsText: [Bool], stateBytes: Int) {
        self.keyIsText = keyIsText
        stride = (Self.stateOffset(keyParts: keyIsText.count) + stateBytes + 15) & ~15
        (slots, slotBits) = Self.makeSlots(bits: 10)
        capacity = 256
        memory = LargeMemory.resized(nil, byteCount: capacity * stride)
        hashes = .allocate(capacity: hashCapacity)
    }

    deinit {
        free(slots)
        hashes.deallocate()
        free(memory)
    }

    private static func makeSlots(bits: Int) -> (UnsafeMutablePointer<UInt64>, Int) {
        let memory = LargeMemory.resized(nil, byteCount: 8 << bits)
        let slots = memory.bindMemory(to: UInt64.self, capacity: 1 << bits)
        slots.initialize(repeating: 0, count: 1 << bits)
        return (slots, bits)
    }

    /// The memory in use. Memory that no record has touched does not count, because the system has not
    /// allocated it.
    var memoryBytes: Int { count * stride + 8 << slotBits + texts.byteCount }

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

    /// Valid until the next lookup.
    @inline(__always)
    func textKey(_ id: UInt32, _ part: Int) -> UnsafeRawBufferPointer {
        TextCell.text(record(id) + (16 + 16 * part))
    }

    func isText(_ part: Int) -> Bool { keyIsText[part] }
    var keyParts: Int { keyIsText.count }

    // MARK: Lookup

    /// Finds the group of each row, and creates those that are new; appends the new ones to `fresh`.
    ///
    /// Slots and records are prefetched some rows ahead, so that a large table causes few stalls.
    func find(
        rows: ArraySlice<Int32>, keys: [KeyColumn], into ids: inout [UInt32],
        fresh: inout [UInt32]
    ) {
        ids.removeAll(keepingCapacity: true)
        ids.append(contentsOf: repeatElement(0, count: rows.count))
        makeRoom(for: rows.count)
        if slotted < count { fillSlots() }
        rows.withUnsafeBufferPointer { rows in
            hash(rows, keys)
            keys.withUnsafeBufferPointer { keys in
                ids.withUnsafeMutableBufferPointer { ids in
                    let lookup = Lookup(
                        slots: slots, shift: 64 &- UInt64(slotBits), last: 1 << slotBits &- 1,
                        memory: memory, stride: stride, hashes: hashes, keys: keys)
                    // What is in the cache need not be prefetched.
                    let isLarge = memoryBytes > Self.cachedBytes
                    for index in 0..<rows.count {
                        if isLarge { lookup.prefetch(ahead: index, of: rows.count) }
                        let row = Int(rows[index])
                        let (slot, id) = lookup.find(row, lookup.hashes[index])
                        ids[index] = id ?? add(keys, row, lookup.hashes[index], at: slot, &fresh)
                    }
                }
            }
        }
    }

    /// A good part of a processor's second-level cache.
    private static let cachedBytes = 1 << 18

    /// What does not change while some rows are looked up.
    private struct Lookup {
        let slots: UnsafeMutablePointer<UInt64>
        let shift: UInt64
        let last: Int
        let memory: UnsafeMutableRawPointer
        let stride: Int
        let hashes: UnsafeMutablePointer<UInt32>
        let keys: UnsafeBufferPointer<KeyColumn>

        @inline(__always)
        private func home(_ hash: UInt32) -> Int { GroupTable.home(hash, shift: shift) }

        @inline(__always)
        func prefetch(ahead index: Int, of count: Int) {
            let slotAhead = 24
            let recordAhead = 12
            if index &+ slotAhead < count {
                kj_prefetch(slots + home(hashes[index &+ slotAhead]))
            }
            guard index &+ recordAhead < count else { return }
            let entry = slots[home(hashes[index &+ recordAhead])]
            guard entry != 0 else { return }
            let record = memory + Int(UInt32(truncatingIfNeeded: entry) &- 1) &* stride
            kj_prefetch(record)
            if stride > 64 { kj_prefetch(record + 64) }
        }

        /// The group of a row's key; or nil, and the slot where it belongs.
        @inline(__always)
        func find(_ row: Int, _ hash: UInt32) -> (slot: Int, id: UInt32?) {
            var slot = home(hash)
            while true {
                let entry = slots[slot]
                if entry == 0 { return (slot, nil) }
                if UInt32(truncatingIfNeeded: entry &>> 32) == hash {
                    let id = UInt32(truncatingIfNeeded: entry) &- 1
                    if isEqual(memory + Int(id) &* stride + 16, row) { return (slot, id) }
                }
                slot = (slot &+ 1) & last
            }
        }

        @inline(__always)
        private func isEqual(_ key: UnsafeMutableRawPointer, _ row: Int) -> Bool {
            var cell = key
            for part in keys {
                switch part {
                case .integers(let integers):
                    if cell.load(as: Int64.self) != integers[row] { return false }
                case .texts(let texts):
                    if !TextCell.holds(cell, texts[row].buffer) { return false }
                }
                cell += 16
            }
            return true
        }
    }

    private func add(
        _ keys: UnsafeBufferPointer<KeyColumn>, _ row: Int, _ hash: UInt32, at slot: Int,
        _ fresh: inout [UInt32]
    ) -> UInt32 {
        let id = UInt32(count)
        count += 1
        slots[slot] = UInt64(hash) << 32 | UInt64(id + 1)
        slotted = count
        record(id).initializeMemory(as: UInt8.self, repeating: 0, count: stride)
        record(id).storeBytes(of: hash, as: UInt32.self)
        setKey(id, keys, row)
        fresh.append(id)
        return id
    }

    /// Adds a group whose key is known to be new; `keyColumns` are the row's columns that make up the key. It
    /// can be found like any other, but its slot is only filled when something is looked up.
    func append(_ row: any RowCursor, _ keyColumns: [Int]) -> UInt32 {
        makeRecords(for: 1)
        let id = UInt32(count)
        count += 1
        let record = record(id)
        record.initializeMemory(as: UInt8.self, repeating: 0, count: stride)
        var hash: UInt32 = 0
        for part in 0..<keyIsText.count {
            let cell = record + 16 + 16 * part
            if keyIsText[part] {
                let text = row.text(keyColumns[part])
                hash = Self.hash(hash, text: text)
                if TextCell.setInline(cell, text) { continue }
                let own = Self.hash(0, text: text)
                TextCell.setBorrowed(cell, texts.add(text, hash: own).buffer)
            } else {
                let integer = row.integer(keyColumns[part])
                hash = Self.hash(hash, integer: integer)
                cell.storeBytes(of: integer, as: Int64.self)
            }
        }
        record.storeBytes(of: hash, as: UInt32.self)
        return id
    }

    /// Fills the slots of the groups that were appended, so that they can be found.
    private func fillSlots() {
        let (shift, last) = (64 - UInt64(slotBits), 1 << slotBits - 1)
        let ahead = 16
        for id in slotted..<count {
            if id + ahead < count {
                kj_prefetch(slots + Self.home(hash(UInt32(id + ahead)), shift: shift))
            }
            let hash = hash(UInt32(id))
            var slot = Self.home(hash, shift: shift)
            while slots[slot] != 0 { slot = (slot + 1) & last }
            slots[slot] = UInt64(hash) << 32 | UInt64(id + 1)
        }
        slotted = count
    }

    /// Finds the group of one key, and creates it if it is new.
    func find(keys: [KeyColumn]) -> (id: UInt32, isNew: Bool) {
        let before = count
        oneFound.removeAll(keepingCapacity: true)
        find(rows: Self.firstRow, keys: keys, into: &oneFound, fresh: &oneFresh)
        oneFresh.removeAll(keepingCapacity: true)
        return (oneFound[0], count > before)
    }

    private static let firstRow: ArraySlice<Int32> = [0]

    @inline(__always)
    private static func home(_ hash: UInt32, shift: UInt64) -> Int {
        Int(truncatingIfNeeded: (UInt64(hash) &* 0x9E37_79B9_7F4A_7C15) &>> shift)
    }

    private func hash(_ rows: UnsafeBufferPointer<Int32>, _ keys: [KeyColumn]) {
        if hashCapacity < rows.count {
            hashes.deallocate()
            hashCapacity = rows.count
            hashes = .allocate(capacity: hashCapacity)
        }
        let hashes = hashes
        hashes.update(repeating: 0, count: rows.count)
        for key in keys {
            switch key {
            case .integers(let integers):
                for index in 0..<rows.count {
                    hashes[index] = Self.mix(hashes[index], Self.hash(integers[Int(rows[index])]))
                }
            case .texts(let texts):
                for index in 0..<rows.count {
                    hashes[index] = Self.mix(hashes[index], texts[Int(rows[index])].hash)
                }
            }
        }
    }

    /// The hash of a record's key. Indexes on disk hold it, so another way to hash needs another
    /// ``KeyIndexFormat``.
    @inline(__always)
    func hash(_ id: UInt32) -> UInt32 { record(id).load(as: UInt32.self) }

    /// Adds the next part of a key to its hash, which starts at zero.
    static func hash(_ before: UInt32, integer: Int64) -> UInt32 { mix(before, hash(integer)) }
    static func hash(_ before: UInt32, text: UnsafeRawBufferPointer) -> UInt32 {
        mix(before, kj_hash(text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count))
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

    private func setKey(
        _ id: UInt32, _ keys: UnsafeBufferPointer<KeyColumn>, _ row: Int
    ) {
        for part in 0..<keys.count {
            let cell = record(id) + 16 + 16 * part
            switch keys[part] {
            case .integers(let integers): cell.storeBytes(of: integers[row], as: Int64.self)
            case .texts(let column):
                let text = column[row]
                if TextCell.setInline(cell, text.buffer) { continue }
                TextCell.setBorrowed(cell, texts.add(text.buffer, hash: text.hash).buffer)
            }
        }
    }

    /// Makes room for as many new groups as `rows`, so that no memory moves while they are added.
    private func makeRoom(for rows: Int) {
        makeRecords(for: rows)
        var bits = slotBits
        while (count + rows) * 2 > 1 << bits { bits += 1 }
        if bits > slotBits { growSlots(to: bits) }
    }

    private func makeRecords(for rows: Int) {
        guard count + rows > capacity else { return }
        while count + rows > capacity { capacity *= 2 }
        memory = LargeMemory.resized(memory, byteCount: capacity * stride)
    }

    private func growSlots(to bits: Int) {
        let old = slots
        let oldCount = 1 << slotBits
        (slots, slotBits) = Self.makeSlots(bits: bits)
        let shift = 64 - UInt64(bits)
        for index in 0..<oldCount where old[index] != 0 {
            var slot = Self.home(UInt32(truncatingIfNeeded: old[index] >> 32), shift: shift)
            while slots[slot] != 0 { slot = (slot + 1) & (1 << slotBits - 1) }
            slots[slot] = old[index]
        }
        free(old)
    }

    /// Forgets every group. The owner has freed what its states hold.
    /// - Parameter keepingMemory: Whether about as many groups will follow. Then their memory is kept.
    func reset(keepingMemory: Bool = false) {
        count = 0
        slotted = 0
        texts.clear()
        if keepingMemory { return slots.update(repeating: 0, count: 1 << slotBits) }
        shrink()
    }

    /// Frees the memory that the remaining groups do not need. Their slots are not filled yet.
    private func shrink() {
        free(slots)
        (slots, slotBits) = Self.makeSlots(bits: 10)
        slotted = 0
        capacity = 256
        while capacity < count { capacity *= 2 }
        memory = LargeMemory.resized(memory, byteCount: capacity * stride)
    }

    /// Forgets the groups that are not needed. The others get new numbers, in the order of their old ones.
    /// - Returns: The new number of each old group. The number of a forgotten group means nothing.
    func compact(keeping isNeeded: (UInt32) -> Bool) -> [UInt32] {
        var numbers = [UInt32](repeating: .max, count: count)
        var keptTexts = ByteArena()
        var kept: UInt32 = 0
        for id in 0..<UInt32(count) where isNeeded(id) {
            for part in keyIsText.indices where keyIsText[part] {
                let cell = record(id) + (16 + 16 * part)
                if TextCell.length(cell) <= TextCell.mostInline { continue }
                TextCell.setBorrowed(cell, keptTexts.add(TextCell.text(cell)).buffer)
            }
            if kept < id { record(kept).copyMemory(from: record(id), byteCount: stride) }
            numbers[Int(id)] = kept
            kept += 1
        }
        count = Int(kept)
        texts = keptTexts
        shrink()
        return numbers
    }
}

extension UInt32 {
    @inline(__always)
    fileprivate var rotated13: UInt32 { self << 13 | self >> 19 }
}
