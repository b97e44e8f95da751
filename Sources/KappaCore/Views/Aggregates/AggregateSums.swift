/// Counts, sums and averages.
extension Aggregate {
    /// The number of elements.
    public static func count(
        as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .count, nil, where: condition)
    }

    /// The number of elements for which a closure returns true.
    public static func count(
        as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .count, nil, where: Condition(closure: isIncluded))
    }

    /// The number of elements whose property is not nil.
    public static func count<V: ColumnValue>(
        _ value: Property<V?>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .countValues, Expression(value), where: condition)
    }

    /// Like `count`, for a computed value.
    public static func count<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V?>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .countValues, Expression(value), where: condition)
    }

    /// Like `count`, for only the elements for which a closure returns true.
    public static func count<V: ColumnValue>(
        _ value: Property<V?>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .countValues, Expression(value), where: Condition(closure: isIncluded))
    }

    /// Like `count`, for a computed value and only elements for which a closure returns true.
    public static func count<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V?>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .countValues, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The sum. Integers are summed in 64 bits (a sum that does not fit stops the version with an error),
    /// ``ExactDecimal`` exactly, and doubles in log order. Zero if there are no values.
    public static func sum<V: SummableValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .sum, Expression(value), where: condition)
    }

    /// Like `sum`, for a computed value.
    public static func sum<V: SummableValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .sum, Expression(value), where: condition)
    }

    /// Like `sum`, for only the elements for which a closure returns true.
    public static func sum<V: SummableValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .sum, Expression(value), where: Condition(closure: isIncluded))
    }

    /// Like `sum`, for a computed value and only elements for which a closure returns true.
    public static func sum<V: SummableValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .sum, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The mean as a double; null if there are no values. Integers and ``ExactDecimal`` are summed exactly,
    /// doubles in log order.
    public static func average<V: SummableValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .average, Expression(value), where: condition)
    }

    /// Like `average`, for a computed value.
    public static func average<V: SummableValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .average, Expression(value), where: condition)
    }

    /// Like `average`, for only the elements for which a closure returns true.
    public static func average<V: SummableValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .average, Expression(value), where: Condition(closure: isIncluded))
    }

    /// Like `average`, for a computed value and only elements for which a closure returns true.
    public static func average<V: SummableValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .average, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The mean of integers as an integer; null if there are no values. The exact sum is divided by the
    /// number of values, and `rounding` says how: `.towardZero` drops the fraction, as SQL's integer
    /// division does.
    public static func average<V: WholeValue>(
        _ value: Property<V>, rounding: FloatingPointRoundingRule, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .wholeAverage, Expression(value),
            settings: AggregateSettings(rounding: .init(rounding)), where: condition)
    }

    /// Like `average`, for a computed value.
    public static func average<V: WholeValue>(
        rounding: FloatingPointRoundingRule, as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .wholeAverage, Expression(value),
            settings: AggregateSettings(rounding: .init(rounding)), where: condition)
    }

    /// Like `average`, for only the elements for which a closure returns true.
    public static func average<V: WholeValue>(
        _ value: Property<V>, rounding: FloatingPointRoundingRule, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .wholeAverage, Expression(value),
            settings: AggregateSettings(rounding: .init(rounding)),
            where: Condition(closure: isIncluded))
    }

    /// Like `average`, for a computed value and only elements for which a closure returns true.
    public static func average<V: WholeValue>(
        rounding: FloatingPointRoundingRule, as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .wholeAverage, Expression(value),
            settings: AggregateSettings(rounding: .init(rounding)),
            where: Condition(closure: isIncluded))
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
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .countDistinct, Expression(value), where: condition)
    }

    /// Like `countDistinct`, for a computed value.
    public static func countDistinct<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .countDistinct, Expression(value), where: condition)
    }

    /// Like `countDistinct`, for only the elements for which a closure returns true.
    public static func countDistinct<V: ColumnValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .countDistinct, Expression(value), where: Condition(closure: isIncluded))
    }

    /// Like `countDistinct`, for a computed value and only elements for which a closure returns true.
    public static func countDistinct<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .countDistinct, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The approximate number of distinct values, by HyperLogLog with 4,096 registers: the standard error
    /// is 1.6 %, and a group keeps at most 4 KiB. The result depends only on the set of values, so a replay
    /// gives the same number.
    public static func approximateDistinct<V: ColumnValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .approximateDistinct, Expression(value), where: condition)
    }

    /// Like `approximateDistinct`, for a computed value.
    public static func approximateDistinct<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .approximateDistinct, Expression(value), where: condition)
    }

    /// Like `approximateDistinct`, for only the elements for which a closure returns true.
    public static func approximateDistinct<V: ColumnValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .approximateDistinct, Expression(value), where: Condition(closure: isIncluded))
    }

    /// Like `approximateDistinct`, for a computed value and only elements for which a closure returns true.
    public static func approximateDistinct<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .approximateDistinct, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The variance as a double: the sum of squared distances from the mean, divided by n (`.population`)
    /// or by n − 1 (`.sample`). Null if there are no values, and for a sample of one.
    ///
    /// Computed in doubles by Welford's method, in log order. Where sessions merge, the formula of Chan,
    /// Golub and LeVeque combines them.
    public static func variance<V: SummableValue>(
        _ value: Property<V>, _ spread: Spread, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, spread.variance, Expression(value), where: condition)
    }

    /// Like `variance`, for a computed value.
    public static func variance<V: SummableValue>(
        _ spread: Spread, as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, spread.variance, Expression(value), where: condition)
    }

    /// Like `variance`, for only the elements for which a closure returns true.
    public static func variance<V: SummableValue>(
        _ value: Property<V>, _ spread: Spread, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, spread.variance, Expression(value), where: Condition(closure: isIncluded))
    }

    /// Like `variance`, for a computed value and only elements for which a closure returns true.
    public static func variance<V: SummableValue>(
        _ spread: Spread, as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, spread.variance, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The square root of the variance; see `variance`.
    public static func standardDeviation<V: SummableValue>(
        _ value: Property<V>, _ spread: Spread, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, spread.deviation, Expression(value), where: condition)
    }

    /// Like `standardDeviation`, for a computed value.
    public static func standardDeviation<V: SummableValue>(
        _ spread: Spread, as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, spread.deviation, Expression(value), where: condition)
    }

    /// Like `standardDeviation`, for only the elements for which a closure returns true.
    public static func standardDeviation<V: SummableValue>(
        _ value: Property<V>, _ spread: Spread, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, spread.deviation, Expression(value), where: Condition(closure: isIncluded))
    }

    /// Like `standardDeviation`, for a computed value and only elements for which a closure returns true.
    public static func standardDeviation<V: SummableValue>(
        _ spread: Spread, as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, spread.deviation, Expression(value), where: Condition(closure: isIncluded))
    }
}
