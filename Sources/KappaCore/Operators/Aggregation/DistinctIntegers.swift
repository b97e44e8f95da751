import CKappaJSON

/// The distinct integers of a group (or timestamps, booleans, or doubles by their bits): an open-addressing
/// set of 64-bit words.
///
/// It saves the integers in order, so the saved bytes depend only on the set.
final class DistinctIntegers: StateObject {
    private let kind: ColumnKind
    /// Zero marks an empty slot; `hasZero` records whether the set holds zero.
    private var slots: UnsafeMutablePointer<Int64>
    private var slotBits = 2
    /// How many slots are taken, and how many may be before the set grows.
    private var taken = 0
    private var most = 3
    private var hasZero = false

    init(kind: ColumnKind, _ counter: UnsafeMutablePointer<Int>? = nil) {
        self.kind = kind
        slots = Self.makeSlots(bits: 2)
        super.init(counter)
        account()
    }

    deinit { slots.deallocate() }

    var count: Int { taken + (hasZero ? 1 : 0) }

    private static func makeSlots(bits: Int) -> UnsafeMutablePointer<Int64> {
        let slots = UnsafeMutablePointer<Int64>.allocate(capacity: 1 << bits)
        slots.initialize(repeating: 0, count: 1 << bits)
        return slots
    }

    private func account() { hold(StateObject.overheadBytes + 8 << slotBits) }

    override func add(_ column: kj_column, _ order: kj_column?, _ row: Int, offset: Int64) {
        switch kind {
        // 0.0 and -0.0 are equal, so they must count as one value: adding 0 turns both into 0.0.
        case .double: insert(Int64(bitPattern: (column.doubles[row] + 0).bitPattern))
        case .bool: insert(column.integers[row] != 0 ? 1 : 0)
        case .integer, .timestamp, .decimal, .text, .json: insert(column.integers[row])
        }
    }

    @inline(__always)
    func insert(_ value: Int64) {
        let (slots, bits) = (slots, slotBits)
        var slot = Self.home(value, bits)
        // The search ends at an empty slot at the latest: at least a quarter of the slots are empty.
        while slots[slot] != value {
            if slots[slot] == 0 { return insertNew(value, at: slot) }
            slot = (slot + 1) & (1 << bits - 1)
        }
        if value == 0 { hasZero = true }
    }

    @inline(__always)
    private static func home(_ value: Int64, _ bits: Int) -> Int {
        let product = UInt64(bitPattern: value) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: product >> UInt64(64 - bits))
    }

    private func insertNew(_ value: Int64, at slot: Int) {
        slots[slot] = value
        taken += 1
        if taken > most { grow() }
    }

    private func grow() {
        let old = slots
        let oldCount = 1 << slotBits
        slotBits += 1
        most = (1 << slotBits) / 4 * 3
        slots = Self.makeSlots(bits: slotBits)
        for index in 0..<oldCount where old[index] != 0 {
            var slot = Self.home(old[index], slotBits)
            while slots[slot] != 0 { slot = (slot + 1) & (1 << slotBits - 1) }
            slots[slot] = old[index]
        }
        old.deallocate()
        account()
    }

    override func merge(_ other: StateObject) {
        guard let other = other as? DistinctIntegers else { return }
        if other.hasZero { hasZero = true }
        for index in 0..<(1 << other.slotBits) where other.slots[index] != 0 {
            insert(other.slots[index])
        }
    }

    override func emit(to sink: inout some CellSink) { sink.integer(Int64(count)) }

    /// The values in order.
    var sorted: [Int64] {
        var values: [Int64] = []
        values.reserveCapacity(count)
        if hasZero { values.append(0) }
        for index in 0..<(1 << slotBits) where slots[index] != 0 { values.append(slots[index]) }
        WordSort.sort(&values)
        return values
    }

    override func save(to state: inout StateWriter) {
        let values = sorted
        state.write(short: UInt64(values.count))
        state.write(ascending: values)
    }

    override func load(
        from state: inout StateReader, _ cursor: any RowCursor, _ column: Int
    ) throws(KappaError) {
        try load(from: &state)
    }

    func load(from state: inout StateReader) throws(KappaError) {
        var last = Int64.min
        for _ in 0..<(try state.readShortCount()) {
            last = try state.readInteger(above: last)
            insert(last)
        }
    }
}
