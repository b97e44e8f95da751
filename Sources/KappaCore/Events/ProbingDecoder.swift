/// Has a type decode itself from made-up values, and notes what it asks for; see ``Probe``.
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
        if path.count > Probe.deepest { throw ProbeFailure("it holds itself without end") }
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
            // An enum refuses a made-up raw value, a UUID a made-up text. What is asked for is known by
            // now; any case or any sample will do.
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

    /// Whether types inside of a list or a dictionary, which is empty in a probe, are forbidden.
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

/// Stands for any array while probing: empty for who asks, and with as many elements as are wanted for who
/// does not.
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
