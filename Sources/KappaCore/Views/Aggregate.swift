/// What is kept of a group of elements: a count, a sum, a largest value.
///
/// Values that are nil are passed over by all aggregates but `first` and `last`. With `where:` an
/// aggregate takes only the elements for which that holds; a ``Condition`` on properties, such as
/// `\.price < 100`, can be read from columns, a closure cannot.
public struct Aggregate<Element>: Sendable {
    /// Says which elements an aggregate takes.
    public typealias Inclusion = @Sendable (Element) throws -> Bool

    let name: String
    let function: AggregateFunction
    var input: AggregateInput<Element>
    var limit = 0

    init(
        _ name: String, _ function: AggregateFunction, _ value: Expression<Element>?,
        order: Expression<Element>? = nil, limit: Int = 0, where isIncluded: Inclusion?
    ) {
        self.name = name
        self.function = function
        self.limit = limit
        input = AggregateInput(
            value: value, order: order, condition: isIncluded.map { Condition(closure: $0) })
    }

    /// How many elements.
    public static func count(
        as name: String, where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(name, .count, nil, where: isIncluded)
    }

    /// How many elements for which the property is not nil.
    public static func count<V: ColumnValue>(
        _ value: KeyPath<Element, V?> & Sendable, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(name, .countValues, Expression(value), where: isIncluded)
    }

    /// The sum: of integers in 64 bits (a sum that does not fit stops the version with an error),
    /// of ``Decimal`` exactly, of doubles in log order. Zero for no values.
    public static func sum<V: SummableValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(name, .sum, Expression(value), where: isIncluded)
    }

    /// The sum of a computed value.
    public static func sum<V: SummableValue>(
        as name: String, of value: @escaping @Sendable (Element) throws -> V,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(name, .sum, Expression(value), where: isIncluded)
    }

    /// The mean as a double; null for no values.
    public static func average<V: SummableValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(name, .average, Expression(value), where: isIncluded)
    }

    /// The smallest value; strings by their bytes; null for no values.
    public static func min<V: OrderedValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(name, .min, Expression(value), where: isIncluded)
    }

    /// The largest value; strings by their bytes; null for no values.
    public static func max<V: OrderedValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(name, .max, Expression(value), where: isIncluded)
    }

    /// The value of the first element in log order.
    public static func first<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(name, .first, Expression(value), where: isIncluded)
    }

    /// The value of the last element in log order.
    public static func last<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(name, .last, Expression(value), where: isIncluded)
    }

    /// How many different values, exactly. Keeps them all.
    public static func countDistinct<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where isIncluded: Inclusion? = nil
    ) -> Aggregate {
        Aggregate(name, .countDistinct, Expression(value), where: isIncluded)
    }
}
