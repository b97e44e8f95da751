import CKappaJSON

/// The approximate number of distinct values of a group: HyperLogLog with 4,096 registers.
///
/// Flajolet and others (2007) for the registers, Ertl (2017, "New cardinality estimation algorithms for
/// HyperLogLog sketches") for the estimate, which is good from one value to billions. The standard error is
/// 1.04 / √4096 = 1.6 %. Its contents depend only on the set of values, not on their order, and the merge of
/// two sketches equals the sketch of all values.
final class DistinctSketch: StateObject {
    static let indexBits = 12
    static let registerCount = 1 << indexBits
    /// The largest rank: the number of bits left in the hash, plus one for a hash in which all of them are
    /// zero.
    static let maximumRank = 64 - indexBits + 1
    private static let sparseLimit = 512

    /// The nonzero registers, as index × 256 + rank, sorted; used while there are few.
    private var sparse: [UInt32] = []
    /// All registers, once many are nonzero; empty before.
    private var dense: [UInt8] = []
    private let kind: ColumnKind

    init(kind: ColumnKind = .integer, _ counter: UnsafeMutablePointer<Int>? = nil) {
        self.kind = kind
        super.init(counter)
        account()
    }

    private func account() {
        hold(StateObject.overheadBytes + sparse.capacity * 4 + dense.capacity)
    }

    override func add(_ column: kj_column, _ order: kj_column?, _ row: Int, offset: Int64) {
        insert(hash: Self.hash(column, row, kind: kind))
    }

    /// Adds a value by its hash.
    func insert(hash: UInt64) {
        let index = Int(hash >> UInt64(64 - Self.indexBits))
        let rest = hash << UInt64(Self.indexBits)
        let rank = min(rest.leadingZeroBitCount + 1, Self.maximumRank)
        raise(index, to: UInt8(rank))
    }

    private func raise(_ index: Int, to rank: UInt8) {
        if !dense.isEmpty {
            dense[index] = max(dense[index], rank)
            return
        }
        let entry = UInt32(index) << 8 | UInt32(rank)
        var low = 0
        var high = sparse.count
        while low < high {
            let middle = (low + high) / 2
            if sparse[middle] >> 8 < UInt32(index) { low = middle + 1 } else { high = middle }
        }
        if low < sparse.count, sparse[low] >> 8 == UInt32(index) {
            sparse[low] = max(sparse[low], entry)
        } else {
            let isFull = sparse.count == sparse.capacity
            sparse.insert(entry, at: low)
            if isFull { account() }
            if sparse.count > Self.sparseLimit { becomeDense() }
        }
    }

    private func becomeDense() {
        dense = [UInt8](repeating: 0, count: Self.registerCount)
        for entry in sparse { dense[Int(entry >> 8)] = UInt8(truncatingIfNeeded: entry) }
        sparse = []
        account()
    }

    override func merge(_ other: StateObject) {
        guard let other = other as? DistinctSketch else { return }
        for entry in other.sparse {
            raise(Int(entry >> 8), to: UInt8(truncatingIfNeeded: entry))
        }
        for (index, rank) in other.dense.enumerated() where rank > 0 { raise(index, to: rank) }
    }

    override func emit(to sink: inout some CellSink) { sink.integer(estimate) }

    override func save(to state: inout StateWriter) {
        state.write(Int64(dense.isEmpty ? sparse.count : Self.registerCount))
        for entry in sparse { state.write(entry) }
        for rank in dense { state.write(rank) }
    }

    override func load(
        from state: inout StateReader, _ cursor: any RowCursor, _ column: Int
    ) throws(KappaError) {
        try load(from: &state)
    }

    func load(from state: inout StateReader) throws(KappaError) {
        let count = try state.readCount()
        if count == Self.registerCount {
            if dense.isEmpty { becomeDense() }
            for index in 0..<Self.registerCount {
                raise(index, to: try checked(try state.readByte()))
            }
        } else {
            for _ in 0..<count {
                let entry = try state.readWord()
                guard entry >> 8 < Self.registerCount else {
                    throw StateReader.damage("it names a register that is not there")
                }
                raise(Int(entry >> 8), to: try checked(UInt8(truncatingIfNeeded: entry)))
            }
        }
    }

    private func checked(_ rank: UInt8) throws(KappaError) -> UInt8 {
        guard rank <= Self.maximumRank else {
            throw StateReader.damage("a register is larger than it can be")
        }
        return rank
    }

    // MARK: The estimate

    /// The estimated number of distinct values, rounded.
    var estimate: Int64 {
        var counts = [Int](repeating: 0, count: Self.maximumRank + 1)
        for entry in sparse { counts[Int(entry & 0xFF)] += 1 }
        for rank in dense { counts[Int(rank)] += 1 }
        if dense.isEmpty { counts[0] = Self.registerCount - sparse.count }
        let m = Double(Self.registerCount)
        if counts[0] == Self.registerCount { return 0 }
        let last = counts[Self.maximumRank]
        var z = m * Self.tau(1 - Double(last) / m)
        for rank in (1..<Self.maximumRank).reversed() {
            z = 0.5 * (z + Double(counts[rank]))
        }
        z += m * Self.sigma(Double(counts[0]) / m)
        // 1 / (2 ln 2)
        let alpha = 0.721_347_520_444_481_7
        return Int64((alpha * m * m / z).rounded())
    }

    private static func sigma(_ x: Double) -> Double {
        var x = x
        var y = 1.0
        var z = x
        while true {
            x *= x
            let before = z
            z += x * y
            y += y
            if z == before { return z }
        }
    }

    private static func tau(_ x: Double) -> Double {
        if x == 0 || x == 1 { return 0 }
        var x = x
        var y = 1.0
        var z = 1 - x
        while true {
            x = x.squareRoot()
            let before = z
            y *= 0.5
            z -= (1 - x) * (1 - x) * y
            if z == before { return z / 3 }
        }
    }

    // MARK: Hashes

    private static func hash(_ column: kj_column, _ row: Int, kind: ColumnKind) -> UInt64 {
        switch kind {
        case .bool: mix(column.integers[row] != 0 ? 1 : 0)
        case .integer, .timestamp: mix(UInt64(bitPattern: column.integers[row]))
        // 0.0 and -0.0 are equal, so they must hash alike: adding 0 turns both into 0.0.
        case .double: mix((column.doubles[row] + 0).bitPattern)
        case .decimal: hash(column.decimal(row) ?? 0)
        case .text, .json: hash(column.strings[row].buffer)
        }
    }

    private static func hash(_ decimal: ExactDecimal) -> UInt64 {
        let bits = UInt128(bitPattern: decimal.mantissa)
        let high = mix(UInt64(truncatingIfNeeded: bits >> 64) ^ UInt64(decimal.scale) << 32)
        return mix(UInt64(truncatingIfNeeded: bits) ^ high)
    }

    /// Eight bytes at a time, little-endian, the last word padded with zeros.
    static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var result = mix(UInt64(bytes.count))
        var index = 0
        while index + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            result = mix(result ^ UInt64(littleEndian: word))
            index += 8
        }
        guard index < bytes.count else { return result }
        var rest: UInt64 = 0
        for byte in bytes[index...].reversed() { rest = rest << 8 | UInt64(byte) }
        return mix(result ^ rest)
    }

    /// The finaliser of SplitMix64: every bit of the word affects every bit of the hash.
    static func mix(_ word: UInt64) -> UInt64 {
        var hash = word &+ 0x9E37_79B9_7F4A_7C15
        hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
        return hash ^ (hash >> 31)
    }
}
