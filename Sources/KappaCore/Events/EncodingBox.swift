/// A value that is being encoded; containers fill it in.
final class EncodingBox {
    enum Kind { case single, array, object }

    /// The order of a value's parts in its text.
    enum Order {
        /// As they were written.
        case asWritten
        /// Elements of a set: sorted.
        case elements
        /// Alternating keys and values of a dictionary: sorted by the keys.
        case pairs
    }

    struct Member {
        /// The name as it is written.
        let name: String
        /// The name as the type declares it.
        let key: String
        /// The index of its key type among those of the object: a class and its parent have different ones.
        let type: Int
        /// The position of a property among those of its type; nil for a key that is data.
        let rank: Int?
        let box: EncodingBox
    }

    private(set) var kind = Kind.single
    private var single = JSONValue.null
    private(set) var elements: [EncodingBox] = []
    private(set) var members: [Member] = []
    private var keyTypes: [ObjectIdentifier] = []
    var order = Order.asWritten
    /// Whether it is an array that a type's own `encode(to:)` fills in, element by element.
    var isFilledByHand = false

    func set(_ value: JSONValue) {
        kind = .single
        single = value
    }

    func becomeArray() {
        if kind != .array { elements = [] }
        kind = .array
    }

    /// - Returns: The index of this key type among those of the object.
    func becomeObject(_ keys: any Any.Type) -> Int {
        if kind != .object { (members, keyTypes) = ([], []) }
        kind = .object
        let id = ObjectIdentifier(keys)
        if let known = keyTypes.firstIndex(of: id) { return known }
        keyTypes.append(id)
        return keyTypes.count - 1
    }

    func element() -> EncodingBox {
        let box = EncodingBox()
        elements.append(box)
        return box
    }

    func member(_ name: String, key: String, type: Int, rank: Int?) -> EncodingBox {
        let box = EncodingBox()
        members.append(Member(name: name, key: key, type: type, rank: rank, box: box))
        return box
    }

    // MARK: The finished value

    func finished(_ use: EncodingUse) throws -> JSONValue {
        switch kind {
        case .single: single
        case .array: .array(try finishedElements(use))
        case .object: .object(try finishedMembers(use))
        }
    }

    func finishedElements(_ use: EncodingUse) throws -> [JSONValue] {
        let values = try elements.map { try $0.finished(use) }
        switch order {
        case .asWritten: return values
        case .elements: return values.sorted(by: JSONValue.precedes)
        case .pairs:
            let pairs = stride(from: 0, to: values.count - 1, by: 2).map {
                (key: values[$0], value: values[$0 + 1])
            }
            return pairs.sorted { a, b in
                if JSONValue.precedes(a.key, b.key) { return true }
                if JSONValue.precedes(b.key, a.key) { return false }
                return JSONValue.precedes(a.value, b.value)
            }.flatMap { [$0.key, $0.value] }
        }
    }

    private func finishedMembers(
        _ use: EncodingUse
    ) throws -> [(key: String, value: JSONValue)] {
        let isSorted = zip(members, members.dropFirst()).allSatisfy { Self.precedes($0, $1) }
        // If a type writes a property twice, the last one wins, so the sort keeps their order.
        let sorted = isSorted ? members : Self.sorted(members)
        var finished: [(key: String, value: JSONValue)] = []
        finished.reserveCapacity(sorted.count)
        // Keys that are data are sorted by name, so only the previous one can be the same.
        let isData = keyTypes.count == 1 && !sorted.contains { $0.rank != nil }
        let names = isData ? nil : NameIndex(sorted.map(\.name))
        /// The index of each member in `finished`.
        var places: [Int] = []
        places.reserveCapacity(sorted.count)
        for (index, member) in sorted.enumerated() {
            let value: JSONValue
            do { value = try member.box.finished(use) } catch {
                throw EncodingFailure(error).inside(member.key)
            }
            let same =
                names.map { $0.last(member.name, before: index) } ?? before(index, in: sorted)
            guard let same else {
                places.append(finished.count)
                finished.append((member.name, value))
                continue
            }
            let other = sorted[same]
            guard member.rank != nil, other.rank != nil, other.key.hasSameBytes(as: member.key)
            else { throw Self.clash(member, other.key) }
            finished[places[same]] = (member.name, value)
            places.append(places[same])
        }
        if use == .event { try checkReading() }
        return finished
    }

    /// The index of the previous member, if it has the same name.
    private func before(_ index: Int, in sorted: [Member]) -> Int? {
        guard index > 0, sorted[index - 1].name.hasSameBytes(as: sorted[index].name) else {
            return nil
        }
        return index - 1
    }

    private static func clash(_ member: Member, _ other: String) -> EncodingFailure {
        let isSame = member.key.hasSameBytes(as: other)
        return EncodingFailure(
            isSame
                ? "two keys of a dictionary are both written as \(member.name)"
                : "\(other) and \(member.key) are both written as \(member.name)",
            advice: isSame ? "Give each key a different text" : "Rename one of the two")
    }

    /// Readers accept several spellings of a property's name. None of them may be another property's name.
    private func checkReading() throws {
        let names = NameIndex(members.map(\.name))
        for member in members where member.rank != nil {
            let camel = WrittenName.of(member.key).camelCase
            guard let camel, let place = names.last(camel) else { continue }
            let other = members[place]
            if other.key.hasSameBytes(as: member.key) { continue }
            throw EncodingFailure(
                "readers take \(other.name) for \(member.key), too",
                advice: "Rename one of the two properties, \(member.key) and \(other.key)")
        }
    }

    /// Properties are in the order of their declaration, keys that are data in the order of their bytes.
    private static func precedes(_ a: Member, _ b: Member) -> Bool {
        if a.type != b.type { return a.type < b.type }
        if let x = a.rank, let y = b.rank { return x < y }
        return a.name.hasBytesBefore(b.name)
    }

    private static func sorted(_ members: [Member]) -> [Member] {
        members.enumerated().sorted { a, b in
            if precedes(a.element, b.element) { return true }
            if precedes(b.element, a.element) { return false }
            return a.offset < b.offset
        }.map(\.element)
    }
}

/// Arrays. Their order is part of their value, so they are not searched for sets.
protocol ElementsInOrder {}
extension Array: ElementsInOrder {}
extension ArraySlice: ElementsInOrder {}
extension ContiguousArray: ElementsInOrder {}

/// Sets and dictionaries, whose order of elements depends on the hash seed.
protocol ElementsWithoutOrder {
    /// How an array of their elements is ordered.
    static var order: EncodingBox.Order { get }
    /// The elements as an array holds them, in the order in which this process iterates over them.
    func encoded(_ use: EncodingUse) throws -> [JSONValue]
}

extension Set: ElementsWithoutOrder where Element: Encodable {
    static var order: EncodingBox.Order { .elements }
    func encoded(_ use: EncodingUse) throws -> [JSONValue] {
        try map { try JSONValue(encoding: $0, for: use) }
    }
}

extension Dictionary: ElementsWithoutOrder where Key: Encodable, Self.Value: Encodable {
    static var order: EncodingBox.Order { .pairs }
    func encoded(_ use: EncodingUse) throws -> [JSONValue] {
        try flatMap {
            [
                try JSONValue(encoding: $0.key, for: use),
                try JSONValue(encoding: $0.value, for: use),
            ]
        }
    }
}

/// Finds sets and dictionaries that a type's own `encode(to:)` has written element by element.
enum Unordered {
    static func order(of type: any Any.Type) -> EncodingBox.Order {
        (type as? any ElementsWithoutOrder.Type)?.order ?? .asWritten
    }

    /// A dictionary or a set has no columns: as a row, it would be empty.
    /// - Throws: `.usage`.
    static func check(row type: any Any.Type) throws(KappaError) {
        guard type is any ElementsWithoutOrder.Type else { return }
        throw KappaError(
            .usage, "\(type) cannot be a row", because: "a row's columns are a struct's properties",
            advice: "Make it a property of a struct: struct Row { var values: \(type) }")
    }

    /// An array that is filled in by hand may be a set that the value holds. It is one if its elements are
    /// the set's, in the order in which this process iterates over the set. Then they are sorted.
    static func find(in value: some Any, _ box: EncodingBox, _ use: EncodingUse) throws {
        var arrays: [EncodingBox] = []
        if box.kind == .array { arrays.append(box) }
        collect(box, into: &arrays)
        arrays.removeAll { $0.elements.count < 2 }
        if arrays.isEmpty { return }
        for child in Mirror(reflecting: value).children {
            guard let set = child.value as? any ElementsWithoutOrder else { continue }
            let texts = try set.encoded(use).map(\.json)
            for array in arrays where array.elements.count == texts.count {
                if try array.finishedElements(use).map(\.json) == texts {
                    array.order = order(of: type(of: set))
                }
            }
        }
    }

    /// Collects the arrays that were filled in by hand, also inside objects and arrays that were.
    private static func collect(_ box: EncodingBox, into arrays: inout [EncodingBox]) {
        func add(_ inner: EncodingBox) {
            guard inner.isFilledByHand else { return }
            if inner.kind == .array { arrays.append(inner) }
            collect(inner, into: &arrays)
        }
        for inner in box.elements { add(inner) }
        for member in box.members { add(member.box) }
    }
}
