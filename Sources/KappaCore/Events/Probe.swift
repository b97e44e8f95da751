/// Records what a type asks of its decoder, and answers with made-up values that differ for each field and
/// each round, so that a key path can be traced back to the field that it reads.
final class Probe {
    let round: Int
    private(set) var fields: [EventField] = []
    private(set) var answers: [AnyHashable] = []
    /// The fields and objects that were asked for as optionals.
    private(set) var optionalPaths: Set<[String]> = []
    /// Everything that was asked for.
    private(set) var asks: Set<Ask> = []
    /// The way in which each path was asked for first.
    private var firstWays: [[String]: Ask.Way] = [:]
    /// The index of the field at each path.
    private var indices: [[String]: Int] = [:]
    /// Where a type asks for more than one kind of value, or asks whether there is a value at all: there it
    /// has decoding code of its own.
    private(set) var severalWays: Set<[String]> = []
    /// Whether the type has asked for an object first.
    private(set) var isObject = false

    /// A way to ask for the value at a path.
    struct Ask: Hashable {
        var path: [String]
        var way: Way
        enum Way: Hashable {
            case value(ColumnKind, TimeUnit?)
            case object, list
        }
    }

    /// The request to refuse, to see what the type does then.
    let refused: Ask?
    /// Whether every optional value is missing.
    let answersNil: Bool
    /// The index of the sample to answer with, for a type that does not accept a made-up value.
    var sample: Int?
    /// The types inside other types that were already checked.
    let looked: Looked

    final class Looked {
        var types: Set<ObjectIdentifier> = []
    }

    init(
        round: Int, refusing refused: Ask? = nil, answersNil: Bool = false,
        looked: Looked = Looked()
    ) {
        self.round = round
        self.refused = refused
        self.answersNil = answersNil
        self.looked = looked
    }

    /// No event is nested deeper; a type that is deeper must contain itself.
    static let deepest = 64

    /// Enough rounds that no two boolean fields get the same answer in all of them.
    static let rounds = 8

    /// Texts that are often accepted by types that decode from a text.
    static let samples = [
        "00000000-0000-4000-8000-000000000001", "2024-01-15T14:30:00Z", "2024-01-15", "1", "0", "a",
        "EUR", "true", "https://example.org/a", "a@example.org", "127.0.0.1", "#000000", "12:00",
        "",
    ]
    private static let numbers = [1, 0, 2, 10, 100, 2024]

    func ask(_ path: [String], _ way: Ask.Way) throws {
        if path.isEmpty, asks.isEmpty { isObject = way == .object }
        let ask = Ask(path: path, way: way)
        asks.insert(ask)
        if firstWays[path, default: way] != way { severalWays.insert(path) }
        firstWays[path] = firstWays[path] ?? way
        if ask == refused { throw ProbeFailure("field \(path) is refused") }
    }

    func askIfNil(_ path: [String]) { severalWays.insert(path) }

    func markOptional(_ path: [String]) { optionalPaths.insert(path) }

    func isOptional(_ path: [String]) -> Bool {
        path.indices.contains { optionalPaths.contains(Array(path[...$0])) }
    }

    func add(_ path: [String], _ kind: ColumnKind, isPlain: Bool = true) -> Int {
        if let known = indices[path] { return known }
        indices[path] = fields.count
        fields.append(
            EventField(path: path, kind: kind, isOptional: isOptional(path), isPlain: isPlain))
        answers.append(0)
        return fields.count - 1
    }

    func markDecoded(_ field: Int) { fields[field].isPlain = false }
    func markHidden(_ field: Int) { fields[field].isHidden = true }

    func text(_ path: [String]) throws -> String {
        let index = add(path, .text)
        try ask(path, .value(.text, nil))
        let value = sample.map { Self.samples[$0] } ?? "Probe \(round) of field \(index) "
        answers[index] = value
        return value
    }

    func bool(_ path: [String]) throws -> Bool {
        let index = add(path, .bool)
        try ask(path, .value(.bool, nil))
        let value = ((index + 1) &* 37) >> round & 1 == 1
        answers[index] = value
        return value
    }

    func integer<I: FixedWidthInteger>(_ path: [String], _ type: I.Type) throws -> I {
        let isWide = I.self == Int.self || I.self == Int64.self
        let index = add(path, .integer, isPlain: isWide)
        if I.bitWidth - (I.isSigned ? 1 : 0) > 63 { fields[index].isWide = true }
        try ask(path, .value(.integer, nil))
        let number = sample.map { Self.numbers[$0 % Self.numbers.count] }
        let value = I(truncatingIfNeeded: number ?? ((index + 1) * 31 + round * 7) & 127)
        answers[index] = value
        return value
    }

    func double(_ path: [String], isPlain: Bool = true) throws -> Double {
        let index = add(path, .double, isPlain: isPlain)
        try ask(path, .value(.double, nil))
        let value =
            sample.map { Double(Self.numbers[$0 % Self.numbers.count]) }
            ?? Double(index) + Double(round + 1) / 16
        answers[index] = value
        return value
    }

    func timestamp(_ path: [String], _ unit: TimeUnit? = nil) throws -> Timestamp {
        let index = add(path, .timestamp)
        fields[index].unit = unit
        try ask(path, .value(.timestamp, unit))
        let value = Timestamp(microseconds: Int64(index * 1_000 + round * 17 + 5))
        answers[index] = value
        return value
    }

    func decimal(_ path: [String]) throws -> ExactDecimal {
        let index = add(path, .decimal)
        try ask(path, .value(.decimal, nil))
        let value = ExactDecimal(mantissa: Int128(index * 1_000 + round * 10 + 3), scale: 2)
        answers[index] = value
        return value
    }
}

struct ProbeFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// No content of an event can be decoded as the type.
struct HopelessType: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Lets a type decode itself from made-up values, and records what it asks for; see ``Probe``.
struct ProbingDecoder: Decoder, TakesDecimals {
    let probe: Probe
    let path: [String]
    var codingPath: [any CodingKey] { path.map(PathKey.init) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        try probe.ask(path, .object)
        return KeyedDecodingContainer(ProbingContainer<Key>(probe: probe, path: path))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard !path.isEmpty else { throw HopelessType("it is an array, and events are objects") }
        _ = probe.add(path, .json, isPlain: false)
        try probe.ask(path, .list)
        return ProbingList(probe: Probe(round: probe.round, looked: probe.looked), path: path)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        guard !path.isEmpty else { throw HopelessType("it is a single value, not an object") }
        return ProbingSingleValue(probe: probe, path: path)
    }

    /// Asks for a value of any type at `path`.
    func value<T: Decodable>(_ type: T.Type) throws -> T {
        if path.count > Probe.deepest { throw ProbeFailure("it contains itself without end") }
        let known: Any? =
            switch type {
            case is Timestamp.Type: try probe.timestamp(path)
            case is ExactDecimal.Type: try probe.decimal(path)
            case is String.Type: try probe.text(path)
            case is Bool.Type: try probe.bool(path)
            case is Double.Type: try probe.double(path)
            case is Float.Type: Float(try probe.double(path, isPlain: false))
            case let integer as any FixedWidthInteger.Type: try probe.anyInteger(path, integer)
            case let wrapper as any TimeInUnit.Type:
                wrapper.init(time: try probe.timestamp(path, wrapper.unit))
            default: nil
            }
        if let known, let value = known as? T { return value }
        if let advice = ForbiddenKind.advice(type) {
            throw HopelessType("its field \(path.joined(separator: ".")) \(advice)")
        }
        if type is any AnyHidden.Type {
            probe.markHidden(probe.add(path, .json, isPlain: false))
            return try T(from: ProbingDecoder(probe: Probe(round: probe.round), path: path))
        }
        if let holder = type as? any HoldsOthers.Type { try lookInside(holder) }
        let before = probe.fields.count
        do {
            return try T(from: self)
        } catch {
            // An enum refuses a made-up raw value, a UUID a made-up text. It is already known what the type
            // asks for, so any case or sample will do.
            guard !(error is HopelessType), probe.refused?.path != path,
                probe.fields.count == before + 1, probe.fields[before].path == path
            else { throw error }
            probe.markDecoded(before)
            if let value = anyCase(of: type) { return value }
            defer { probe.sample = nil }
            for sample in Probe.samples.indices {
                probe.sample = sample
                if let value = try? T(from: self) { return value }
            }
            throw error
        }
    }

    /// Checks whether a list or a dictionary, which is empty in a probe, holds forbidden types.
    private func lookInside(_ holder: any HoldsOthers.Type) throws {
        for case let type as any Decodable.Type in holder.held
        where probe.looked.types.insert(ObjectIdentifier(type)).inserted {
            let probe = Probe(round: 0, looked: probe.looked)
            do {
                _ = try ProbingDecoder(probe: probe, path: path).value(type)
            } catch let error as HopelessType { throw error } catch {}
        }
    }

    private func anyCase<T>(of type: T.Type) -> T? {
        if let enumeration = type as? any CaseIterable.Type {
            return firstCase(enumeration) as? T
        }
        // A trivial type of at most one byte is an enum without payloads; its first case is zero.
        guard _isPOD(type), MemoryLayout<T>.size <= 1 else { return nil }
        return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 1) { memory in
            memory[0] = 0
            return UnsafeRawPointer(memory.baseAddress)?.load(as: T.self)
        }
    }

    private func firstCase<E: CaseIterable>(_ type: E.Type) -> Any? {
        type.allCases.first(where: { _ in true })
    }
}

struct PathKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension Probe {
    fileprivate func anyInteger(
        _ path: [String], _ type: any FixedWidthInteger.Type
    ) throws -> Any {
        func make<I: FixedWidthInteger>(_ type: I.Type) throws -> Any { try integer(path, type) }
        return try make(type)
    }
}

private struct ProbingContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let probe: Probe
    let path: [String]
    var codingPath: [any CodingKey] { path.map(PathKey.init) }

    /// Only dictionaries ask for all keys. An object without keys of its own is kept as JSON.
    var allKeys: [Key] {
        if !path.isEmpty { _ = probe.add(path, .json, isPlain: false) }
        return []
    }
    func contains(_ key: Key) -> Bool { true }

    private func at(_ key: Key) -> ProbingDecoder {
        ProbingDecoder(probe: probe, path: path + [key.stringValue])
    }

    /// A type that asks whether a value is null treats it as an optional.
    func decodeNil(forKey key: Key) -> Bool {
        probe.markOptional(path + [key.stringValue])
        return probe.answersNil
    }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try at(key).value(type)
    }
    func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<K> {
        try at(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try at(key).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder { throw HopelessType("it is a class with a parent") }
    func superDecoder(forKey key: Key) throws -> any Decoder { at(key) }
}

private struct ProbingSingleValue: SingleValueDecodingContainer {
    let probe: Probe
    let path: [String]
    var codingPath: [any CodingKey] { path.map(PathKey.init) }

    func decodeNil() -> Bool {
        probe.askIfNil(path)
        return false
    }
    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        try ProbingDecoder(probe: probe, path: path).value(type)
    }
}

/// Stands for any array while probing: empty for a type that asks for the count or the end, and with as many
/// elements as are requested for a type that does not.
private struct ProbingList: UnkeyedDecodingContainer {
    let probe: Probe
    let path: [String]
    var codingPath: [any CodingKey] { path.map(PathKey.init) }
    var count: Int? { 0 }
    var isAtEnd: Bool { true }
    var currentIndex = 0

    private mutating func next() -> ProbingDecoder {
        currentIndex += 1
        return ProbingDecoder(probe: probe, path: path + ["\(currentIndex - 1)"])
    }
    mutating func decodeNil() throws -> Bool { false }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try next().value(type) }
    mutating func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type
    ) throws -> KeyedDecodingContainer<K> { try next().container(keyedBy: type) }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try next().unkeyedContainer()
    }
    mutating func superDecoder() throws -> any Decoder { next() }
}
