/// By what elements are ordered, best first.
public struct Ordering<Element>: Sendable {
    let value: Expression<Element>
    let isDescending: Bool
    let mayBeNull: Bool

    private init<V: OrderedValue>(
        _ property: KeyPath<Element, V> & Sendable, isDescending: Bool
    ) {
        value = Expression(property)
        self.isDescending = isDescending
        mayBeNull = V.self is any ExpressibleByNilLiteral.Type
    }

    /// The largest first. Nil is less than anything else.
    public static func descending<V: OrderedValue>(
        _ property: KeyPath<Element, V> & Sendable
    ) -> Ordering { Ordering(property, isDescending: true) }

    /// The smallest first. Nil is less than anything else.
    public static func ascending<V: OrderedValue>(
        _ property: KeyPath<Element, V> & Sendable
    ) -> Ordering { Ordering(property, isDescending: false) }

    /// A part of a view's digest.
    var signature: String {
        "\(value.propertyName ?? "computed") \(isDescending ? "desc" : "asc")"
    }

    /// Negative where a cell of one element stands before that of another.
    @inline(__always)
    func compare(_ a: Value, _ b: Value) -> Int {
        let order = Value.order(a, b)
        return isDescending ? -order : order
    }
}

extension Value {
    /// Negative, zero or positive, as two cells of one kind stand to each other; null is least, NaN
    /// is largest, texts are compared by their bytes.
    static func order(_ a: Value, _ b: Value) -> Int {
        func order<V: Comparable>(_ x: V, _ y: V) -> Int { x < y ? -1 : x == y ? 0 : 1 }
        switch (a, b) {
        case (.integer(let x), .integer(let y)): return order(x, y)
        case (.timestamp(let x), .timestamp(let y)): return order(x, y)
        case (.decimal(let x), .decimal(let y)): return order(x, y)
        case (.bool(let x), .bool(let y)): return order(x ? 1 : 0, y ? 1 : 0)
        case (.double(let x), .double(let y)):
            if x.isNaN || y.isNaN { return order(x.isNaN ? 1 : 0, y.isNaN ? 1 : 0) }
            return order(x, y)
        case (.text(let x), .text(let y)), (.json(let x), .json(let y)):
            if x.hasBytesBefore(y) { return -1 }
            return x.hasSameBytes(as: y) ? 0 : 1
        default: return order(a == .null ? 0 : 1, b == .null ? 0 : 1)
        }
    }
}
