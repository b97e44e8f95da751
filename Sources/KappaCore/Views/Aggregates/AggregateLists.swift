/// Lists of values, as JSON arrays.
extension Aggregate {
    /// The `limit` largest values, the largest first, as a JSON array; ties are in log order. Each group
    /// keeps up to `limit` values.
    public static func top<V: OrderedValue>(
        _ limit: Int, _ value: Property<V>, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .top, Expression(value), settings: .limit(limit), where: condition)
    }

    /// Like `top`, for a computed value.
    public static func top<V: OrderedValue>(
        _ limit: Int, as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .top, Expression(value), settings: .limit(limit), where: condition)
    }

    /// Like `top`, for only the elements for which a closure returns true.
    public static func top<V: OrderedValue>(
        _ limit: Int, _ value: Property<V>, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .top, Expression(value), settings: .limit(limit),
            where: Condition(closure: isIncluded))
    }

    /// Like `top`, for a computed value and only elements for which a closure returns true.
    public static func top<V: OrderedValue>(
        _ limit: Int, as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .top, Expression(value), settings: .limit(limit),
            where: Condition(closure: isIncluded))
    }

    /// The values of the `limit` elements in which another property is largest, the largest first, as a
    /// JSON array; ties are in log order. Elements in which that property is nil are skipped; a value that
    /// is nil is `null`.
    public static func top<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, _ value: Property<V>, by key: Property<K>, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .top, Expression(value), order: Expression(key), settings: .limit(limit),
            where: condition)
    }

    /// Like `top`, for a computed value.
    public static func top<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, as name: String, of value: @escaping Computation<V>,
        by key: @escaping Computation<K>, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .top, Expression(value), order: Expression(key), settings: .limit(limit),
            where: condition)
    }

    /// Like `top`, for only the elements for which a closure returns true.
    public static func top<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, _ value: Property<V>, by key: Property<K>, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .top, Expression(value), order: Expression(key), settings: .limit(limit),
            where: Condition(closure: isIncluded))
    }

    /// Like `top`, for a computed value and only elements for which a closure returns true.
    public static func top<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, as name: String, of value: @escaping Computation<V>,
        by key: @escaping Computation<K>, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .top, Expression(value), order: Expression(key), settings: .limit(limit),
            where: Condition(closure: isIncluded))
    }

    /// The `limit` smallest values, the smallest first, as a JSON array; ties are in log order. Each group
    /// keeps up to `limit` values.
    public static func bottom<V: OrderedValue>(
        _ limit: Int, _ value: Property<V>, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .bottom, Expression(value), settings: .limit(limit), where: condition)
    }

    /// Like `bottom`, for a computed value.
    public static func bottom<V: OrderedValue>(
        _ limit: Int, as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .bottom, Expression(value), settings: .limit(limit), where: condition)
    }

    /// Like `bottom`, for only the elements for which a closure returns true.
    public static func bottom<V: OrderedValue>(
        _ limit: Int, _ value: Property<V>, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .bottom, Expression(value), settings: .limit(limit),
            where: Condition(closure: isIncluded))
    }

    /// Like `bottom`, for a computed value and only elements for which a closure returns true.
    public static func bottom<V: OrderedValue>(
        _ limit: Int, as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .bottom, Expression(value), settings: .limit(limit),
            where: Condition(closure: isIncluded))
    }

    /// The values of the `limit` elements in which another property is smallest, the smallest first, as a
    /// JSON array; ties are in log order. Elements in which that property is nil are skipped; a value that
    /// is nil is `null`.
    public static func bottom<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, _ value: Property<V>, by key: Property<K>, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .bottom, Expression(value), order: Expression(key), settings: .limit(limit),
            where: condition)
    }

    /// Like `bottom`, for a computed value.
    public static func bottom<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, as name: String, of value: @escaping Computation<V>,
        by key: @escaping Computation<K>, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .bottom, Expression(value), order: Expression(key), settings: .limit(limit),
            where: condition)
    }

    /// Like `bottom`, for only the elements for which a closure returns true.
    public static func bottom<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, _ value: Property<V>, by key: Property<K>, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .bottom, Expression(value), order: Expression(key), settings: .limit(limit),
            where: Condition(closure: isIncluded))
    }

    /// Like `bottom`, for a computed value and only elements for which a closure returns true.
    public static func bottom<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, as name: String, of value: @escaping Computation<V>,
        by key: @escaping Computation<K>, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .bottom, Expression(value), order: Expression(key), settings: .limit(limit),
            where: Condition(closure: isIncluded))
    }

    /// The first `limit` values in log order, as a JSON array.
    public static func collect<V: ColumnValue>(
        _ value: Property<V>, limit: Int, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .collect, Expression(value), settings: .limit(limit), where: condition)
    }

    /// Like `collect`, for a computed value.
    public static func collect<V: ColumnValue>(
        limit: Int, as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .collect, Expression(value), settings: .limit(limit), where: condition)
    }

    /// Like `collect`, for only the elements for which a closure returns true.
    public static func collect<V: ColumnValue>(
        _ value: Property<V>, limit: Int, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .collect, Expression(value), settings: .limit(limit),
            where: Condition(closure: isIncluded))
    }

    /// Like `collect`, for a computed value and only elements for which a closure returns true.
    public static func collect<V: ColumnValue>(
        limit: Int, as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .collect, Expression(value), settings: .limit(limit),
            where: Condition(closure: isIncluded))
    }
}
