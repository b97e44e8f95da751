/// Arrays, whose order is their own: nothing is looked for in them.
protocol ElementsInOrder {}
extension Array: ElementsInOrder {}
extension ArraySlice: ElementsInOrder {}
extension ContiguousArray: ElementsInOrder {}

/// Sets and dictionaries: what order their elements come in depends on the seed of their hashes.
protocol ElementsWithoutOrder {
    /// How they stand in an array of their elements.
    static var order: EncodingBox.Order { get }
    /// The elements as an array of them has them, in the order in which they come in this process.
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

    /// A dictionary has no columns: it would be a row in which nothing stands.
    /// - Throws: `.usage`.
    static func check(row type: any Any.Type) throws(KappaError) {
        guard type is any ElementsWithoutOrder.Type else { return }
        throw KappaError(
            .usage, "\(type) cannot be a row", because: "a row's columns are a struct's properties",
            advice: "Make it a property of a struct: struct Row { var values: \(type) }")
    }

    /// An array that is filled in by hand may be a set that the value holds: it is one if its elements
    /// are the set's, in the very order in which they come in this process. Then they are sorted.
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

    /// The arrays that were filled in by hand, inside of objects and arrays that were.
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
