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

/// Quantiles, exact and approximate.
extension Aggregate {
    /// The value below which a share of the values lies, by nearest rank, as PostgreSQL's
    /// `percentile_disc` has it: of n sorted values the one at place ⌈fraction × n⌉, the first for 0. So it
    /// is always one of the values, and exact. Strings are sorted by their bytes. Null for no values.
    ///
    /// A group keeps all its different values with their counts: see `approximateQuantile`
    /// for a state that stays small. `fraction` is 0 … 1.
    public static func quantile<V: OrderedValue>(
        _ value: Property<V>, _ fraction: Double, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .quantile, Expression(value), settings: .fraction(fraction), where: condition)
    }

    /// As `quantile`, of a computed value.
    public static func quantile<V: OrderedValue>(
        _ fraction: Double, as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .quantile, Expression(value), settings: .fraction(fraction), where: condition)
    }

    /// As `quantile`, of the elements for which a closure holds.
    public static func quantile<V: OrderedValue>(
        _ value: Property<V>, _ fraction: Double, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .quantile, Expression(value), settings: .fraction(fraction),
            where: Condition(closure: isIncluded))
    }

    /// As `quantile`, of a computed value of the elements for which a closure holds.
    public static func quantile<V: OrderedValue>(
        _ fraction: Double, as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .quantile, Expression(value), settings: .fraction(fraction),
            where: Condition(closure: isIncluded))
    }

    /// The quantile of one half: of an even number of values the lower one of the two in the middle. See
    /// `quantile`.
    public static func median<V: OrderedValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .quantile, Expression(value), settings: .fraction(0.5), where: condition)
    }

    /// As `median`, of a computed value.
    public static func median<V: OrderedValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .quantile, Expression(value), settings: .fraction(0.5), where: condition)
    }

    /// As `median`, of the elements for which a closure holds.
    public static func median<V: OrderedValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .quantile, Expression(value), settings: .fraction(0.5),
            where: Condition(closure: isIncluded))
    }

    /// As `median`, of a computed value of the elements for which a closure holds.
    public static func median<V: OrderedValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .quantile, Expression(value), settings: .fraction(0.5),
            where: Condition(closure: isIncluded))
    }

    /// About the value below which a share of the values lies (by nearest rank; see `quantile`), as a
    /// double: at most 0.8 % of it off. Null for no values.
    ///
    /// A sketch after DDSketch (Masson, Rim and Lee, 2019) that counts values in buckets, 64 for each power
    /// of two; whole numbers between −128 and 128 come out exactly, of any type. What it holds depends on the multiset of
    /// values alone, so replays, restarts and merged sessions give the same bits. A group keeps 16 bytes for
    /// each bucket in use: about 20 KiB for values from a microsecond to an hour. `fraction` is 0 … 1.
    public static func approximateQuantile<V: SummableValue>(
        _ value: Property<V>, _ fraction: Double, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .approximateQuantile, Expression(value), settings: .fraction(fraction),
            where: condition)
    }

    /// As `approximateQuantile`, of a computed value.
    public static func approximateQuantile<V: SummableValue>(
        _ fraction: Double, as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .approximateQuantile, Expression(value), settings: .fraction(fraction),
            where: condition)
    }

    /// As `approximateQuantile`, of the elements for which a closure holds.
    public static func approximateQuantile<V: SummableValue>(
        _ value: Property<V>, _ fraction: Double, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .approximateQuantile, Expression(value), settings: .fraction(fraction),
            where: Condition(closure: isIncluded))
    }

    /// As `approximateQuantile`, of a computed value of the elements for which a closure holds.
    public static func approximateQuantile<V: SummableValue>(
        _ fraction: Double, as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .approximateQuantile, Expression(value), settings: .fraction(fraction),
            where: Condition(closure: isIncluded))
    }
}
