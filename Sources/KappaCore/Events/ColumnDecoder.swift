import CKappaJSON

/// Decodes structs from the columns of a batch.
///
/// Each object of a shape has one decoder that is made once and used for all events. It expects the keys in
/// the order in which they were asked for before, so it does not search for them by name.
///
/// A type with its own `init(from:)` may ask for something that probing has not seen. Such an event is
/// decoded again, from its JSON text. So columns decide how fast an event is decoded, never what it becomes.
final class ColumnDecoder {
    fileprivate var columns: [kj_column] = []
    fileprivate var row = 0
    private let shape: EventShape
    fileprivate let times: TimeRules
    private let fieldColumns: [Int]
    private var root: NodeDecoder?
    private var batch: EventBatch?
    /// Whether the type has asked for something that the columns do not hold.
    fileprivate var needsText = false
    private let tape: TapeReader

    /// Adds a shape's fields to a plan.
    init(shape: EventShape, plan: ExtractionPlan, times: TimeRules) {
        self.shape = shape
        self.times = times
        tape = TapeReader(times: times)
        fieldColumns = shape.fields.map { plan.column(of: $0, times) }
        root = NodeDecoder(owner: self, node: shape.root, path: [], plan: plan)
    }

    func load(_ batch: EventBatch) {
        self.batch = batch
        columns = batch.columns
    }

    /// Decodes one event of the loaded batch.
    func decode<T: Decodable>(_ type: T.Type, row: Int) throws -> T {
        guard let root, let batch else {
            preconditionFailure("a batch is loaded before it is decoded")
        }
        if !shape.isWhole {
            self.row = row
            root.next = 0
            needsText = false
            do {
                let made = try T(from: root)
                if !needsText { return made }
            } catch {
                if !needsText { throw error }
            }
        }
        let text = UnsafeRawBufferPointer(rebasing: batch.bytes(of: row))
        if tape.load(text), let made = try? T(from: tape.decoder(level: 0)), !tape.needsText {
            return made
        }
        return try T(from: ValueDecoder(JSONValue(parsing: text), times: times))
    }

    @inline(__always)
    fileprivate func column(_ field: Int) -> kj_column { columns[fieldColumns[field]] }

    fileprivate func state(_ field: Int) -> kj_state {
        kj_state(rawValue: UInt32(column(field).states[row]))
    }

    fileprivate func failure(_ field: Int) -> FieldFailure {
        .of(path(field), column(field), row, expected: shape.fields[field].kind.withArticle)
    }

    /// The column of a plain field, whose value must be present.
    @inline(__always)
    fileprivate func require(_ field: Int) throws -> kj_column {
        let column = column(field)
        guard column.states[row] == UInt8(KJ_VALUE.rawValue) else { throw failure(field) }
        return column
    }

    /// The column of a field that a type asks for as `kind`, whose value must be present.
    @inline(__always)
    fileprivate func require(_ field: Int, _ kind: kj_kind) throws -> kj_column {
        guard column(field).kind == kind else { throw textNeeded(path(field)) }
        return try require(field)
    }

    /// Notes that a type asks for something that the columns do not hold. The error is never seen, because
    /// the event is then decoded from its text.
    fileprivate func textNeeded(_ path: [String]) -> FieldFailure {
        needsText = true
        return .missing(path)
    }

    /// A time or a decimal; nil if another type is asked for.
    @inline(__always)
    fileprivate func exact<T>(_ type: T.Type, _ field: Int) throws -> T? {
        if T.self == Timestamp.self {
            let time = Timestamp(microseconds: try require(field, KJ_TIMESTAMP).integers[row])
            return unsafeBitCast(time, to: T.self)
        }
        if T.self == ExactDecimal.self {
            guard let decimal = try require(field, KJ_DECIMAL).decimal(row) else {
                throw FieldFailure.wrongType(path(field), ColumnKind.decimal.withArticle)
            }
            return unsafeBitCast(decimal, to: T.self)
        }
        return nil
    }

    fileprivate func path(_ field: Int) -> [String] { shape.fields[field].path }
    fileprivate func unit(_ field: Int) -> TimeUnit? { shape.fields[field].unit }

    fileprivate func decode<T: Decodable>(_ type: T.Type, json field: Int) throws -> T {
        let column = column(field)
        if column.states[row] == UInt8(KJ_VALUE.rawValue), tape.load(column.strings[row].buffer),
            let made = try? tape.decoder(level: path(field).count).decode(type), !tape.needsText
        {
            return made
        }
        return try json(field).decode(type)
    }

    /// A slow decoder for the value in a column of JSON.
    fileprivate func json(_ field: Int) throws -> ValueDecoder {
        let column = column(field)
        let path = path(field)
        switch kj_state(UInt32(column.states[row])) {
        case KJ_MISSING: throw FieldFailure.missing(path)
        case KJ_NULL: return ValueDecoder(.null, path: path, times: times)
        default:
            let value = try JSONValue(parsing: column.strings[row].buffer)
            return ValueDecoder(value, path: path, times: times)
        }
    }
}

extension kj_string {
    @inline(__always)
    var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: Int(length)) }
    @inline(__always)
    var string: String { ShortText.maker.string(buffer) }
}

extension kj_column {
    /// The decimal in a row; nil if its text has more than 38 digits.
    @inline(__always)
    func decimal(_ row: Int) -> ExactDecimal? {
        if scales[row] == UInt8(KJ_WIDE) { return ExactDecimal(bytes: strings[row].buffer) }
        return ExactDecimal(mantissa: Int128(integers[row]), scale: Int(scales[row]))
    }
}

private final class NodeDecoder: Decoder {
    unowned let owner: ColumnDecoder
    let keys: [String]
    let fields: [Int]
    let objects: [NodeDecoder?]
    let path: [String]
    /// The column that says whether this object is present; nil for the event itself.
    private let presence: Int?
    var next = 0

    init(owner: ColumnDecoder, node: EventShape.Node, path: [String], plan: ExtractionPlan) {
        self.owner = owner
        self.path = path
        presence = path.isEmpty ? nil : plan.objectColumn(at: path)
        keys = node.keys
        fields = node.entries.map { if case .field(let index) = $0 { index } else { -1 } }
        objects = zip(node.keys, node.entries).map { key, entry in
            if case .object(let inner, _) = entry {
                NodeDecoder(owner: owner, node: inner, path: path + [key], plan: plan)
            } else {
                nil
            }
        }
    }

    var codingPath: [any CodingKey] { path.map(PathKey.init) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
        next = 0
        return KeyedDecodingContainer(NodeContainer<Key>(node: self))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw owner.textNeeded(path) }
    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        throw owner.textNeeded(path)
    }

    /// The index of a key among this object's keys, or −1. Types ask for their keys in the same order each
    /// time, so the next key is tried first.
    @inline(__always)
    func find(_ key: some CodingKey) -> Int {
        let guess = next
        next = guess + 1
        if guess < keys.count, keys[guess] == key.stringValue { return guess }
        let found = keys.firstIndex(of: key.stringValue) ?? -1
        next = found + 1
        return found
    }

    var state: kj_state {
        guard let presence else { return KJ_VALUE }
        return kj_state(UInt32(owner.columns[presence].states[owner.row]))
    }

    /// This object, which must be present. If the event has another kind of value there, the type may accept
    /// it, so the event is decoded from its text.
    func required() throws -> NodeDecoder {
        switch state {
        case KJ_VALUE: return self
        case KJ_MISSING: throw FieldFailure.missing(path)
        default: throw owner.textNeeded(path)
        }
    }

    func value<T: Decodable>(_ type: T.Type, at place: Int) throws -> T {
        if let object = objects[place] { return try T(from: object.required()) }
        let field = fields[place]
        let column = owner.column(field)
        if column.kind == KJ_JSON { return try owner.decode(type, json: field) }
        if let exact = try owner.exact(type, field) { return exact }
        if owner.unit(field) != nil, let wrapper = T.self as? any TimeInUnit.Type {
            let time = Timestamp(
                microseconds: try owner.require(field, KJ_TIMESTAMP).integers[owner.row])
            if let value = wrapper.init(time: time) as? T { return value }
        }
        if column.states[owner.row] == UInt8(KJ_MISSING.rawValue) { throw owner.failure(field) }
        return try T(from: ScalarDecoder(owner: owner, field: field))
    }
}

private struct NodeContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let node: NodeDecoder
    var codingPath: [any CodingKey] { node.codingPath }
    var allKeys: [Key] {
        _ = node.owner.textNeeded(node.path)
        return node.keys.compactMap(Key.init(stringValue:))
    }

    func contains(_ key: Key) -> Bool {
        guard let place = node.keys.firstIndex(of: key.stringValue) else { return unknown(key) }
        if let object = node.objects[place] { return object.state != KJ_MISSING }
        return node.owner.state(node.fields[place]) != KJ_MISSING
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        guard let place = node.keys.firstIndex(of: key.stringValue) else { return !unknown(key) }
        if let object = node.objects[place] { return object.state == KJ_NULL }
        return node.owner.state(node.fields[place]) == KJ_NULL
    }

    /// The answer for a key that probing has not seen. The columns do not know whether it is present, so the
    /// event is decoded from its text.
    private func unknown(_ key: Key) -> Bool {
        _ = node.owner.textNeeded(node.path + [key.stringValue])
        return false
    }

    @inline(__always)
    private func place(_ key: Key) throws -> Int {
        let place = node.find(key)
        if place < 0 { throw node.owner.textNeeded(node.path + [key.stringValue]) }
        return place
    }

    /// The column of a plain field, whose value must be present.
    @inline(__always)
    private func require(_ key: Key, _ kind: kj_kind) throws -> kj_column {
        let place = try place(key)
        if let object = node.objects[place] { throw node.owner.textNeeded(object.path) }
        return try node.owner.require(node.fields[place], kind)
    }

    func decode(_ type: String.Type, forKey key: Key) throws -> String {
        try require(key, KJ_STRING).strings[node.owner.row].string
    }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool {
        try require(key, KJ_BOOL).integers[node.owner.row] != 0
    }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double {
        try require(key, KJ_DOUBLE).doubles[node.owner.row]
    }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int {
        try Int(require(key, KJ_INTEGER).integers[node.owner.row])
    }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 {
        try require(key, KJ_INTEGER).integers[node.owner.row]
    }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try node.value(type, at: place(key))
    }

    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
        try optional(key, KJ_STRING)?.strings[node.owner.row].string
    }
    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? {
        try optional(key, KJ_BOOL).map { $0.integers[node.owner.row] != 0 }
    }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? {
        try optional(key, KJ_DOUBLE)?.doubles[node.owner.row]
    }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? {
        try optional(key, KJ_INTEGER).map { Int($0.integers[node.owner.row]) }
    }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? {
        try optional(key, KJ_INTEGER)?.integers[node.owner.row]
    }

    /// The column of a plain field if it has a value here; nil if that is missing or null.
    private func optional(_ key: Key, _ kind: kj_kind) throws -> kj_column? {
        let place = try place(key)
        if let object = node.objects[place] { throw node.owner.textNeeded(object.path) }
        let state = node.owner.state(node.fields[place])
        if state == KJ_MISSING || state == KJ_NULL { return nil }
        return try node.owner.require(node.fields[place], kind)
    }

    /// Nil if the value is missing or null.
    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        let place = try place(key)
        if let object = node.objects[place] {
            if object.state == KJ_MISSING || object.state == KJ_NULL { return nil }
            return try T(from: object.required())
        }
        let state = node.owner.state(node.fields[place])
        if state == KJ_MISSING || state == KJ_NULL { return nil }
        return try node.value(type, at: place)
    }

    func nestedContainer<K: CodingKey>(
        keyedBy type: K.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<K> {
        let place = try place(key)
        guard let object = node.objects[place] else {
            return try json(place).container(keyedBy: type)
        }
        return try object.required().container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try json(try place(key)).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder { throw node.owner.textNeeded(node.path) }
    func superDecoder(forKey key: Key) throws -> any Decoder {
        throw node.owner.textNeeded(node.path + [key.stringValue])
    }

    private func json(_ place: Int) throws -> ValueDecoder {
        let field = node.fields[place]
        guard field >= 0, node.owner.column(field).kind == KJ_JSON else {
            throw node.owner.textNeeded(node.path + [node.keys[place]])
        }
        return try node.owner.json(field)
    }
}

/// Decodes enums with raw values, narrow integers, and other wrappers of one scalar.
private struct ScalarDecoder: Decoder, SingleValueDecodingContainer, TakesDecimals {
    let owner: ColumnDecoder
    let field: Int
    var codingPath: [any CodingKey] { owner.path(field).map(PathKey.init) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        throw owner.textNeeded(owner.path(field))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        throw owner.textNeeded(owner.path(field))
    }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    func decodeNil() -> Bool {
        _ = owner.textNeeded(owner.path(field))
        return owner.state(field) == KJ_NULL
    }

    func decode(_ type: String.Type) throws -> String {
        try owner.require(field, KJ_STRING).strings[owner.row].string
    }
    func decode(_ type: Bool.Type) throws -> Bool {
        try owner.require(field, KJ_BOOL).integers[owner.row] != 0
    }
    func decode(_ type: Double.Type) throws -> Double {
        try owner.require(field, KJ_DOUBLE).doubles[owner.row]
    }
    func decode(_ type: Float.Type) throws -> Float {
        try Float(owner.require(field, KJ_DOUBLE).doubles[owner.row])
    }
    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        if let integer = T.self as? any FixedWidthInteger.Type {
            let value = try owner.require(field, KJ_INTEGER).integers[owner.row]
            if let fitting = exactly(integer, value) as? T { return fitting }
            throw FieldFailure.wrongType(owner.path(field), "within the range of \(T.self)")
        }
        if let exact = try owner.exact(type, field) { return exact }
        return try T(from: self)
    }

    private func exactly<I: FixedWidthInteger>(_ type: I.Type, _ value: Int64) -> Any? {
        I(exactly: value)
    }
}
