/// Counts, sums and averages.
extension Aggregate {
    /// The number of elements.
    public static func count() -> AggregateValue<Element, Int, Int> { AggregateValue(.count) }

    /// The number of elements whose value is not nil.
    public static func count<V: ColumnValue>(
        _ value: Property<V?>
    ) -> AggregateValue<Element, Int, Int> {
        AggregateValue(.countValues, Expression(value))
    }

    /// Like `count`, for a computed value.
    public static func count<V: ColumnValue>(
        of value: @escaping Computation<V?>
    ) -> AggregateValue<Element, Int, Int> {
        AggregateValue(.countValues, Expression(value))
    }

    /// The sum. Integers are summed in 64 bits (a sum that does not fit stops the version with an error),
    /// ``ExactDecimal`` exactly, and doubles in log order. Zero if there are no values.
    public static func sum<V: SummableValue>(
        _ value: Property<V>
    ) -> AggregateValue<Element, V.Sum, V.Sum> {
        AggregateValue(.sum, Expression(value))
    }

    /// Like `sum`, for a computed value.
    public static func sum<V: SummableValue>(
        of value: @escaping Computation<V>
    ) -> AggregateValue<Element, V.Sum, V.Sum> {
        AggregateValue(.sum, Expression(value))
    }

    /// The mean as a double; null if there are no values. Integers and ``ExactDecimal`` are summed exactly,
    /// doubles in log order.
    public static func average<V: SummableValue>(
        _ value: Property<V>
    ) -> AggregateValue<Element, Double?, Double?> {
        AggregateValue(.average, Expression(value))
    }

    /// Like `average`, for a computed value.
    public static func average<V: SummableValue>(
        of value: @escaping Computation<V>
    ) -> AggregateValue<Element, Double?, Double?> {
        AggregateValue(.average, Expression(value))
    }

    /// The mean of integers as an integer; null if there are no values. The exact sum is divided by the
    /// number of values, and `rounding` says how: `.towardZero` drops the fraction, as SQL's integer
    /// division does.
    public static func average<V: WholeValue>(
        _ value: Property<V>, rounding: FloatingPointRoundingRule
    ) -> AggregateValue<Element, Int?, Int?> {
        AggregateValue(
            .wholeAverage, Expression(value), settings: AggregateSettings(rounding: .init(rounding))
        )
    }

    /// Like `average`, for a computed value.
    public static func average<V: WholeValue>(
        rounding: FloatingPointRoundingRule, of value: @escaping Computation<V>
    ) -> AggregateValue<Element, Int?, Int?> {
        AggregateValue(
            .wholeAverage, Expression(value), settings: AggregateSettings(rounding: .init(rounding))
        )
    }
}

/// Which variance to compute.
public enum Spread: Sendable {
    /// The values are the whole population: the sum of squared distances from the mean is divided by the
    /// number of values.
    case population
    /// The values are a sample of a population whose variance is estimated: the sum is divided by one less
    /// than the number of values.
    case sample

    var variance: AggregateFunction {
        self == .population ? .populationVariance : .sampleVariance
    }
    var deviation: AggregateFunction {
        self == .population ? .populationDeviation : .sampleDeviation
    }
}

/// Distinct counts and variances.
extension Aggregate {
    /// The exact number of distinct values. A group keeps them all: about 16 bytes for an integer, and for
    /// a text its own bytes plus about 24.
    public static func countDistinct<V: ColumnValue>(
        _ value: Property<V>
    ) -> AggregateValue<Element, Int, Int> {
        AggregateValue(.countDistinct, Expression(value))
    }

    /// Like `countDistinct`, for a computed value.
    public static func countDistinct<V: ColumnValue>(
        of value: @escaping Computation<V>
    ) -> AggregateValue<Element, Int, Int> {
        AggregateValue(.countDistinct, Expression(value))
    }

    /// The approximate number of distinct values, by HyperLogLog with 4,096 registers: the standard error
    /// is 1.6 %, and a group keeps at most 4 KiB. The result depends only on the set of values, so a replay
    /// gives the same number.
    public static func approximateDistinct<V: ColumnValue>(
        _ value: Property<V>
    ) -> AggregateValue<Element, Int, Int> {
        AggregateValue(.approximateDistinct, Expression(value))
    }

    /// Like `approximateDistinct`, for a computed value.
    public static func approximateDistinct<V: ColumnValue>(
        of value: @escaping Computation<V>
    ) -> AggregateValue<Element, Int, Int> {
        AggregateValue(.approximateDistinct, Expression(value))
    }

    /// The variance as a double: the sum of squared distances from the mean, divided by n (`.population`)
    /// or by n − 1 (`.sample`). Null if there are no values, and for a sample of one.
    ///
    /// Computed in doubles by Welford's method, in log order. Where sessions merge, the formula of Chan,
    /// Golub and LeVeque combines them.
    public static func variance<V: SummableValue>(
        _ value: Property<V>, _ spread: Spread
    ) -> AggregateValue<Element, Double?, Double?> {
        AggregateValue(spread.variance, Expression(value))
    }

    /// Like `variance`, for a computed value.
    public static func variance<V: SummableValue>(
        _ spread: Spread, of value: @escaping Computation<V>
    ) -> AggregateValue<Element, Double?, Double?> {
        AggregateValue(spread.variance, Expression(value))
    }

    /// The square root of the variance; see `variance`.
    public static func standardDeviation<V: SummableValue>(
        _ value: Property<V>, _ spread: Spread
    ) -> AggregateValue<Element, Double?, Double?> {
        AggregateValue(spread.deviation, Expression(value))
    }

    /// Like `standardDeviation`, for a computed value.
    public static func standardDeviation<V: SummableValue>(
        _ spread: Spread, of value: @escaping Computation<V>
    ) -> AggregateValue<Element, Double?, Double?> {
        AggregateValue(spread.deviation, Expression(value))
    }
}
