import CKappaJSON

/// Decodes structs out of the columns of a batch.
///
/// Each object of a shape has one decoder that is made once and used for all events; a field is
/// found by remembering which one is asked for next, so no key is looked up by name.
final class ColumnDecoder {
    fileprivate var columns: [kj_column] = []
    fileprivate var row = 0
    private let shape: EventShape
    private let fieldColumns: [Int]
    private var root: NodeDecoder?

    /// Adds a shape's fields to a plan.
    init(shape: EventShape, plan: ExtractionPlan) {
        self.shape = shape
        fieldColumns = shape.fields.map { plan.column(at: $0.path, $0.kind) }
        root = NodeDecoder(owner: self, node: shape.root, path: [], plan: plan)
    }

    func load(_ batch: EventBatch) { columns = batch.columns }

    /// The decoder of one event of the loaded batch; valid until the next call.
    func decoder(row: Int) -> any Decoder {
        guard let root else { preconditionFailure("a decoder has a root") }
        self.row = row
        root.next = 0
        return root
    }

    @inline(__always)
    fileprivate func column(_ field: Int) -> kj_column { columns[fieldColumns[field]] }

    fileprivate func state(_ field: Int) -> kj_state {
        kj_state(rawValue: UInt32(column(field).states[row]))
    }

    fileprivate func failure(_ field: Int) -> FieldFailure {
        .of(path(field), state(field), expected: shape.fields[field].kind.withArticle)
    }

    /// The value of a plain field, which must be there.
    @inline(__always)
    fileprivate func require(_ field: Int) throws -> kj_column {
        let column = column(field)
        guard column.states[row] == UInt8(KJ_VALUE.rawValue) else { throw failure(field) }
        return column
    }

    /// The value of a field that a type asks for as `kind`, which must be there.
    @inline(__always)
    fileprivate func require(_ field: Int, _ kind: kj_kind) throws -> kj_column {
        let column = try require(field)
        guard column.kind == kind else { throw otherKind(field) }
        return column
    }

    /// A type's own init(from:) asks for a field in two ways, and probing has seen another one.
    private func otherKind(_ field: Int) -> FieldFailure {
        FieldFailure(
            description: "field \(path(field).joined(separator: ".")) is read as "
                + "\(shape.fields[field].kind.withArticle), and the event type's own init(from:) "
                + "asks for something else")
    }

    fileprivate func path(_ field: Int) -> [String] { shape.fields[field].path }
}

extension kj_string {
    @inline(__always)
    var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: Int(length)) }
    @inline(__always)
    var string: String { ShortText.maker.string(buffer) }
}

extension kj_column {
    /// The decimal in a row; nil where its text has more than 38 digits.
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
    /// The column that tells whether this object is there; none for the event itself.
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
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        throw FieldFailure.wrongType(path, "an array")
    }
    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        throw FieldFailure.wrongType(path, "a single value")
    }

    /// The place of a key among this object's, or −1. Types ask for their keys in one order.
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

    /// This object, which must be there.
    func required() throws -> NodeDecoder {
        switch state {
        case KJ_VALUE: return self
        case KJ_MISSING: throw FieldFailure.missing(path)
        case KJ_NULL: throw FieldFailure.null(path)
        default: throw FieldFailure.wrongType(path, "an object")
        }
    }

    func value<T: Decodable>(_ type: T.Type, at place: Int) throws -> T {
        if let object = objects[place] { return try T(from: object.required()) }
        let field = fields[place]
        if T.self == Timestamp.self {
            let time = Timestamp(
                microseconds: try owner.require(field, KJ_TIMESTAMP).integers[owner.row])
            return unsafeBitCast(time, to: T.self)
        }
        if T.self == ExactDecimal.self {
            guard let decimal = try owner.require(field, KJ_DECIMAL).decimal(owner.row) else {
                throw FieldFailure.wrongType(owner.path(field), ColumnKind.decimal.withArticle)
            }
            return unsafeBitCast(decimal, to: T.self)
        }
        let column = try owner.require(field)
        if column.kind == KJ_JSON {
            let text = column.strings[owner.row].buffer
            return try T(from: ValueDecoder(JSONValue(parsing: text), path: owner.path(field)))
        }
        return try T(from: ScalarDecoder(owner: owner, field: field))
    }
}

private struct NodeContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let node: NodeDecoder
    var codingPath: [any CodingKey] { node.codingPath }
    var allKeys: [Key] { node.keys.compactMap(Key.init(stringValue:)) }

    func contains(_ key: Key) -> Bool {
        guard let place = node.keys.firstIndex(of: key.stringValue) else { return false }
        if let object = node.objects[place] { return object.state != KJ_MISSING }
        return node.owner.state(node.fields[place]) != KJ_MISSING
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        guard let place = node.keys.firstIndex(of: key.stringValue) else { return true }
        if let object = node.objects[place] { return object.state == KJ_NULL }
        return node.owner.state(node.fields[place]) == KJ_NULL
    }

    @inline(__always)
    private func place(_ key: Key) throws -> Int {
        let place = node.find(key)
        if place < 0 { throw FieldFailure.missing(node.path + [key.stringValue]) }
        return place
    }

    /// The column of a plain field, whose value must be there.
    @inline(__always)
    private func require(_ key: Key, _ kind: kj_kind) throws -> kj_column {
        let place = try place(key)
        if let object = node.objects[place] {
            throw FieldFailure.wrongType(object.path, "a single value")
        }
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

    /// The column of a plain field if it has a value here; nil where that is missing or null.
    private func optional(_ key: Key, _ kind: kj_kind) throws -> kj_column? {
        let place = node.find(key)
        if place < 0 || node.objects[place] != nil { return nil }
        let state = node.owner.state(node.fields[place])
        if state == KJ_MISSING || state == KJ_NULL { return nil }
        return try node.owner.require(node.fields[place], kind)
    }

    /// Nil where the value is missing or null.
    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        let place = node.find(key)
        if place < 0 { return nil }
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
        guard let object = node.objects[try place(key)] else {
            throw FieldFailure.wrongType(node.path + [key.stringValue], "an object")
        }
        return try object.required().container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        throw FieldFailure.wrongType(node.path + [key.stringValue], "an array")
    }
    func superDecoder() throws -> any Decoder { node }
    func superDecoder(forKey key: Key) throws -> any Decoder { node }
}

/// Decodes enums with raw values, narrow integers, and other wrappers of one scalar.
private struct ScalarDecoder: Decoder, SingleValueDecodingContainer {
    let owner: ColumnDecoder
    let field: Int
    var codingPath: [any CodingKey] { owner.path(field).map(PathKey.init) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        throw FieldFailure.wrongType(owner.path(field), "an object")
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        throw FieldFailure.wrongType(owner.path(field), "an array")
    }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    func decodeNil() -> Bool { owner.state(field) == KJ_NULL }

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
        return try T(from: self)
    }

    private func exactly<I: FixedWidthInteger>(_ type: I.Type, _ value: Int64) -> Any? {
        I(exactly: value)
    }
}
