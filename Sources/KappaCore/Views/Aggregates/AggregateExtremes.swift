/// Values taken from a single element: the smallest, the largest, the first, the last.
extension Aggregate {
    /// The smallest value; strings are compared by their bytes. Null if there are no values.
    public static func min<V: OrderedValue>(
        _ value: Property<V>
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.min, Expression(value))
    }

    /// Like `min`, for a computed value.
    public static func min<V: OrderedValue>(
        of value: @escaping Computation<V>
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.min, Expression(value))
    }

    /// The largest value; strings are compared by their bytes. Null if there are no values.
    public static func max<V: OrderedValue>(
        _ value: Property<V>
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.max, Expression(value))
    }

    /// Like `max`, for a computed value.
    public static func max<V: OrderedValue>(
        of value: @escaping Computation<V>
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.max, Expression(value))
    }

    /// The value of the first element in log order.
    public static func first<V: ColumnValue>(
        _ value: Property<V>
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.first, Expression(value))
    }

    /// Like `first`, for a computed value.
    public static func first<V: ColumnValue>(
        of value: @escaping Computation<V>
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.first, Expression(value))
    }

    /// The value of the last element in log order.
    public static func last<V: ColumnValue>(
        _ value: Property<V>
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.last, Expression(value))
    }

    /// Like `last`, for a computed value.
    public static func last<V: ColumnValue>(
        of value: @escaping Computation<V>
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.last, Expression(value))
    }

    /// The value of the element in which another property is smallest; among ties, the first in log order.
    /// Elements in which that property is nil are skipped; the value itself may be nil.
    public static func argMin<V: ColumnValue, K: OrderedValue>(
        _ value: Property<V>, by key: Property<K>
    ) -> AggregateValue<Element, V.Unwrapped?, V.Unwrapped?> {
        AggregateValue(.argMin, Expression(value), order: Expression(key))
    }

    /// Like `argMin`, for a computed value.
    public static func argMin<V: ColumnValue, K: OrderedValue>(
        of value: @escaping Computation<V>, by key: @escaping Computation<K>
    ) -> AggregateValue<Element, V.Unwrapped?, V.Unwrapped?> {
        AggregateValue(.argMin, Expression(value), order: Expression(key))
    }

    /// The value of the element in which another property is largest; among ties, the first in log order.
    /// Elements in which that property is nil are skipped; the value itself may be nil.
    public static func argMax<V: ColumnValue, K: OrderedValue>(
        _ value: Property<V>, by key: Property<K>
    ) -> AggregateValue<Element, V.Unwrapped?, V.Unwrapped?> {
        AggregateValue(.argMax, Expression(value), order: Expression(key))
    }

    /// Like `argMax`, for a computed value.
    public static func argMax<V: ColumnValue, K: OrderedValue>(
        of value: @escaping Computation<V>, by key: @escaping Computation<K>
    ) -> AggregateValue<Element, V.Unwrapped?, V.Unwrapped?> {
        AggregateValue(.argMax, Expression(value), order: Expression(key))
    }
}

/// Quantiles, exact and approximate.
extension Aggregate {
    /// The value at a given fraction of the sorted values, by nearest rank, like PostgreSQL's
    /// `percentile_disc`: of n sorted values the one at rank ⌈fraction × n⌉, or the first for fraction 0. The
    /// result is exact and always one of the values. Strings are sorted by their bytes. Null if there are
    /// no values.
    ///
    /// A group keeps all its distinct values with their counts; `approximateQuantile` keeps its state small.
    /// `fraction` is 0 … 1.
    public static func quantile<V: OrderedValue>(
        _ value: Property<V>, _ fraction: Double
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.quantile, Expression(value), settings: .fraction(fraction))
    }

    /// Like `quantile`, for a computed value.
    public static func quantile<V: OrderedValue>(
        _ fraction: Double, of value: @escaping Computation<V>
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.quantile, Expression(value), settings: .fraction(fraction))
    }

    /// The quantile at 0.5: for an even number of values, the lower of the two in the middle. See
    /// `quantile`.
    public static func median<V: OrderedValue>(
        _ value: Property<V>
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.quantile, Expression(value), settings: .fraction(0.5))
    }

    /// Like `median`, for a computed value.
    public static func median<V: OrderedValue>(
        of value: @escaping Computation<V>
    ) -> AggregateValue<Element, V.Stored, V.Unwrapped?> {
        AggregateValue(.quantile, Expression(value), settings: .fraction(0.5))
    }

    /// An approximate quantile (by nearest rank; see `quantile`), as a double, with a relative error of at
    /// most 0.8 %. Null if there are no values.
    ///
    /// A sketch after DDSketch (Masson, Rim and Lee, 2019) that counts values in buckets, 64 for each power
    /// of two. Whole numbers between −128 and 128 come out exactly, whatever their type. The state depends
    /// only on the multiset of values, so replays, restarts and merged sessions give the same bits. A group
    /// keeps 16 bytes for each bucket in use: about 20 KiB for values from a microsecond to an hour.
    /// `fraction` is 0 … 1.
    public static func approximateQuantile<V: SummableValue>(
        _ value: Property<V>, _ fraction: Double
    ) -> AggregateValue<Element, Double?, Double?> {
        AggregateValue(.approximateQuantile, Expression(value), settings: .fraction(fraction))
    }

    /// Like `approximateQuantile`, for a computed value.
    public static func approximateQuantile<V: SummableValue>(
        _ fraction: Double, of value: @escaping Computation<V>
    ) -> AggregateValue<Element, Double?, Double?> {
        AggregateValue(.approximateQuantile, Expression(value), settings: .fraction(fraction))
    }
}
