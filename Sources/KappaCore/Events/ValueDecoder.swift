import CKappaJSON

/// Decodes any `Decodable` type from a ``JSONValue``.
package struct ValueDecoder: Decoder, TakesDecimals {
    let value: JSONValue
    let path: [String]
    /// Where the value comes from.
    let origin: EncodingUse
    let times: TimeRules

    /// - Parameters:
    ///   - origin: An event, whose names and values may have several forms; or a row, which is as
    ///     ``ValueEncoder`` has written it.
    ///   - times: How times are read; by default, in the form in which kappa writes them.
    package init(
        _ value: JSONValue, path: [String] = [], origin: EncodingUse = .event,
        times: TimeRules = .written
    ) {
        self.value = value
        self.path = path
        self.origin = origin
        self.times = times
    }

    fileprivate func inside(_ value: JSONValue, _ key: String) -> ValueDecoder {
        ValueDecoder(value, path: path + [key], origin: origin, times: times)
    }

    package var codingPath: [any CodingKey] { path.map(PathKey.init) }
    package var userInfo: [CodingUserInfoKey: Any] { [:] }

    package func container<Key: CodingKey>(
        keyedBy type: Key.Type
    ) throws -> KeyedDecodingContainer<Key> {
        try requireFewLevels()
        guard case .object(let members) = value else { throw refuse("an object") }
        return KeyedDecodingContainer(ObjectContainer<Key>(decoder: self, members: members))
    }
    package func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try requireFewLevels()
        guard case .array(let elements) = value else {
            throw refuse("an array")
        }
        return ArrayContainer(decoder: self, elements: elements)
    }
    package func singleValueContainer() throws -> any SingleValueDecodingContainer {
        SingleValue(decoder: self)
    }

    /// The most levels of a value that are decoded: as many as Foundation's `JSONDecoder` decodes. A type
    /// that contains itself takes some kilobytes of a thread's stack for each, and the log takes events of
    /// 1,024 levels.
    static let mostLevels = 512

    /// A row was checked when it was written.
    private func requireFewLevels() throws {
        guard origin == .event, path.count > Self.mostLevels else { return }
        throw FieldFailure.tooDeep(path, Self.mostLevels)
    }

    package func decode<T: Decodable>(_ type: T.Type) throws -> T {
        try requireFewLevels()
        let known: Any? =
            switch type {
            case is String.Type: try string()
            case is Bool.Type: try bool()
            case is Double.Type: try double()
            case is Float.Type: Float(try double())
            case is Timestamp.Type: try timestamp()
            case is ExactDecimal.Type: try decimal()
            case let integer as any FixedWidthInteger.Type: try self.integer(integer)
            case let wrapper as any TimeInUnit.Type: try time(wrapper)
            default: nil
            }
        // A nil of type `Any?` would pass for a nil of an optional `T`.
        if let known, let value = known as? T { return value }
        if origin == .event, let advice = ForbiddenKind.advice(type) {
            throw FieldFailure(description: "field \(path.joined(separator: ".")) \(advice)")
        }
        if case .object(let members) = value, let dictionary = type as? any KeyedByValues.Type,
            let made = try dictionary.make(members, self) as? T
        {
            return made
        }
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
        guard let text = value.numberText, let double = Double(text), double.isFinite else {
            throw refuse(ColumnKind.double.withArticle)
        }
        return double
    }
    private func integer(_ type: any FixedWidthInteger.Type) throws -> Any {
        func make<I: FixedWidthInteger>(_ type: I.Type, _ text: String) -> Any? { I(text) }
        func make<I: FixedWidthInteger>(_ type: I.Type, _ integer: Int64) -> Any? {
            I(exactly: integer)
        }
        if case .integer(let integer) = value, let number = make(type, integer) { return number }
        guard let text = value.numberText else { throw refuse(ColumnKind.integer.withArticle) }
        if let number = make(type, text) { return number }
        guard Int64(text) != nil else { throw refuse(ColumnKind.integer.withArticle) }
        throw refuse("within the range of \(type)")
    }
    private func timestamp(_ unit: TimeUnit? = nil) throws -> Timestamp {
        let text: String
        var isText = false
        switch value {
        case .string(let string):
            if origin == .row, let time = Timestamp(extended: string) { return time }
            (text, isText) = (string, true)
        case .number(let number) where origin == .event: text = number
        case .time(let time): return time
        default: throw refuse(ColumnKind.timestamp.withArticle)
        }
        let (state, time) = times.counting(unit).read(text, isText: isText)
        guard state == KJ_VALUE else { throw FieldFailure.noTime(path, state, time) }
        return time
    }
    private func time<Time: TimeInUnit>(_ type: Time.Type) throws -> Time {
        if value == .null, let none = Time.none { return none }
        return Time(time: try timestamp(Time.unit))
    }
    private func decimal() throws -> ExactDecimal {
        switch value {
        case .string(let text):
            if origin == .event, let decimal = ExactDecimal(text) { return decimal }
        case .decimal(let decimal): return decimal
        default:
            if let text = value.numberText, let decimal = ExactDecimal(text) { return decimal }
        }
        throw refuse(ColumnKind.decimal.withArticle)
    }
}

private struct ObjectContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: ValueDecoder
    private let members: [(key: String, value: JSONValue)]
    private let names: NameIndex
    var codingPath: [any CodingKey] { decoder.codingPath }

    init(decoder: ValueDecoder, members: [(key: String, value: JSONValue)]) {
        self.decoder = decoder
        self.members = members
        names = NameIndex(members.map(\.key))
    }

    var allKeys: [Key] { members.compactMap { Key(stringValue: $0.key) } }
    func contains(_ key: Key) -> Bool { member(key.stringValue) != nil }
    func decodeNil(forKey key: Key) throws -> Bool {
        member(key.stringValue) ?? .null == .null
    }

    /// The value under a key; if the object lacks it, the last value under another of the key's names.
    private func member(_ key: String) -> JSONValue? {
        names.place(of: key).map { members[$0].value }
    }

    private func at(_ key: Key) throws -> ValueDecoder {
        let path = decoder.path + [key.stringValue]
        guard let value = member(key.stringValue) else { throw FieldFailure.missing(path) }
        return decoder.inside(value, key.stringValue)
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
        guard !isAtEnd else { throw FieldFailure.missing(decoder.path + ["\(currentIndex)"]) }
        currentIndex += 1
        return decoder.inside(elements[currentIndex - 1], "\(currentIndex - 1)")
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

/// A dictionary whose keys are neither texts nor integers, but enums, for example. Swift's own decoding
/// expects an array of alternating keys and values. Events have objects, whose keys are decoded as numbers or
/// as texts.
protocol KeyedByValues {
    /// Whether it is made from an object's members; if not, Swift's own decoding accepts an object.
    static var isMadeFromMembers: Bool { get }
    /// Nil if Swift's own decoding accepts an object.
    static func make(
        _ members: [(key: String, value: JSONValue)], _ decoder: ValueDecoder
    ) throws -> Any?
}

extension Dictionary: KeyedByValues {
    static var isMadeFromMembers: Bool {
        Key.self != String.self && Key.self != Int.self
            && !(Key.self is any CodingKeyRepresentable.Type)
    }

    static func make(
        _ members: [(key: String, value: JSONValue)], _ decoder: ValueDecoder
    ) throws -> Any? {
        try dictionary(Self.self, members, decoder)
    }
}

private func dictionary<Own: Hashable, Content>(
    _ type: [Own: Content].Type, _ members: [(key: String, value: JSONValue)],
    _ decoder: ValueDecoder
) throws -> [Own: Content]? {
    guard type.isMadeFromMembers, let own = Own.self as? any Decodable.Type,
        let content = Content.self as? any Decodable.Type
    else { return nil }
    var made: [Own: Content] = [:]
    for member in members {
        let number = try? decoder.inside(.number(member.key), member.key).decode(own)
        let key = try number ?? decoder.inside(.string(member.key), member.key).decode(own)
        let value = try decoder.inside(member.value, member.key).decode(content)
        guard let key = key as? Own, let value = value as? Content else { return nil }
        made[key] = value
    }
    return made
}
