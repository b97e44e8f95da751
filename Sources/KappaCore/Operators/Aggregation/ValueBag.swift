import CKappaJSON

/// The values of a group in order, each with its count: the state of an exact quantile. With the numbers of a
/// ``QuantileBucket`` as its values it is the sketch of an approximate quantile.
///
/// Its contents and its saved bytes depend only on the multiset of values, not on their order.
///
/// The compiler does not specialise a generic class unasked, so the methods that run for each value name the
/// keys to specialise for.
final class ValueBag<Key: StateKey>: StateObject {
    private let kind: ColumnKind
    private let isApproximate: Bool
    private let fraction: Double
    /// Different values in ascending order.
    private var keys: [Key] = []
    private var counts: [Int64] = []
    private var total: Int64 = 0
    /// The index of the last answer, and how many values precede it: the next answer is seldom far away.
    private var place = 0
    private var before: Int64 = 0
    /// Values not yet merged into `keys`.
    private var pending: [Key] = []
    private var heapBytes = 0
    private var held = HeldText()

    init(_ accumulator: Accumulator) {
        kind = accumulator.kind
        isApproximate = accumulator.function == .approximateQuantile
        fraction = accumulator.settings.fraction
        super.init(accumulator.heldBytes)
        account()
    }

    private func account() {
        let stride = MemoryLayout<Key>.stride
        hold(
            StateObject.overheadBytes + (keys.capacity + pending.capacity) * stride
                + counts.capacity * 8 + heapBytes + held.byteCount)
    }

    @_specialize(where Key == Int64)
    @_specialize(where Key == ExactDecimal)
    override func add(_ column: kj_column, _ order: kj_column?, _ row: Int, offset: Int64) {
        guard let key = isApproximate ? bucket(column, row) : Key.read(column, row, kind) else {
            return
        }
        add(key)
    }

    private func bucket(_ column: kj_column, _ row: Int) -> Key? {
        QuantileBucket.number(column.doubleValue(row, kind)) as? Key
    }

    @inline(__always)
    private func add(_ key: Key) {
        let isFull = pending.count == pending.capacity
        pending.append(key)
        heapBytes += key.heapBytes
        if isFull { account() }
        if pending.count >= max(64, keys.count / 4) { fold() }
    }

    /// Merges the pending values into `keys`.
    @_specialize(where Key == Int64)
    @_specialize(where Key == ExactDecimal)
    private func fold() {
        guard !pending.isEmpty else { return }
        if pending.count < keys.count / 64 {
            for key in pending { insert(key) }
            account()
        } else {
            pending.sort()
            combine(pending, nil)
        }
        pending.removeAll(keepingCapacity: true)
    }

    /// Inserts one value at its place.
    @inline(__always)
    private func insert(_ key: Key) {
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        total &+= 1
        if low < keys.count, keys[low] == key {
            counts[low] &+= 1
            heapBytes -= key.heapBytes
            if low < place { before &+= 1 }
            return
        }
        keys.insert(key, at: low)
        counts.insert(1, at: low)
        if low <= place {
            place += 1
            before &+= 1
        }
    }

    /// Merges in other values, which are in order, each with its count from `times`. If `times` is nil, each
    /// counts once, and equal values may follow each other.
    @_specialize(where Key == Int64)
    @_specialize(where Key == ExactDecimal)
    private func combine(_ others: [Key], _ times: [Int64]?) {
        var merged: [Key] = []
        var mergedCounts: [Int64] = []
        merged.reserveCapacity(keys.count + others.count)
        mergedCounts.reserveCapacity(keys.count + others.count)
        var mine = 0
        for (index, other) in others.enumerated() {
            while mine < keys.count, !(other < keys[mine]) {
                merged.append(keys[mine])
                mergedCounts.append(counts[mine])
                mine += 1
            }
            let count = times?[index] ?? 1
            total &+= count
            if let last = merged.last, last == other {
                mergedCounts[mergedCounts.count - 1] &+= count
                heapBytes -= other.heapBytes
            } else {
                merged.append(other)
                mergedCounts.append(count)
            }
        }
        merged += keys[mine...]
        mergedCounts += counts[mine...]
        keys = merged
        counts = mergedCounts
        (place, before) = (0, 0)
        account()
    }

    override func merge(_ other: StateObject) {
        guard let other = other as? ValueBag<Key> else { return }
        fold()
        other.fold()
        heapBytes += other.heapBytes
        combine(other.keys, other.counts)
    }

    /// By nearest rank: the value at place ⌈fraction × n⌉ of n values in order; the first for fraction 0.
    @_specialize(where Key == Int64)
    @_specialize(where Key == ExactDecimal)
    private func quantile() -> Key? {
        fold()
        guard !keys.isEmpty else { return nil }
        let rank = max(1, min(total, Int64((fraction * Double(total)).rounded(.up))))
        if place == keys.count { (place, before) = (0, 0) }
        while before >= rank {
            place -= 1
            before &-= counts[place]
        }
        while before &+ counts[place] < rank {
            before &+= counts[place]
            place += 1
        }
        return keys[place]
    }

    override func emit(to sink: inout some CellSink) {
        guard let quantile = quantile() else { return sink.null() }
        if isApproximate, let number = quantile as? Int64 {
            sink.double(QuantileBucket.value(number))
        } else {
            quantile.emit(kind, &held, to: &sink)
        }
        account()
    }

    @_specialize(where Key == Int64)
    @_specialize(where Key == ExactDecimal)
    override func save(to state: inout StateWriter) {
        fold()
        state.write(short: UInt64(keys.count))
        if let integers = keys as? [Int64] {
            state.write(ascending: integers)
        } else {
            for key in keys { key.write(to: &state) }
        }
        for count in counts { state.write(short: UInt64(count)) }
    }

    override func load(
        from state: inout StateReader, _ cursor: any RowCursor, _ column: Int
    ) throws(KappaError) {
        try load(from: &state)
    }

    func load(from state: inout StateReader) throws(KappaError) {
        var keys: [Key] = []
        var integer = Int64.min
        for _ in 0..<(try state.readShortCount()) {
            if Key.self == Int64.self {
                integer = try state.readInteger(above: integer)
                if let key = integer as? Key { keys.append(key) }
            } else {
                keys.append(try Key.read(from: &state))
            }
        }
        var counts: [Int64] = []
        var sum: Int64 = 0
        for (index, key) in keys.enumerated() {
            let count = Int64(truncatingIfNeeded: try state.readShort())
            let (next, overflow) = sum.addingReportingOverflow(count)
            guard count > 0, !overflow, index == 0 || keys[index - 1] < key else {
                throw StateReader.damage("its values are not in order")
            }
            sum = next
            counts.append(count)
            heapBytes += key.heapBytes
        }
        combine(keys, counts)
    }
}

/// The buckets of an approximate quantile: 64 for each power of two, for positive and for negative numbers,
/// and one for zero. The number at which a bucket begins has a place of its own, before the bucket's other
/// numbers. All whole numbers up to 128 are such numbers.
///
/// The guarantee is that of DDSketch (Masson, Rim and Lee, 2019): the value that represents a bucket is at
/// most 1/129 = 0.78 % away from any number in it. Where DDSketch takes a logarithm, this takes the exponent
/// and the upper bits of the number itself, because a logarithm may round differently from machine to
/// machine.
enum QuantileBucket {
    private static let shift: UInt64 = 46
    private static let infinity: Int64 = 0x7FF << 6

    /// Places are numbered in the order of their values; the beginning of a bucket has an even number.
    /// Numbers nearer to zero than 2^-1022 count as zero.
    static func number(_ value: Double) -> Int64 {
        guard !value.isSubnormal else { return 0 }
        let bits = value.magnitude.bitPattern
        let isBeginning = bits & (1 << shift - 1) == 0
        let number = Int64(bits >> shift) * 2 + (isBeginning ? 0 : 1)
        return value < 0 ? -number : number
    }

    /// The value that represents a place.
    static func value(_ number: Int64) -> Double {
        let sign: Double = number < 0 ? -1 : 1
        let place = min(2 * infinity, Int64(clamping: number.magnitude))
        let bucket = place / 2
        let least = Double(bitPattern: UInt64(bucket) << shift)
        if place % 2 == 0 { return sign * least }
        // At the same relative distance from both ends of the bucket.
        return sign * least * (1 + 1 / Double(129 + 2 * (bucket & 63)))
    }
}
