/// Values of one element: the least, the largest, the first, the last.
extension Aggregate {
    /// The smallest value; strings by their bytes; null for no values.
    public static func min<V: OrderedValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .min, Expression(value), where: condition)
    }

    /// As `min`, of a computed value.
    public static func min<V: OrderedValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .min, Expression(value), where: condition)
    }

    /// As `min`, of the elements for which a closure holds.
    public static func min<V: OrderedValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .min, Expression(value), where: Condition(closure: isIncluded))
    }

    /// As `min`, of a computed value of the elements for which a closure holds.
    public static func min<V: OrderedValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .min, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The largest value; strings by their bytes; null for no values.
    public static func max<V: OrderedValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .max, Expression(value), where: condition)
    }

    /// As `max`, of a computed value.
    public static func max<V: OrderedValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .max, Expression(value), where: condition)
    }

    /// As `max`, of the elements for which a closure holds.
    public static func max<V: OrderedValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .max, Expression(value), where: Condition(closure: isIncluded))
    }

    /// As `max`, of a computed value of the elements for which a closure holds.
    public static func max<V: OrderedValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .max, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The value of the first element in log order.
    public static func first<V: ColumnValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .first, Expression(value), where: condition)
    }

    /// As `first`, of a computed value.
    public static func first<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .first, Expression(value), where: condition)
    }

    /// As `first`, of the elements for which a closure holds.
    public static func first<V: ColumnValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .first, Expression(value), where: Condition(closure: isIncluded))
    }

    /// As `first`, of a computed value of the elements for which a closure holds.
    public static func first<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .first, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The value of the last element in log order.
    public static func last<V: ColumnValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .last, Expression(value), where: condition)
    }

    /// As `last`, of a computed value.
    public static func last<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .last, Expression(value), where: condition)
    }

    /// As `last`, of the elements for which a closure holds.
    public static func last<V: ColumnValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .last, Expression(value), where: Condition(closure: isIncluded))
    }

    /// As `last`, of a computed value of the elements for which a closure holds.
    public static func last<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .last, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The value of the element in which another property is least; of equals the first in log order.
    /// Elements in which that property is nil are passed over; the value itself may be nil.
    public static func argMin<V: ColumnValue, K: OrderedValue>(
        _ value: Property<V>, by key: Property<K>, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .argMin, Expression(value), order: Expression(key), where: condition)
    }

    /// As `argMin`, of a computed value.
    public static func argMin<V: ColumnValue, K: OrderedValue>(
        as name: String, of value: @escaping Computation<V>, by key: @escaping Computation<K>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .argMin, Expression(value), order: Expression(key), where: condition)
    }

    /// As `argMin`, of the elements for which a closure holds.
    public static func argMin<V: ColumnValue, K: OrderedValue>(
        _ value: Property<V>, by key: Property<K>, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .argMin, Expression(value), order: Expression(key),
            where: Condition(closure: isIncluded))
    }

    /// As `argMin`, of a computed value of the elements for which a closure holds.
    public static func argMin<V: ColumnValue, K: OrderedValue>(
        as name: String, of value: @escaping Computation<V>, by key: @escaping Computation<K>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .argMin, Expression(value), order: Expression(key),
            where: Condition(closure: isIncluded))
    }

    /// The value of the element in which another property is largest; of equals the first in log
    /// order. Elements in which that property is nil are passed over; the value itself may be nil.
    public static func argMax<V: ColumnValue, K: OrderedValue>(
        _ value: Property<V>, by key: Property<K>, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .argMax, Expression(value), order: Expression(key), where: condition)
    }

    /// As `argMax`, of a computed value.
    public static func argMax<V: ColumnValue, K: OrderedValue>(
        as name: String, of value: @escaping Computation<V>, by key: @escaping Computation<K>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .argMax, Expression(value), order: Expression(key), where: condition)
    }

    /// As `argMax`, of the elements for which a closure holds.
    public static func argMax<V: ColumnValue, K: OrderedValue>(
        _ value: Property<V>, by key: Property<K>, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .argMax, Expression(value), order: Expression(key),
            where: Condition(closure: isIncluded))
    }

    /// As `argMax`, of a computed value of the elements for which a closure holds.
    public static func argMax<V: ColumnValue, K: OrderedValue>(
        as name: String, of value: @escaping Computation<V>, by key: @escaping Computation<K>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .argMax, Expression(value), order: Expression(key),
            where: Condition(closure: isIncluded))
    }
}
