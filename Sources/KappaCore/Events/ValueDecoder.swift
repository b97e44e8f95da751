/// Decodes any `Decodable` type from a ``JSONValue``.
package struct ValueDecoder: Decoder {
    let value: JSONValue
    let path: [String]
    /// Where the value comes from.
    let origin: EncodingUse

    /// - Parameter origin: An event, whose names and values may have several forms; or a row, which is
    ///   as ``EncodedValue`` has written it.
    package init(_ value: JSONValue, path: [String] = [], origin: EncodingUse = .event) {
        self.value = value
        self.path = path
        self.origin = origin
    }

    fileprivate func inside(_ value: JSONValue, _ path: [String]) -> ValueDecoder {
        ValueDecoder(value, path: path, origin: origin)
    }

    package var codingPath: [any CodingKey] { path.map(PathKey.init) }
    package var userInfo: [CodingUserInfoKey: Any] { [:] }

    package func container<Key: CodingKey>(
        keyedBy type: Key.Type
    ) throws -> KeyedDecodingContainer<Key> {
        guard case .object = value else { throw refuse("an object") }
        return KeyedDecodingContainer(ObjectContainer<Key>(decoder: self))
    }
    package func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let elements) = value else {
            throw refuse("an array")
        }
        return ArrayContainer(decoder: self, elements: elements)
    }
    package func singleValueContainer() throws -> any SingleValueDecodingContainer {
        SingleValue(decoder: self)
    }

    package func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let known: Any? =
            switch type {
            case is String.Type: try string()
            case is Bool.Type: try bool()
            case is Double.Type: try double()
            case is Float.Type: Float(try double())
            case is Timestamp.Type: try timestamp()
            case is ExactDecimal.Type: try decimal()
            case let integer as any FixedWidthInteger.Type: try self.integer(integer)
            default: nil
            }
        // A nil of type `Any?` would pass for a nil of an optional `T`.
        if let known, let value = known as? T { return value }
        return try T(from: self)
    }

    private func refuse(_ expected: String) -> FieldFailure {
        value == .null ? .null(path) : .wrongType(path, expected)
    }

    private func string() throws -> String {
        guard case .string(let text) = value else { throw refuse(ColumnKind.text.withArticle) }
        return text
    }
    private func bool() throws -> Bool {
        guard case .bool(let bool) = value else { throw refuse(ColumnKind.bool.withArticle) }
        return bool
    }
    private func double() throws -> Double {
        if case .double(let double) = value { return double }
        if case .string(let name) = value, origin == .row, let double = Double(notFinite: name) {
            return double
        }
        guard case .number(let text) = value, let double = Double(text), double.isFinite else {
            throw refuse(ColumnKind.double.withArticle)
        }
        return double
    }
    private func integer(_ type: any FixedWidthInteger.Type) throws -> Any {
        func make<I: FixedWidthInteger>(_ type: I.Type, _ text: String) -> Any? { I(text) }
        guard case .number(let text) = value, Int64(text) != nil || origin == .row else {
            throw refuse(ColumnKind.integer.withArticle)
        }
        guard let number = make(type, text) else {
            throw refuse("within the range of \(type)")
        }
        return number
    }
    private func timestamp() throws -> Timestamp {
        switch value {
        case .string(let text):
            if let time = Timestamp(text) { return time }
            if origin == .row, let time = Timestamp(extended: text) { return time }
        case .number(let text):
            if origin == .event, let number = Int64(text) {
                let time = Timestamp(epochNumber: number)
                if time.isInCalendar { return time }
            }
        case .time(let time): return time
        default: break
        }
        throw refuse(ColumnKind.timestamp.withArticle)
    }
    private func decimal() throws -> ExactDecimal {
        switch value {
        case .string(let text):
            if origin == .event, let decimal = ExactDecimal(text) { return decimal }
        case .number(let text):
            if let decimal = ExactDecimal(text) { return decimal }
        default: break
        }
        throw refuse(ColumnKind.decimal.withArticle)
    }

    /// The value under any of a property's names; where several stand there, the last one counts. A key
    /// that is data has one name, and so have the properties of a row.
    fileprivate func member<Key: CodingKey>(_ key: Key) -> JSONValue? {
        guard case .object(let members) = value else { return nil }
        if origin == .row || !Key.areProperties {
            let name = key.stringValue
            let exact = members.last { $0.key.utf8.elementsEqual(name.utf8) }
            if let exact { return exact.value }
        }
        let names = FieldName.candidates(for: key.stringValue)
        return members.last { names.contains($0.key) }?.value
    }
}

private struct ObjectContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: ValueDecoder
    var codingPath: [any CodingKey] { decoder.codingPath }

    var allKeys: [Key] {
        guard case .object(let members) = decoder.value else { return [] }
        return members.compactMap { Key(stringValue: $0.key) }
    }
    func contains(_ key: Key) -> Bool { decoder.member(key) != nil }
    func decodeNil(forKey key: Key) throws -> Bool {
        decoder.member(key) ?? .null == .null
    }

    private func at(_ key: Key) throws -> ValueDecoder {
        let path = decoder.path + [key.stringValue]
        guard let value = decoder.member(key) else { throw FieldFailure.missing(path) }
        return decoder.inside(value, path)
    }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try at(key).decode(type)
    }
    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        guard try !decodeNil(forKey: key) else { return nil }
        return try at(key).decode(type)
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

private struct ArrayContainer: UnkeyedDecodingContainer {
    let decoder: ValueDecoder
    let elements: [JSONValue]
    var currentIndex = 0
    var codingPath: [any CodingKey] { decoder.codingPath }
    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex >= elements.count }

    private mutating func next() throws -> ValueDecoder {
        let path = decoder.path + ["\(currentIndex)"]
        guard !isAtEnd else { throw FieldFailure.missing(path) }
        currentIndex += 1
        return decoder.inside(elements[currentIndex - 1], path)
    }
    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, elements[currentIndex] == .null else { return false }
        currentIndex += 1
        return true
    }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try next().decode(type) }
    mutating func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type
    ) throws -> KeyedDecodingContainer<K> { try next().container(keyedBy: type) }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try next().unkeyedContainer()
    }
    mutating func superDecoder() throws -> any Decoder { try next() }
}

private struct SingleValue: SingleValueDecodingContainer {
    let decoder: ValueDecoder
    var codingPath: [any CodingKey] { decoder.codingPath }

    func decodeNil() -> Bool { decoder.value == .null }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try decoder.decode(type) }
}
