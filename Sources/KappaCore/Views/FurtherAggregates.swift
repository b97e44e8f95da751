/// Which variance is meant.
public enum Spread: Sendable {
    /// Of all there is: the squared distances from the mean, divided by the number of values.
    case population
    /// Of all there is, judged by a sample: divided by one less.
    case sample
}

extension Aggregate {
    /// The variance as a double: the sum of squared distances from the mean, divided by n
    /// (`.population`) or by n − 1 (`.sample`); null for no values, and for a sample of one.
    ///
    /// Computed in doubles by Welford's method, in log order; where sessions merge, by the formula
    /// of Chan, Golub and LeVeque.
    public static func variance<V: SummableValue>(
        _ value: KeyPath<Element, V> & Sendable, _ spread: Spread, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        let function: AggregateFunction =
            spread == .population ? .populationVariance : .sampleVariance
        return Aggregate(name, function, Expression(value), where: isIncluded)
    }

    /// The square root of the variance.
    public static func standardDeviation<V: SummableValue>(
        _ value: KeyPath<Element, V> & Sendable, _ spread: Spread, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        let function: AggregateFunction =
            spread == .population ? .populationDeviation : .sampleDeviation
        return Aggregate(name, function, Expression(value), where: isIncluded)
    }

    /// The value of the element in which another property is least; of equals the first in log
    /// order. Elements in which that property is nil are passed over; the value itself may be nil.
    public static func argMin<V: ColumnValue, K: OrderedValue>(
        _ value: KeyPath<Element, V> & Sendable, by key: KeyPath<Element, K> & Sendable,
        as name: String, where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(
            name, .argMin, Expression(value), order: Expression(key), where: isIncluded)
    }

    /// The value of the element in which another property is largest; of equals the first in log
    /// order. Elements in which that property is nil are passed over; the value itself may be nil.
    public static func argMax<V: ColumnValue, K: OrderedValue>(
        _ value: KeyPath<Element, V> & Sendable, by key: KeyPath<Element, K> & Sendable,
        as name: String, where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(
            name, .argMax, Expression(value), order: Expression(key), where: isIncluded)
    }

    /// The values in log order, the first `limit` of them, as a JSON array.
    public static func collect<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, limit: Int, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        precondition(limit > 0, "a list has room for at least one value")
        return Aggregate(name, .collect, Expression(value), limit: limit, where: isIncluded)
    }

    /// About how many different values, by HyperLogLog with 4,096 registers: the standard error is
    /// 1.6 %, and a group keeps at most 4 KiB. It depends on the set of values alone, so a replay
    /// gives the same number.
    public static func approximateDistinct<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(name, .approximateDistinct, Expression(value), where: isIncluded)
    }
}
