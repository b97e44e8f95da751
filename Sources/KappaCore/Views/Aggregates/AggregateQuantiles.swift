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
