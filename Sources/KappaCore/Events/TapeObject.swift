/// The members of an object on a ``JSONTape``, for a type that asks for them by their keys.
struct TapeObject<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: TapeDecoder
    /// Where the properties are; nil if keys are data, as those of a dictionary are.
    let order: MemberOrder?
    /// Where the nodes of this object's values begin in ``TapeReader/members``.
    let first: Int

    var codingPath: [any CodingKey] { decoder.codingPath }
    private var owner: TapeReader { decoder.owner }

    var allKeys: [Key] {
        names.compactMap { Key(stringValue: owner.tape.string($0)) }
    }

    /// The nodes of the members' names.
    private var names: [Int] {
        var name = decoder.node + 1
        return (0..<Int(owner.tape[decoder.node].count)).map { _ in
            defer { name = Int(owner.tape[name + 1].next) }
            return name
        }
    }

    // MARK: Finding members

    /// The node of the value under a key; negative if there is none.
    @inline(__always)
    private func find(_ key: Key) -> Int {
        guard let order else { return owner.find(key.stringValue, in: decoder.node) }
        let place = order.place(Self.rank(of: key), key.stringValue)
        return place < 0 ? place : Int(owner.members[first + place])
    }

    /// The position of a property among those of its type.
    @inline(__always)
    private static func rank(of key: Key) -> Int {
        withUnsafeBytes(of: key) { bytes in
            switch bytes.count {
            case 0: 0
            case 1: Int(bytes[0])
            default: Int(bytes[0]) | Int(bytes[1]) << 8
            }
        }
    }

    private func require(_ key: Key) throws -> Int {
        let node = find(key)
        guard node >= 0 else { throw owner.refuse() }
        return node
    }

    /// The node of a value that may be missing or null; negative if it is.
    private func optional(_ key: Key) -> Int {
        let node = find(key)
        return node >= 0 && owner.isNull(node) ? -1 : node
    }

    private func at(_ key: Key) throws -> TapeDecoder { decoder.inside(try require(key)) }

    // MARK: Values

    func contains(_ key: Key) -> Bool { find(key) >= 0 }
    func decodeNil(forKey key: Key) throws -> Bool { optional(key) < 0 }

    func decode(_ type: String.Type, forKey key: Key) throws -> String {
        try owner.string(require(key))
    }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try owner.bool(require(key)) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double {
        try owner.double(require(key))
    }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int {
        try Int(owner.int64(require(key)))
    }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try at(key).decode(type)
    }

    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
        let node = optional(key)
        return node < 0 ? nil : try owner.string(node)
    }
    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? {
        let node = optional(key)
        return node < 0 ? nil : try owner.bool(node)
    }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? {
        let node = optional(key)
        return node < 0 ? nil : try owner.double(node)
    }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? {
        let node = optional(key)
        return node < 0 ? nil : try Int(owner.int64(node))
    }
    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        let node = optional(key)
        return node < 0 ? nil : try decoder.inside(node).decode(type)
    }

    func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<K> {
        try at(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try at(key).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder { decoder }
    func superDecoder(forKey key: Key) throws -> any Decoder { try at(key) }
}

/// Where the properties of one type of keys stand in objects, for each order of names that was met.
final class MemberOrders {
    /// By the hash of the names; a new order takes an old one's place.
    private var known: [MemberOrder?] = Array(repeating: nil, count: 1_024)
    /// The order of the last object.
    private var last: MemberOrder?

    /// The order of an object's names. The nodes of its values are appended to `members`.
    func order(of object: Int, in tape: JSONTape, _ members: inout [Int32]) -> MemberOrder {
        if let last, last.matches(object, tape, &members) { return last }
        let place = Int(tape[object].hash & 1_023)
        if let order = known[place], order.matches(object, tape, &members) {
            last = order
            return order
        }
        let order = MemberOrder(object, tape)
        (known[place], last) = (order, order)
        _ = order.matches(object, tape, &members)
        return order
    }
}

/// The names of an object's members in their order, and where a type's properties are among them.
final class MemberOrder {
    /// The names as they stand in the text, one after another, and where each ends.
    private let bytes: [UInt8]
    private let ends: [Int]
    private let hash: UInt32
    private let names: NameIndex
    /// The members that the properties are, by the properties' ranks.
    private var places: [Int32] = []
    private static let missing: Int32 = -1
    private static let unknown: Int32 = -2

    fileprivate init(_ object: Int, _ tape: JSONTape) {
        var (bytes, ends, names): ([UInt8], [Int], [String]) = ([], [], [])
        var name = object + 1
        for _ in 0..<tape[object].count {
            bytes += tape.bytes(name)
            ends.append(bytes.count)
            names.append(tape.string(name))
            name = Int(tape[name + 1].next)
        }
        (self.bytes, self.ends, self.names) = (bytes, ends, NameIndex(names))
        hash = tape[object].hash
    }

    /// Whether an object has these names in this order. If so, the nodes of its values are appended.
    fileprivate func matches(_ object: Int, _ tape: JSONTape, _ members: inout [Int32]) -> Bool {
        let whole = tape[object]
        guard whole.hash == hash, ends.count == Int(whole.count) else { return false }
        let first = members.count
        var (name, start) = (object + 1, 0)
        for end in ends {
            guard isSame(tape.bytes(name), start..<end) else {
                members.removeLast(members.count - first)
                return false
            }
            members.append(Int32(name + 1))
            start = end
            name = Int(tape[name + 1].next)
        }
        return true
    }

    @inline(__always)
    private func isSame(_ name: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        guard name.count == range.count else { return false }
        return bytes.withUnsafeBytes { bytes in
            guard let a = name.baseAddress, let b = bytes.baseAddress else { return true }
            return ByteOrder.isSame(a, b + range.lowerBound, count: range.count)
        }
    }

    /// The member that a property is; negative if there is none.
    @inline(__always)
    func place(_ rank: Int, _ name: @autoclosure () -> String) -> Int {
        if rank < places.count, places[rank] != Self.unknown { return Int(places[rank]) }
        return learn(rank, name())
    }

    private func learn(_ rank: Int, _ name: String) -> Int {
        while places.count <= rank { places.append(Self.unknown) }
        places[rank] = names.place(of: name).map { Int32($0) } ?? Self.missing
        return Int(places[rank])
    }
}
