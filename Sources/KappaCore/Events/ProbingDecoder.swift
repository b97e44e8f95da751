/// Records what a type asks of its decoder, and answers with made-up values that are different for
/// each field and each round, so that a key path can be traced back to the field it reads.
final class Probe {
    let round: Int
    var fields: [EventField] = []
    var answers: [AnyHashable] = []
    /// What was asked for as an optional: fields and objects.
    var optionalPaths: Set<[String]> = []

    /// A field that the decoder refuses, to see whether the type does without it.
    let refused: [String]?

    /// Whether whatever may be missing is missing.
    let answersNil: Bool

    init(round: Int, refusing refused: [String]? = nil, answersNil: Bool = false) {
        self.round = round
        self.refused = refused
        self.answersNil = answersNil
    }

    /// No event is nested deeper: a type that is holds itself.
    static let deepest = 64

    /// Enough rounds that two boolean fields never answer alike in all of them.
    static let rounds = 8

    func add(_ path: [String], _ kind: ColumnKind, isPlain: Bool = true) -> Int {
        if let known = fields.firstIndex(where: { $0.path == path }) { return known }
        let isOptional = path.indices.contains { optionalPaths.contains(Array(path[...$0])) }
        fields.append(
            EventField(path: path, kind: kind, isOptional: isOptional, isPlain: isPlain))
        answers.append(0)
        return fields.count - 1
    }

    func text(_ path: [String]) -> String {
        let index = add(path, .text)
        let value = "Probe \(round) of field \(index) "
        answers[index] = value
        return value
    }

    func bool(_ path: [String]) -> Bool {
        let index = add(path, .bool)
        let value = ((index + 1) &* 37) >> round & 1 == 1
        answers[index] = value
        return value
    }

    func integer<I: FixedWidthInteger>(_ path: [String], _ type: I.Type) -> I {
        let isWide = I.self == Int.self || I.self == Int64.self
        let index = add(path, .integer, isPlain: isWide)
        let value = I(truncatingIfNeeded: ((index + 1) * 31 + round * 7) & 127)
        answers[index] = value
        return value
    }

    func double(_ path: [String], isPlain: Bool = true) -> Double {
        let index = add(path, .double, isPlain: isPlain)
        let value = Double(index) + Double(round + 1) / 16
        answers[index] = value
        return value
    }

    func timestamp(_ path: [String]) -> Timestamp {
        let index = add(path, .timestamp)
        let value = Timestamp(microseconds: Int64(index * 1_000 + round * 17 + 5))
        answers[index] = value
        return value
    }

    func decimal(_ path: [String]) -> ExactDecimal {
        let index = add(path, .decimal)
        let value = ExactDecimal(mantissa: Int128(index * 1_000 + round * 10 + 3), scale: 2)
        answers[index] = value
        return value
    }
}

struct ProbingDecoder: Decoder {
    let probe: Probe
    let path: [String]
    var codingPath: [any CodingKey] { path.map(PathKey.init) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(ProbingContainer<Key>(probe: probe, path: path))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard !path.isEmpty else { throw ProbeFailure("it is an array, and events are objects") }
        _ = probe.add(path, .json, isPlain: false)
        return EmptyUnkeyedContainer(codingPath: codingPath)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        guard !path.isEmpty else { throw ProbeFailure("it is a single value, not an object") }
        return ProbingSingleValue(probe: probe, path: path)
    }

    /// Asks for a value of any type at `path`.
    func value<T: Decodable>(_ type: T.Type) throws -> T {
        if path == probe.refused { throw ProbeFailure("field \(path) is refused") }
        if path.count > Probe.deepest { throw ProbeFailure("it holds itself without end") }
        let known: Any? =
            switch type {
            case is Timestamp.Type: probe.timestamp(path)
            case is ExactDecimal.Type: probe.decimal(path)
            case is String.Type: probe.text(path)
            case is Bool.Type: probe.bool(path)
            case is Double.Type: probe.double(path)
            case is Float.Type: Float(probe.double(path, isPlain: false))
            case let integer as any FixedWidthInteger.Type: probe.anyInteger(path, integer)
            default: nil
            }
        if let known, let value = known as? T { return value }
        if type is any AnyHidden.Type {
            let index = probe.add(path, .json, isPlain: false)
            probe.fields[index].isHidden = true
            return try T(from: ProbingDecoder(probe: Probe(round: probe.round), path: path))
        }
        let before = probe.fields.count
        do {
            return try T(from: self)
        } catch {
            // An enum refuses a made-up raw value. Its kind is known by now; any case will do.
            guard probe.fields.count == before + 1, probe.fields[before].path == path,
                let value = anyCase(of: type)
            else { throw error }
            probe.fields[before].isPlain = false
            return value
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

struct ProbeFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

struct PathKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension Probe {
    fileprivate func anyInteger(_ path: [String], _ type: any FixedWidthInteger.Type) -> Any {
        func make<I: FixedWidthInteger>(_ type: I.Type) -> Any { integer(path, type) }
        return make(type)
    }
}

private struct ProbingContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let probe: Probe
    let path: [String]
    var codingPath: [any CodingKey] { path.map(PathKey.init) }

    /// Only dictionaries ask for all keys: what has none of its own is kept as JSON.
    var allKeys: [Key] {
        if !path.isEmpty { _ = probe.add(path, .json, isPlain: false) }
        return []
    }
    func contains(_ key: Key) -> Bool { true }

    private func at(_ key: Key) -> ProbingDecoder {
        ProbingDecoder(probe: probe, path: path + [key.stringValue])
    }

    /// Whoever asks whether a value is null takes it as an optional.
    func decodeNil(forKey key: Key) -> Bool {
        probe.optionalPaths.insert(path + [key.stringValue])
        return probe.answersNil
    }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try at(key).value(type)
    }
    func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<K> {
        at(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try at(key).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder { throw ProbeFailure("it is a class with a parent") }
    func superDecoder(forKey key: Key) throws -> any Decoder { at(key) }
}

private struct ProbingSingleValue: SingleValueDecodingContainer {
    let probe: Probe
    let path: [String]
    var codingPath: [any CodingKey] { path.map(PathKey.init) }

    func decodeNil() -> Bool { false }
    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        try ProbingDecoder(probe: probe, path: path).value(type)
    }
}

/// Stands for any array while probing.
private struct EmptyUnkeyedContainer: UnkeyedDecodingContainer {
    var codingPath: [any CodingKey]
    var count: Int? { 0 }
    var isAtEnd: Bool { true }
    var currentIndex: Int { 0 }

    private var failure: ProbeFailure { ProbeFailure("it expects an array to have elements") }
    mutating func decodeNil() throws -> Bool { throw failure }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { throw failure }
    mutating func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type
    ) throws -> KeyedDecodingContainer<K> { throw failure }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { throw failure }
    mutating func superDecoder() throws -> any Decoder { throw failure }
}
