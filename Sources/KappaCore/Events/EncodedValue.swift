/// What an `Encodable` value becomes before it is written: JSON with exact numbers and times.
package indirect enum EncodedValue: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case unsigned(UInt64)
    case double(Double)
    case decimal(ExactDecimal)
    case timestamp(Timestamp)
    case text(String)
    case array([EncodedValue])
    case object([(key: String, value: EncodedValue)])

    /// Encodes any value. Keys are written in snake_case where `snakeCaseKeys` is set, as in events.
    package init(encoding value: some Encodable, snakeCaseKeys: Bool = false) throws {
        let box = EncodingBox()
        try ValueEncoder(box: box, snakeCaseKeys: snakeCaseKeys).write(value)
        self = box.finished
    }

    package func write(to text: inout JSONText) {
        switch self {
        case .null: text.append(raw: "null")
        case .bool(let bool): text.append(bool)
        case .integer(let integer): text.append(integer)
        case .unsigned(let integer): text.append(integer)
        case .double(let double): text.append(double)
        case .decimal(let decimal): text.append(decimal)
        case .timestamp(let time): text.append(time)
        case .text(let string): text.append(string: string)
        case .array(let elements):
            text.append(raw: "[")
            for (index, element) in elements.enumerated() {
                if index > 0 { text.append(raw: ",") }
                element.write(to: &text)
            }
            text.append(raw: "]")
        case .object(let members):
            text.append(raw: "{")
            for (index, member) in members.enumerated() {
                if index > 0 { text.append(raw: ",") }
                text.append(string: member.key)
                text.append(raw: ":")
                member.value.write(to: &text)
            }
            text.append(raw: "}")
        }
    }

    package var json: String { JSONText.string { write(to: &$0) } }
}

/// A value that is being encoded; containers fill it in.
private final class EncodingBox {
    enum Content {
        case single(EncodedValue)
        case array([EncodingBox])
        case object([(key: String, box: EncodingBox)])
    }
    var content = Content.single(.null)

    var finished: EncodedValue {
        switch content {
        case .single(let value): value
        case .array(let boxes): .array(boxes.map(\.finished))
        case .object(let members): .object(members.map { ($0.key, $0.box.finished) })
        }
    }

    func member(_ key: String) -> EncodingBox {
        let box = EncodingBox()
        if case .object(var members) = content {
            content = .single(.null)
            members.append((key, box))
            content = .object(members)
        } else {
            content = .object([(key, box)])
        }
        return box
    }

    func element() -> EncodingBox {
        let box = EncodingBox()
        if case .array(var boxes) = content {
            content = .single(.null)
            boxes.append(box)
            content = .array(boxes)
        } else {
            content = .array([box])
        }
        return box
    }
}

private struct ValueEncoder: Encoder {
    let box: EncodingBox
    let snakeCaseKeys: Bool
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .object = box.content {} else { box.content = .object([]) }
        return KeyedEncodingContainer(KeyedEncoder<Key>(encoder: self))
    }
    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .array = box.content {} else { box.content = .array([]) }
        return UnkeyedEncoder(encoder: self)
    }
    func singleValueContainer() -> any SingleValueEncodingContainer { SingleEncoder(encoder: self) }

    func inside(_ box: EncodingBox) -> ValueEncoder {
        ValueEncoder(box: box, snakeCaseKeys: snakeCaseKeys)
    }

    func write<T: Encodable>(_ value: T) throws {
        switch value {
        case let text as String: box.content = .single(.text(text))
        case let bool as Bool: box.content = .single(.bool(bool))
        case let double as Double: box.content = .single(.double(double))
        case let float as Float: box.content = .single(.double(Double(float)))
        case let time as Timestamp: box.content = .single(.timestamp(time))
        case let decimal as ExactDecimal: box.content = .single(.decimal(decimal))
        case let integer as any FixedWidthInteger:
            if let signed = Int64(exactly: integer) {
                box.content = .single(.integer(signed))
            } else if let unsigned = UInt64(exactly: integer) {
                box.content = .single(.unsigned(unsigned))
            } else {
                throw FieldFailure(description: "\(integer) does not fit 64 bits")
            }
        case let wrapper as any TimeInUnit where !snakeCaseKeys:
            // In a row it is a time like others; in an event, a number of its unit.
            box.content = .single(wrapper.time.map(EncodedValue.timestamp) ?? .null)
        default: try value.encode(to: self)
        }
    }
}

private struct KeyedEncoder<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: ValueEncoder
    var codingPath: [any CodingKey] { [] }

    private func inside(_ key: Key) -> ValueEncoder {
        let name =
            encoder.snakeCaseKeys ? FieldName.snakeCase(key.stringValue) : key.stringValue
        return encoder.inside(encoder.box.member(name))
    }
    mutating func encodeNil(forKey key: Key) throws { _ = inside(key) }
    mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        try inside(key).write(value)
    }
    mutating func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type, forKey key: Key
    ) -> KeyedEncodingContainer<K> { inside(key).container(keyedBy: type) }
    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        inside(key).unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder { encoder }
    mutating func superEncoder(forKey key: Key) -> any Encoder { inside(key) }
}

private struct UnkeyedEncoder: UnkeyedEncodingContainer {
    let encoder: ValueEncoder
    var codingPath: [any CodingKey] { [] }
    var count: Int { if case .array(let boxes) = encoder.box.content { boxes.count } else { 0 } }

    private func next() -> ValueEncoder { encoder.inside(encoder.box.element()) }
    mutating func encodeNil() throws { _ = next() }
    mutating func encode<T: Encodable>(_ value: T) throws { try next().write(value) }
    mutating func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type
    ) -> KeyedEncodingContainer<K> { next().container(keyedBy: type) }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        next().unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder { next() }
}

private struct SingleEncoder: SingleValueEncodingContainer {
    let encoder: ValueEncoder
    var codingPath: [any CodingKey] { [] }

    mutating func encodeNil() throws { encoder.box.content = .single(.null) }
    mutating func encode<T: Encodable>(_ value: T) throws { try encoder.write(value) }
}
