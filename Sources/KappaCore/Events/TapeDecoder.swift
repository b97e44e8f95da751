import CKappaJSON

/// Decodes values from a ``JSONTape``: the fast way to decode what columns cannot hold, as arrays of structs.
///
/// It gives what ``ValueDecoder`` gives, or nothing: where anything at all fails, even if the type's own
/// `init(from:)` catches that, the value is decoded again from its text. So every reason of a dead letter is
/// the slow decoder's, and only values without a failure are fast.
///
/// Where a property's value stands in an object is learned once for each type and each order of names, and
/// is found again by comparing the names' bytes: see ``MemberOrders``.
final class TapeReader {
    // No access to these can overlap another: one thread uses them, and none is passed on to a type's code.
    @exclusivity(unchecked) private(set) var tape = JSONTape()
    private let times: TimeRules
    /// Whether the value must be decoded from its text.
    @exclusivity(unchecked) private(set) var needsText = false
    /// For each object that was opened, the nodes of its members' values.
    @exclusivity(unchecked) fileprivate(set) var members: [Int32] = []
    @exclusivity(unchecked) private var orders: [(id: ObjectIdentifier, orders: MemberOrders)] = []
    @exclusivity(unchecked) private var kinds: [(id: ObjectIdentifier, kind: ValueKind)] = []

    init(times: TimeRules) { self.times = times }

    deinit { tape.deallocate() }

    /// Parses a text.
    /// - Returns: Whether it could be parsed.
    func load(_ text: UnsafeRawBufferPointer) -> Bool {
        needsText = false
        members.removeAll(keepingCapacity: true)
        latest = (-1, 0)
        return tape.parse(text)
    }

    /// A decoder for the whole text.
    /// - Parameter level: How deep in its event the text is.
    func decoder(level: Int) -> TapeDecoder { TapeDecoder(owner: self, node: 0, level: level) }

    /// The error is never seen, because the value is then decoded from its text.
    func refuse() -> NotDecoded {
        needsText = true
        return NotDecoded()
    }

    struct NotDecoded: Error {}

    fileprivate func orders(of keys: any Any.Type) -> MemberOrders {
        let id = ObjectIdentifier(keys)
        for known in orders where known.id == id { return known.orders }
        let new = MemberOrders()
        orders.append((id, new))
        return new
    }

    fileprivate func kind(of type: any Any.Type) -> ValueKind {
        let id = ObjectIdentifier(type)
        for known in kinds where known.id == id { return known.kind }
        let kind = ValueKind(type)
        kinds.append((id, kind))
        return kind
    }

    // MARK: Members of dictionaries

    /// The object whose members were found last, and the name that was.
    @exclusivity(unchecked) private var latest = (object: -1, name: 0)

    /// The node of the value under a key that is data; negative if there is none. Dictionaries ask for their
    /// keys in the order of the members.
    func find(_ key: String, in object: Int) -> Int {
        var key = key
        return key.withUTF8 { find(UnsafeRawBufferPointer($0), in: object) }
    }

    private func find(_ key: UnsafeRawBufferPointer, in object: Int) -> Int {
        let end = Int(tape[object].next)
        if latest.object == object {
            if isNamed(key, latest.name) { return latest.name + 1 }
            let next = Int(tape[latest.name + 1].next)
            if next < end, isNamed(key, next) {
                latest.name = next
                return next + 1
            }
        }
        var name = object + 1
        while name < end, !isNamed(key, name) { name = Int(tape[name + 1].next) }
        guard name < end else {
            // It may be there under another of its names.
            _ = refuse()
            return -1
        }
        latest = (object, name)
        return name + 1
    }

    private func isNamed(_ key: UnsafeRawBufferPointer, _ name: Int) -> Bool {
        let own = tape.bytes(name)
        guard own.count == key.count, let a = own.baseAddress, let b = key.baseAddress else {
            return own.count == key.count
        }
        return ByteOrder.isSame(a, b, count: own.count)
    }

    // MARK: Values

    func isNull(_ node: Int) -> Bool { tape[node].kind == .null }

    @inline(__always)
    func string(_ node: Int) throws -> String {
        let kind = tape[node].kind
        guard kind == .string || kind == .escaped else { throw refuse() }
        return tape.string(node)
    }
    func bool(_ node: Int) throws -> Bool {
        switch tape[node].kind {
        case .yes: return true
        case .no: return false
        default: throw refuse()
        }
    }

    func int64(_ node: Int) throws -> Int64 {
        guard tape[node].kind == .number else { throw refuse() }
        let bytes = tape.bytes(node)
        let isNegative = bytes[0] == UInt8(ascii: "-")
        let digits = bytes.count - (isNegative ? 1 : 0)
        guard digits <= 18 else {
            guard let number = Int64(tape.number(node)) else { throw refuse() }
            return number
        }
        var number: Int64 = 0
        for index in (isNegative ? 1 : 0)..<bytes.count {
            let digit = bytes[index] &- 0x30
            guard digit < 10 else { throw refuse() }
            number = number &* 10 &+ Int64(digit)
        }
        return isNegative ? -number : number
    }

    private func integer<I: FixedWidthInteger>(_ type: I.Type, _ node: Int) throws -> I {
        guard tape[node].kind == .number, let number = I(tape.number(node)) else { throw refuse() }
        return number
    }

    private static let powersOfTen: [Double] = (0...22).map { Double("1e\($0)") ?? .nan }

    func double(_ node: Int) throws -> Double {
        guard tape[node].kind == .number else { throw refuse() }
        let bytes = tape.bytes(node)
        let isNegative = bytes[0] == UInt8(ascii: "-")
        var (mantissa, digits, places, isAfterPoint) = (Int64(0), 0, 0, false)
        for index in (isNegative ? 1 : 0)..<bytes.count {
            let digit = bytes[index] &- 0x30
            if digit < 10 {
                mantissa = mantissa &* 10 &+ Int64(digit)
                digits += 1
                if isAfterPoint { places += 1 }
            } else if bytes[index] == UInt8(ascii: ".") {
                isAfterPoint = true
            } else {
                digits = .max
                break
            }
            if digits > 15 { break }
        }
        guard digits <= 15 else {
            guard let double = Double(tape.number(node)), double.isFinite else { throw refuse() }
            return double
        }
        // Both numbers are exact, so the quotient is rounded once, as it is by `Double(_:)`.
        let magnitude = Double(mantissa) / Self.powersOfTen[places]
        return isNegative ? -magnitude : magnitude
    }

    private func decimal(_ node: Int) throws -> ExactDecimal {
        let decimal: ExactDecimal? =
            switch tape[node].kind {
            case .number, .string: ExactDecimal(bytes: tape.bytes(node))
            case .escaped: ExactDecimal(tape.string(node))
            default: nil
            }
        guard let decimal else { throw refuse() }
        return decimal
    }

    private func time(_ node: Int, _ unit: TimeUnit? = nil) throws -> Timestamp {
        let kind = tape[node].kind
        guard kind == .number || kind == .string || kind == .escaped else { throw refuse() }
        let rules = unit == nil ? times : times.counting(unit)
        let isText = kind != .number
        let (state, time) =
            kind == .escaped
            ? rules.read(tape.string(node), isText: true)
            : rules.read(tape.bytes(node), isText: isText)
        guard state == KJ_VALUE else { throw refuse() }
        return time
    }

    private func wrapped<Time: TimeInUnit>(_ type: Time.Type, _ node: Int) throws -> Time {
        if isNull(node), let none = Time.none { return none }
        return Time(time: try time(node, Time.unit))
    }

    fileprivate func decode<T: Decodable>(_ type: T.Type, _ node: Int, _ level: Int) throws -> T {
        guard level <= ValueDecoder.mostLevels else { throw refuse() }
        switch kind(of: type) {
        case .text: return unsafeBitCast(try string(node), to: T.self)
        case .bool: return unsafeBitCast(try bool(node), to: T.self)
        case .double: return unsafeBitCast(try double(node), to: T.self)
        case .float: return unsafeBitCast(Float(try double(node)), to: T.self)
        case .int64: return unsafeBitCast(try int64(node), to: T.self)
        case .timestamp: return unsafeBitCast(try time(node), to: T.self)
        case .decimal: return unsafeBitCast(try decimal(node), to: T.self)
        case .integer(let type):
            guard let number = try integer(type, node) as? T else { throw refuse() }
            return number
        case .time(let type):
            guard let time = try wrapped(type, node) as? T else { throw refuse() }
            return time
        case .onlySlowly: throw refuse()
        case .own: return try T(from: TapeDecoder(owner: self, node: node, level: level))
        }
    }
}

extension JSONTape {
    /// The text of a number.
    fileprivate func number(_ node: Int) -> String { String(decoding: bytes(node), as: UTF8.self) }
}

/// How values of a type are decoded; see ``ValueDecoder/decode(_:)``.
private enum ValueKind {
    case text, bool, double, float, int64, timestamp, decimal
    case integer(any FixedWidthInteger.Type)
    case time(any TimeInUnit.Type)
    /// By the type's own `init(from:)`.
    case own
    /// By ``ValueDecoder``, which refuses it or treats it specially.
    case onlySlowly

    init(_ type: any Any.Type) {
        switch type {
        case is String.Type: self = .text
        case is Bool.Type: self = .bool
        case is Double.Type: self = .double
        case is Float.Type: self = .float
        case is Int.Type, is Int64.Type: self = .int64
        case is Timestamp.Type: self = .timestamp
        case is ExactDecimal.Type: self = .decimal
        case let integer as any FixedWidthInteger.Type: self = .integer(integer)
        case let wrapper as any TimeInUnit.Type: self = .time(wrapper)
        case let dictionary as any KeyedByValues.Type:
            self = dictionary.isMadeFromMembers ? .onlySlowly : .own
        default: self = ForbiddenKind.advice(type) == nil ? .own : .onlySlowly
        }
    }
}

/// The decoder of one value of a tape.
struct TapeDecoder: Decoder, TakesDecimals {
    let owner: TapeReader
    let node: Int
    let level: Int

    var codingPath: [any CodingKey] {
        _ = owner.refuse()
        return []
    }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func decode<T: Decodable>(_ type: T.Type) throws -> T { try owner.decode(type, node, level) }

    func inside(_ node: Int) -> TapeDecoder {
        TapeDecoder(owner: owner, node: node, level: level + 1)
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard level < ValueDecoder.mostLevels, owner.tape[node].kind == .object else {
            throw owner.refuse()
        }
        guard Key.areProperties else {
            guard owner.tape.hasDistinctNames(node) else { throw owner.refuse() }
            return KeyedDecodingContainer(TapeObject<Key>(decoder: self, order: nil, first: 0))
        }
        let first = owner.members.count
        let order = owner.orders(of: type).order(of: node, in: owner.tape, &owner.members)
        return KeyedDecodingContainer(TapeObject<Key>(decoder: self, order: order, first: first))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard level <= ValueDecoder.mostLevels, owner.tape[node].kind == .array else {
            throw owner.refuse()
        }
        return TapeArray(decoder: self, count: Int(owner.tape[node].count), next: node + 1)
    }
    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        TapeValue(decoder: self)
    }
}

private struct TapeValue: SingleValueDecodingContainer {
    let decoder: TapeDecoder
    var codingPath: [any CodingKey] { decoder.codingPath }
    func decodeNil() -> Bool { decoder.owner.isNull(decoder.node) }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try decoder.decode(type) }
}

private struct TapeArray: UnkeyedDecodingContainer {
    let decoder: TapeDecoder
    let count: Int?
    /// The node of the next element.
    var next: Int
    var currentIndex = 0
    var codingPath: [any CodingKey] { decoder.codingPath }
    var isAtEnd: Bool { currentIndex >= count ?? 0 }

    init(decoder: TapeDecoder, count: Int, next: Int) {
        (self.decoder, self.count, self.next) = (decoder, count, next)
    }

    private mutating func take() throws -> TapeDecoder {
        guard !isAtEnd else { throw decoder.owner.refuse() }
        let element = next
        currentIndex += 1
        next = Int(decoder.owner.tape[element].next)
        return decoder.inside(element)
    }
    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, decoder.owner.isNull(next) else { return false }
        _ = try take()
        return true
    }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try take().decode(type) }
    mutating func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type
    ) throws -> KeyedDecodingContainer<K> { try take().container(keyedBy: type) }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try take().unkeyedContainer()
    }
    mutating func superDecoder() throws -> any Decoder { try take() }
}
