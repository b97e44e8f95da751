import CKappaJSON

/// The distinct texts of a group, compared by their bytes, or its distinct decimals, each as its digits and
/// its scale: an open-addressing set over one buffer of bytes.
///
/// It saves the texts in order, so the saved bytes depend only on the set.
final class DistinctTexts: StateObject {
    private let kind: ColumnKind
    /// The place of each text in `bytes`, plus one, with 24 bits of its hash on top; 0 is an empty slot.
    private var slots: UnsafeMutablePointer<UInt64>
    private var slotBits = 2
    /// Each text, preceded by its hash and its length, of four bytes each.
    private var bytes: UnsafeMutableRawPointer
    private var used = 0
    private var capacity = 64
    private(set) var count = 0

    private static let placeBits: UInt64 = 40
    private static let headBytes = 8

    init(kind: ColumnKind, _ counter: UnsafeMutablePointer<Int>? = nil) {
        self.kind = kind
        slots = Self.makeSlots(bits: 2)
        bytes = .allocate(byteCount: 64, alignment: 8)
        super.init(counter)
        account()
    }

    deinit {
        slots.deallocate()
        bytes.deallocate()
    }

    private static func makeSlots(bits: Int) -> UnsafeMutablePointer<UInt64> {
        let slots = UnsafeMutablePointer<UInt64>.allocate(capacity: 1 << bits)
        slots.initialize(repeating: 0, count: 1 << bits)
        return slots
    }

    private func account() { hold(StateObject.overheadBytes + capacity + 8 << slotBits) }

    override func add(_ column: kj_column, _ order: kj_column?, _ row: Int, offset: Int64) {
        if kind != .decimal {
            insert(column.strings[row].buffer, hash: column.strings[row].hash)
        } else if let decimal = column.decimal(row) {
            // Equal decimals have the same form, and so the same bytes.
            var word = (decimal.mantissa.littleEndian, UInt8(decimal.scale))
            withUnsafeBytes(of: &word) { word in
                insert(UnsafeRawBufferPointer(rebasing: word[0..<17]))
            }
        }
    }

    func insert(_ text: UnsafeRawBufferPointer) {
        insert(
            text, hash: kj_hash(text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count))
    }

    private func insert(_ text: UnsafeRawBufferPointer, hash: UInt32) {
        let tag = UInt64(hash & 0xFF_FFFF) << Self.placeBits
        var slot = Self.home(hash, slotBits)
        while slots[slot] != 0 {
            let entry = slots[slot]
            if entry >> Self.placeBits == tag >> Self.placeBits,
                Self.areEqual(self.text(at: Self.place(entry)), text)
            {
                return
            }
            slot = (slot + 1) & (1 << slotBits - 1)
        }
        slots[slot] = tag | UInt64(append(text, hash) + 1)
        count += 1
        if count > (1 << slotBits) / 4 * 3 { grow() }
    }

    @inline(__always)
    private static func home(_ hash: UInt32, _ bits: Int) -> Int {
        Int(truncatingIfNeeded: (UInt64(hash) &* 0x9E37_79B9_7F4A_7C15) >> UInt64(64 - bits))
    }

    private static func place(_ entry: UInt64) -> Int {
        Int(entry & (1 << placeBits - 1)) - 1
    }

    private static func areEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        a.count == b.count && ByteOrder.compare(a, b) == 0
    }

    private func text(at place: Int) -> UnsafeRawBufferPointer {
        let count = bytes.loadUnaligned(fromByteOffset: place + 4, as: UInt32.self)
        return UnsafeRawBufferPointer(start: bytes + place + Self.headBytes, count: Int(count))
    }

    /// Appends a text; returns its place.
    private func append(_ text: UnsafeRawBufferPointer, _ hash: UInt32) -> Int {
        let place = used
        reserve(place + Self.headBytes + text.count)
        bytes.storeBytes(of: hash, toByteOffset: place, as: UInt32.self)
        bytes.storeBytes(of: UInt32(text.count), toByteOffset: place + 4, as: UInt32.self)
        if let source = text.baseAddress {
            (bytes + place + Self.headBytes).copyMemory(from: source, byteCount: text.count)
        }
        used = place + Self.headBytes + text.count
        return place
    }

    private func reserve(_ size: Int) {
        guard size > capacity else { return }
        let larger = max(size, capacity + capacity / 2)
        let new = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 8)
        new.copyMemory(from: bytes, byteCount: used)
        bytes.deallocate()
        bytes = new
        capacity = larger
        account()
    }

    private func grow() {
        let old = slots
        let oldCount = 1 << slotBits
        slotBits += 1
        slots = Self.makeSlots(bits: slotBits)
        for index in 0..<oldCount where old[index] != 0 {
            let hash = bytes.loadUnaligned(
                fromByteOffset: Self.place(old[index]), as: UInt32.self)
            var slot = Self.home(hash, slotBits)
            while slots[slot] != 0 { slot = (slot + 1) & (1 << slotBits - 1) }
            slots[slot] = old[index]
        }
        old.deallocate()
        account()
    }

    /// The place of each text, in the order of insertion.
    private var places: [Int] {
        var places: [Int] = []
        places.reserveCapacity(count)
        var place = 0
        while place < used {
            places.append(place)
            place += Self.headBytes + text(at: place).count
        }
        return places
    }

    override func merge(_ other: StateObject) {
        guard let other = other as? DistinctTexts else { return }
        for place in other.places { insert(other.text(at: place)) }
    }

    override func emit(to sink: inout some CellSink) { sink.integer(Int64(count)) }

    override func save(to state: inout StateWriter) {
        let places = places
        var sort = KeySort((0..<UInt32(places.count)).map { $0 })
        sort.sortByTexts { text(at: places[Int($0)]) }
        state.write(short: UInt64(places.count))
        for id in sort.ids { state.write(text: text(at: places[Int(id)])) }
    }

    override func load(
        from state: inout StateReader, _ cursor: any RowCursor, _ column: Int
    ) throws(KappaError) {
        try load(from: &state)
    }

    func load(from state: inout StateReader) throws(KappaError) {
        for _ in 0..<(try state.readShortCount()) { insert(try state.readBytes()) }
    }
}
