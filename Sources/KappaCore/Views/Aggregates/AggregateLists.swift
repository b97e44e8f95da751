/// Lists of values, as JSON arrays.
extension Aggregate {
    /// The `limit` largest values, the largest first, as a JSON array; ties are in log order. Each group
    /// keeps up to `limit` values.
    public static func top<V: OrderedValue>(
        _ limit: Int, _ value: Property<V>
    ) -> AggregateValue<Element, [V.Unwrapped], [V.Unwrapped]> {
        AggregateValue(.top, Expression(value), settings: .limit(limit))
    }

    /// Like `top`, for a computed value.
    public static func top<V: OrderedValue>(
        _ limit: Int, of value: @escaping Computation<V>
    ) -> AggregateValue<Element, [V.Unwrapped], [V.Unwrapped]> {
        AggregateValue(.top, Expression(value), settings: .limit(limit))
    }

    /// The values of the `limit` elements in which another property is largest, the largest first, as a
    /// JSON array; ties are in log order. Elements in which that property is nil are skipped; a value that
    /// is nil is `null`.
    public static func top<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, _ value: Property<V>, by key: Property<K>
    ) -> AggregateValue<Element, [V], [V]> {
        AggregateValue(.top, Expression(value), order: Expression(key), settings: .limit(limit))
    }

    /// Like `top`, for a computed value.
    public static func top<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, of value: @escaping Computation<V>, by key: @escaping Computation<K>
    ) -> AggregateValue<Element, [V], [V]> {
        AggregateValue(.top, Expression(value), order: Expression(key), settings: .limit(limit))
    }

    /// The `limit` smallest values, the smallest first, as a JSON array; ties are in log order. Each group
    /// keeps up to `limit` values.
    public static func bottom<V: OrderedValue>(
        _ limit: Int, _ value: Property<V>
    ) -> AggregateValue<Element, [V.Unwrapped], [V.Unwrapped]> {
        AggregateValue(.bottom, Expression(value), settings: .limit(limit))
    }

    /// Like `bottom`, for a computed value.
    public static func bottom<V: OrderedValue>(
        _ limit: Int, of value: @escaping Computation<V>
    ) -> AggregateValue<Element, [V.Unwrapped], [V.Unwrapped]> {
        AggregateValue(.bottom, Expression(value), settings: .limit(limit))
    }

    /// The values of the `limit` elements in which another property is smallest, the smallest first, as a
    /// JSON array; ties are in log order. Elements in which that property is nil are skipped; a value that
    /// is nil is `null`.
    public static func bottom<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, _ value: Property<V>, by key: Property<K>
    ) -> AggregateValue<Element, [V], [V]> {
        AggregateValue(.bottom, Expression(value), order: Expression(key), settings: .limit(limit))
    }

    /// Like `bottom`, for a computed value.
    public static func bottom<V: ColumnValue, K: OrderedValue>(
        _ limit: Int, of value: @escaping Computation<V>, by key: @escaping Computation<K>
    ) -> AggregateValue<Element, [V], [V]> {
        AggregateValue(.bottom, Expression(value), order: Expression(key), settings: .limit(limit))
    }

    /// The first `limit` values in log order, as a JSON array.
    public static func collect<V: ColumnValue>(
        _ value: Property<V>, limit: Int
    ) -> AggregateValue<Element, [V.Unwrapped], [V.Unwrapped]> {
        AggregateValue(.collect, Expression(value), settings: .limit(limit))
    }

    /// Like `collect`, for a computed value.
    public static func collect<V: ColumnValue>(
        limit: Int, of value: @escaping Computation<V>
    ) -> AggregateValue<Element, [V.Unwrapped], [V.Unwrapped]> {
        AggregateValue(.collect, Expression(value), settings: .limit(limit))
    }
}
