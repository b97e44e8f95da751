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
