import Synchronization

/// Encodes any `Encodable` value, so that equal values have the same text in every process.
///
/// Each process has its own hash seed, and so its own order of sets and dictionaries. So the elements of a
/// set and the keys of a dictionary are sorted. A key's type shows whether it is data or a property: the
/// `CodingKeys` that the compiler writes are an enum without values; a dictionary's keys are a struct with a
/// text, and so are those of a type that names its keys at run time. Properties are written in the order of
/// their cases in `CodingKeys`, which is the order of their declaration.
struct ValueEncoder: Encoder, TakesDecimals {
    let box: EncodingBox
    let use: EncodingUse
    /// Whether names of properties stay as they are, in events too. The names of an enum's cases do, because
    /// a reader could not tell what they were.
    var keepsNames = false
    /// How deep in the encoded value it is.
    fileprivate(set) var levels = 0
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        let index = box.becomeObject(type)
        return KeyedEncodingContainer(KeyedEncoder<Key>(encoder: self, type: index))
    }
    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        box.becomeArray()
        return UnkeyedEncoder(encoder: self)
    }
    func singleValueContainer() -> any SingleValueEncodingContainer { SingleEncoder(encoder: self) }

    fileprivate func inside(_ box: EncodingBox) -> ValueEncoder {
        var inner = ValueEncoder(box: box, use: use, keepsNames: keepsNames)
        inner.levels = levels + 1
        return inner
    }
    /// The same encoder, for what a type's own `encode(to:)` fills in.
    fileprivate var byHand: ValueEncoder {
        box.isFilledByHand = true
        return self
    }

    func write<T: Encodable>(_ value: T) throws {
        if levels > ValueDecoder.mostLevels {
            throw EncodingFailure(
                "it is nested more than \(ValueDecoder.mostLevels) levels deep",
                advice: "Keep less of it, or a String")
        }
        switch value {
        case let text as String: box.set(.string(text))
        case let bool as Bool: box.set(.bool(bool))
        case let double as Double: try write(double: double)
        case let float as Float: try write(double: Double(float))
        case let time as Timestamp: try write(time: time)
        case let decimal as ExactDecimal: box.set(.decimal(decimal))
        case let integer as any FixedWidthInteger: try write(integer: integer)
        default: try write(other: value)
        }
    }

    private func write(double: Double) throws {
        if use == .event, !double.isFinite {
            throw EncodingFailure(
                "it is \(double), and JSON has finite numbers only",
                advice: "Leave the value out (nil), or say what it means in a separate property")
        }
        box.set(.double(double))
    }

    private func write(time: Timestamp) throws {
        if use == .event, !time.isInCalendar {
            throw EncodingFailure(
                "\(time) is not in the years 0000 to 9999, which RFC 3339 can write",
                advice: "Use an optional, and nil for a time that never comes")
        }
        box.set(.time(time))
    }

    private func write(integer: any FixedWidthInteger) throws {
        if let signed = Int64(exactly: integer) {
            box.set(.integer(signed))
        } else if let unsigned = UInt64(exactly: integer) {
            box.set(.unsigned(unsigned))
        } else {
            throw EncodingFailure(
                "\(integer) does not fit 64 bits",
                advice: "Make it an ExactDecimal, which has 38 digits, or a String")
        }
    }

    private func write<T: Encodable>(other value: T) throws {
        if let wrapper = value as? any TimeInUnit, let time = wrapper.time {
            // In a row it is a time like others; in an event, a number of its unit.
            try write(time: time)
            if use == .row { return }
        }
        if use == .event, let advice = ForbiddenKind.advice(T.self) {
            throw EncodingFailure(
                "it \(advice)", advice: "No view can read events that hold one")
        }
        var encoder = self
        encoder.keepsNames = use == .event && EnumTypes.contains(value)
        if T.self is any ElementsInOrder.Type { return try value.encode(to: encoder) }
        box.order =
            T.self is any ElementsWithoutOrder.Type ? Unordered.order(of: T.self) : .asWritten
        try value.encode(to: encoder)
        if box.order == .asWritten { try Unordered.find(in: value, box, use) }
    }
}

/// How a property's name is written in events.
struct WrittenName: Sendable {
    let snakeCase: String
    /// The other name that readers accept for it, if another property may be written under that name.
    let camelCase: String?

    private init(_ key: String) {
        snakeCase = FieldName.snakeCase(key)
        let camel = FieldName.camelCase(key)
        let isItself = FieldName.snakeCase(camel).hasSameBytes(as: camel)
        camelCase = isItself && !camel.hasSameBytes(as: snakeCase) ? camel : nil
    }

    /// There are few names, and computing them takes longer than everything else.
    private static let known = Mutex<[String: WrittenName]>([:])
    private static let mostKnown = 10_000

    static func of(_ key: String) -> WrittenName {
        known.withLock { known in
            if let name = known[key], name.isOf(key) { return name }
            let name = WrittenName(key)
            if known.count < mostKnown { known[key] = name }
            return name
        }
    }

    /// Swift considers some names equal whose bytes differ; names in ASCII are safe.
    private func isOf(_ key: String) -> Bool {
        key.utf8.allSatisfy { $0 < 0x80 }
    }
}

/// Which types are enums, according to their mirrors.
private enum EnumTypes {
    private static let known = Mutex<[ObjectIdentifier: Bool]>([:])

    static func contains<T>(_ value: T) -> Bool {
        let id = ObjectIdentifier(T.self)
        if let known = known.withLock({ $0[id] }) { return known }
        let isEnum = Mirror(reflecting: value).displayStyle == .enum
        known.withLock { $0[id] = isEnum }
        return isEnum
    }
}

extension CodingKey {
    /// Whether keys of this type are properties and not data: the type has nothing but cases without values.
    static var areProperties: Bool { _isPOD(Self.self) && MemoryLayout<Self>.size <= 2 }

    /// The position of a property among those of its type; nil for a key that is data.
    fileprivate var rank: Int? {
        guard Self.areProperties else { return nil }
        return withUnsafeBytes(of: self) { $0.reversed().reduce(0) { $0 << 8 | Int($1) } }
    }
}

private struct KeyedEncoder<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: ValueEncoder
    let type: Int
    var codingPath: [any CodingKey] { [] }

    private func inside(_ key: Key) -> ValueEncoder {
        let own = key.stringValue
        let rank = key.rank
        let isConverted = encoder.use == .event && rank != nil && !encoder.keepsNames
        let name = isConverted ? WrittenName.of(own).snakeCase : own
        return encoder.inside(encoder.box.member(name, key: own, type: type, rank: rank))
    }
    mutating func encodeNil(forKey key: Key) throws { _ = inside(key) }
    mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        do { try inside(key).write(value) } catch {
            throw EncodingFailure(error).inside(key.stringValue)
        }
    }
    mutating func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type, forKey key: Key
    ) -> KeyedEncodingContainer<K> { inside(key).byHand.container(keyedBy: type) }
    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        inside(key).byHand.unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder { encoder }
    mutating func superEncoder(forKey key: Key) -> any Encoder { inside(key) }
}

private struct UnkeyedEncoder: UnkeyedEncodingContainer {
    let encoder: ValueEncoder
    var codingPath: [any CodingKey] { [] }
    var count: Int { encoder.box.elements.count }

    private func next() -> ValueEncoder { encoder.inside(encoder.box.element()) }
    mutating func encodeNil() throws { _ = next() }
    mutating func encode<T: Encodable>(_ value: T) throws {
        let place = count
        do { try next().write(value) } catch { throw EncodingFailure(error).inside("\(place)") }
    }
    mutating func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type
    ) -> KeyedEncodingContainer<K> { next().byHand.container(keyedBy: type) }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        next().byHand.unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder { next() }
}

private struct SingleEncoder: SingleValueEncodingContainer {
    let encoder: ValueEncoder
    var codingPath: [any CodingKey] { [] }

    mutating func encodeNil() throws { encoder.box.set(.null) }
    mutating func encode<T: Encodable>(_ value: T) throws { try encoder.write(value) }
}

/// What a value is encoded for.
package enum EncodingUse: Sendable {
    /// For a row: names stay as they are, and every value can be written.
    case row
    /// For an event: names of properties become snake_case. Values that readers of events do not accept are
    /// refused.
    case event
}
