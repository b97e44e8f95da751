/// Holds where the property equals a constant; nil equals nil.
public func == <Element, V: ColumnValue>(
    property: KeyPath<Element, V> & Sendable, constant: V
) -> Condition<Element> {
    Condition(property, .equal, constant)
}

/// Holds where `==` does not.
public func != <Element, V: ColumnValue>(
    property: KeyPath<Element, V> & Sendable, constant: V
) -> Condition<Element> {
    Condition(property, .notEqual, constant)
}

/// Holds where the property is smaller than a constant.
public func < <Element, V: OrderedValue>(
    property: KeyPath<Element, V> & Sendable, constant: V
) -> Condition<Element> {
    Condition(property, .less, constant)
}

/// Holds where the property is at most a constant.
public func <= <Element, V: OrderedValue>(
    property: KeyPath<Element, V> & Sendable, constant: V
) -> Condition<Element> {
    Condition(property, .atMost, constant)
}

/// Holds where the property is larger than a constant.
public func > <Element, V: OrderedValue>(
    property: KeyPath<Element, V> & Sendable, constant: V
) -> Condition<Element> {
    Condition(property, .greater, constant)
}

/// Holds where the property is at least a constant.
public func >= <Element, V: OrderedValue>(
    property: KeyPath<Element, V> & Sendable, constant: V
) -> Condition<Element> {
    Condition(property, .atLeast, constant)
}

// MARK: Two properties

/// Holds where both are equal; nil equals nil.
public func == <Element, V: ColumnValue>(
    a: KeyPath<Element, V> & Sendable, b: KeyPath<Element, V> & Sendable
) -> Condition<Element> {
    Condition(a, .equal, b)
}

/// Holds where `==` does not.
public func != <Element, V: ColumnValue>(
    a: KeyPath<Element, V> & Sendable, b: KeyPath<Element, V> & Sendable
) -> Condition<Element> {
    Condition(a, .notEqual, b)
}

/// Holds where the first is smaller.
public func < <Element, V: OrderedValue>(
    a: KeyPath<Element, V> & Sendable, b: KeyPath<Element, V> & Sendable
) -> Condition<Element> {
    Condition(a, .less, b)
}

/// Holds where the first is at most the second.
public func <= <Element, V: OrderedValue>(
    a: KeyPath<Element, V> & Sendable, b: KeyPath<Element, V> & Sendable
) -> Condition<Element> {
    Condition(a, .atMost, b)
}

/// Holds where the first is larger.
public func > <Element, V: OrderedValue>(
    a: KeyPath<Element, V> & Sendable, b: KeyPath<Element, V> & Sendable
) -> Condition<Element> {
    Condition(a, .greater, b)
}

/// Holds where the first is at least the second.
public func >= <Element, V: OrderedValue>(
    a: KeyPath<Element, V> & Sendable, b: KeyPath<Element, V> & Sendable
) -> Condition<Element> {
    Condition(a, .atLeast, b)
}

extension Condition {
    /// Holds where both conditions do.
    public static func && (a: Condition, b: Condition) -> Condition {
        Condition(form: .both(a, b))
    }

    /// Holds where at least one of the conditions does.
    public static func || (a: Condition, b: Condition) -> Condition {
        Condition(form: .either(a, b))
    }

    /// Holds where the condition does not.
    public static prefix func ! (condition: Condition) -> Condition {
        Condition(form: .not(condition))
    }
}
