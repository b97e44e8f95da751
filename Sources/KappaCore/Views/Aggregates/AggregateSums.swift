/// Counts, sums and averages.
extension Aggregate {
    /// How many elements.
    public static func count(
        as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .count, nil, where: condition)
    }

    /// How many elements for which a closure holds.
    public static func count(
        as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .count, nil, where: Condition(closure: isIncluded))
    }

    /// How many elements for which the property is not nil.
    public static func count<V: ColumnValue>(
        _ value: Property<V?>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .countValues, Expression(value), where: condition)
    }

    /// As `count`, of a computed value.
    public static func count<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V?>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .countValues, Expression(value), where: condition)
    }

    /// As `count`, of the elements for which a closure holds.
    public static func count<V: ColumnValue>(
        _ value: Property<V?>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .countValues, Expression(value), where: Condition(closure: isIncluded))
    }

    /// As `count`, of a computed value of the elements for which a closure holds.
    public static func count<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V?>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .countValues, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The sum: of integers in 64 bits (a sum that does not fit stops the version with an error),
    /// of ``ExactDecimal`` exactly, of doubles in log order. Zero for no values.
    public static func sum<V: SummableValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .sum, Expression(value), where: condition)
    }

    /// As `sum`, of a computed value.
    public static func sum<V: SummableValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .sum, Expression(value), where: condition)
    }

    /// As `sum`, of the elements for which a closure holds.
    public static func sum<V: SummableValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .sum, Expression(value), where: Condition(closure: isIncluded))
    }

    /// As `sum`, of a computed value of the elements for which a closure holds.
    public static func sum<V: SummableValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .sum, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The mean as a double; null for no values. The sum under it is exact for integers and
    /// ``ExactDecimal``, and in log order for doubles.
    public static func average<V: SummableValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .average, Expression(value), where: condition)
    }

    /// As `average`, of a computed value.
    public static func average<V: SummableValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .average, Expression(value), where: condition)
    }

    /// As `average`, of the elements for which a closure holds.
    public static func average<V: SummableValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .average, Expression(value), where: Condition(closure: isIncluded))
    }

    /// As `average`, of a computed value of the elements for which a closure holds.
    public static func average<V: SummableValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .average, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The mean of integers as an integer; null for no values. The exact sum is divided by the number of
    /// values, and `rounding` says what becomes of the fraction: `.towardZero` cuts it off, as SQL's
    /// division of integers does.
    public static func average<V: WholeValue>(
        _ value: Property<V>, rounding: FloatingPointRoundingRule, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .wholeAverage, Expression(value),
            settings: AggregateSettings(rounding: .init(rounding)), where: condition)
    }

    /// As `average`, of a computed value.
    public static func average<V: WholeValue>(
        rounding: FloatingPointRoundingRule, as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(
            name, .wholeAverage, Expression(value),
            settings: AggregateSettings(rounding: .init(rounding)), where: condition)
    }

    /// As `average`, of the elements for which a closure holds.
    public static func average<V: WholeValue>(
        _ value: Property<V>, rounding: FloatingPointRoundingRule, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .wholeAverage, Expression(value),
            settings: AggregateSettings(rounding: .init(rounding)),
            where: Condition(closure: isIncluded))
    }

    /// As `average`, of a computed value of the elements for which a closure holds.
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

/// Which variance is meant.
public enum Spread: Sendable {
    /// Of all there is: the squared distances from the mean, divided by the number of values.
    case population
    /// Of all there is, judged by a sample: divided by one less.
    case sample

    var variance: AggregateFunction {
        self == .population ? .populationVariance : .sampleVariance
    }
    var deviation: AggregateFunction {
        self == .population ? .populationDeviation : .sampleDeviation
    }
}

/// Numbers of different values, and how far values lie apart.
extension Aggregate {
    /// How many different values, exactly. Keeps them all: 16 bytes or so for an integer, and a text's
    /// own bytes and some 24 more.
    public static func countDistinct<V: ColumnValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .countDistinct, Expression(value), where: condition)
    }

    /// As `countDistinct`, of a computed value.
    public static func countDistinct<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .countDistinct, Expression(value), where: condition)
    }

    /// As `countDistinct`, of the elements for which a closure holds.
    public static func countDistinct<V: ColumnValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .countDistinct, Expression(value), where: Condition(closure: isIncluded))
    }

    /// As `countDistinct`, of a computed value of the elements for which a closure holds.
    public static func countDistinct<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, .countDistinct, Expression(value), where: Condition(closure: isIncluded))
    }

    /// About how many different values, by HyperLogLog with 4,096 registers: the standard error is 1.6 %,
    /// and a group keeps at most 4 KiB. It depends on the set of values alone, so a replay gives the same
    /// number.
    public static func approximateDistinct<V: ColumnValue>(
        _ value: Property<V>, as name: String, where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .approximateDistinct, Expression(value), where: condition)
    }

    /// As `approximateDistinct`, of a computed value.
    public static func approximateDistinct<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, .approximateDistinct, Expression(value), where: condition)
    }

    /// As `approximateDistinct`, of the elements for which a closure holds.
    public static func approximateDistinct<V: ColumnValue>(
        _ value: Property<V>, as name: String, where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .approximateDistinct, Expression(value), where: Condition(closure: isIncluded))
    }

    /// As `approximateDistinct`, of a computed value of the elements for which a closure holds.
    public static func approximateDistinct<V: ColumnValue>(
        as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(
            name, .approximateDistinct, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The variance as a double: the sum of squared distances from the mean, divided by n (`.population`)
    /// or by n − 1 (`.sample`); null for no values, and for a sample of one.
    ///
    /// Computed in doubles by Welford's method, in log order; where sessions merge, by the formula of Chan,
    /// Golub and LeVeque.
    public static func variance<V: SummableValue>(
        _ value: Property<V>, _ spread: Spread, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, spread.variance, Expression(value), where: condition)
    }

    /// As `variance`, of a computed value.
    public static func variance<V: SummableValue>(
        _ spread: Spread, as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, spread.variance, Expression(value), where: condition)
    }

    /// As `variance`, of the elements for which a closure holds.
    public static func variance<V: SummableValue>(
        _ value: Property<V>, _ spread: Spread, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, spread.variance, Expression(value), where: Condition(closure: isIncluded))
    }

    /// As `variance`, of a computed value of the elements for which a closure holds.
    public static func variance<V: SummableValue>(
        _ spread: Spread, as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, spread.variance, Expression(value), where: Condition(closure: isIncluded))
    }

    /// The square root of the variance.
    public static func standardDeviation<V: SummableValue>(
        _ value: Property<V>, _ spread: Spread, as name: String,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, spread.deviation, Expression(value), where: condition)
    }

    /// As `standardDeviation`, of a computed value.
    public static func standardDeviation<V: SummableValue>(
        _ spread: Spread, as name: String, of value: @escaping Computation<V>,
        where condition: Condition<Element>? = nil
    ) -> Aggregate {
        Aggregate(name, spread.deviation, Expression(value), where: condition)
    }

    /// As `standardDeviation`, of the elements for which a closure holds.
    public static func standardDeviation<V: SummableValue>(
        _ value: Property<V>, _ spread: Spread, as name: String,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, spread.deviation, Expression(value), where: Condition(closure: isIncluded))
    }

    /// As `standardDeviation`, of a computed value of the elements for which a closure holds.
    public static func standardDeviation<V: SummableValue>(
        _ spread: Spread, as name: String, of value: @escaping Computation<V>,
        where isIncluded: @escaping Inclusion
    ) -> Aggregate {
        Aggregate(name, spread.deviation, Expression(value), where: Condition(closure: isIncluded))
    }
}
