/// A condition on elements: comparisons of properties with constants or with each other, combined by `&&`,
/// `||` and `!`.
///
/// ```swift
/// .count().where(\.price < 100 && \.shop != "north").as("cheap")
/// ```
///
/// Nil is equal only to nil, and neither smaller nor larger than anything; text is compared by its bytes. (In
/// a closure `==` is Swift's own, which treats two encodings of an accented letter as equal.)
public struct Condition<Element>: Sendable {
    enum Form: Sendable {
        case compare(Expression<Element>, Comparison, Value)
        case compareTwo(Expression<Element>, Comparison, Expression<Element>)
        /// A closure, and a loop that calls it for many elements, if there is one.
        case closure(@Sendable (Element) throws -> Bool, ChoosingLoop<Element>?)
        indirect case both(Condition, Condition)
        indirect case either(Condition, Condition)
        indirect case not(Condition)
    }
    let form: Form

    init(form: Form) { self.form = form }

    @usableFromInline
    init(
        closure: @escaping @Sendable (Element) throws -> Bool,
        _ loop: ChoosingLoop<Element>? = nil
    ) {
        form = .closure(closure, loop)
    }

    init<V: ColumnValue>(
        _ property: KeyPath<Element, V> & Sendable, _ comparison: Comparison, _ constant: V
    ) {
        form = .compare(Expression(property), comparison, constant.cell)
    }

    init<V: ColumnValue>(
        _ a: KeyPath<Element, V> & Sendable, _ comparison: Comparison,
        _ b: KeyPath<Element, V> & Sendable
    ) {
        form = .compareTwo(Expression(a), comparison, Expression(b))
    }

    /// Whether the condition holds for an element.
    func holds(for element: Element) throws -> Bool {
        switch form {
        case .compare(let value, let comparison, let constant):
            comparison.holds(try value.evaluate(element), constant)
        case .compareTwo(let a, let comparison, let b):
            comparison.holds(
                try a.evaluate(element).orNullIfNaN, try b.evaluate(element).orNullIfNaN)
        case .closure(let isIncluded, _): try Self.checked(isIncluded, element)
        case .both(let a, let b): try a.holds(for: element) && b.holds(for: element)
        case .either(let a, let b): try a.holds(for: element) || b.holds(for: element)
        case .not(let condition): try !condition.holds(for: element)
        }
    }

    private static func checked(
        _ isIncluded: (Element) throws -> Bool, _ element: Element
    ) throws -> Bool {
        let isWanted = try isIncluded(element)
        try DecimalOverflow.check()
        return isWanted
    }

    /// Whether another condition has the same form, so that both hold for the same elements. A closure is
    /// never the same as another.
    func isSame(as other: Condition) -> Bool {
        switch (form, other.form) {
        case (.compare(let a, let x, let one), .compare(let b, let y, let two)):
            a.keyPath == b.keyPath && a.keyPath != nil && x == y && one == two
        case (.compareTwo(let a, let x, let b), .compareTwo(let c, let y, let d)):
            a.keyPath == c.keyPath && a.keyPath != nil && x == y && b.keyPath == d.keyPath
                && b.keyPath != nil
        case (.both(let a, let b), .both(let x, let y)),
            (.either(let a, let b), .either(let x, let y)):
            a.isSame(as: x) && b.isSame(as: y)
        case (.not(let a), .not(let b)): a.isSame(as: b)
        default: false
        }
    }
}

/// How two values are compared.
enum Comparison: Sendable {
    case equal, notEqual, less, atMost, greater, atLeast

    /// Whether the comparison holds for two cells, which are of one kind or null.
    func holds(_ a: Value, _ b: Value) -> Bool {
        switch (a, b) {
        case (.integer(let x), .integer(let y)): holds(x, y)
        case (.timestamp(let x), .timestamp(let y)): holds(x, y)
        case (.double(let x), .double(let y)): holds(x, y)
        case (.decimal(let x), .decimal(let y)): holds(x, y)
        case (.text(let x), .text(let y)): holds(Bytes(x), Bytes(y))
        default: self == .equal ? a == b : self == .notEqual && a != b
        }
    }

    /// Whether the comparison holds for two values at least one of which is null, given for each whether it
    /// is not null.
    func holds(_ isThere: Bool, _ otherIsThere: Bool) -> Bool {
        switch self {
        case .equal: isThere == otherIsThere
        case .notEqual: isThere != otherIsThere
        case .less, .atMost, .greater, .atLeast: false
        }
    }

    @inline(__always)
    func holds<V: Comparable>(_ a: V, _ b: V) -> Bool {
        switch self {
        case .equal: a == b
        case .notEqual: a != b
        case .less: a < b
        case .atMost: a <= b
        case .greater: a > b
        case .atLeast: a >= b
        }
    }

    /// Text in the order of its bytes.
    private struct Bytes: Comparable {
        let text: String
        init(_ text: String) { self.text = text }
        static func == (a: Bytes, b: Bytes) -> Bool { a.text.hasSameBytes(as: b.text) }
        static func < (a: Bytes, b: Bytes) -> Bool { a.text.hasBytesBefore(b.text) }
    }
}

extension Value {
    /// NaN counts as null, as it does in a column.
    fileprivate var orNullIfNaN: Value {
        if case .double(let double) = self, double.isNaN { .null } else { self }
    }
}
