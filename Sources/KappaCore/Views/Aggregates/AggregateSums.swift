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
