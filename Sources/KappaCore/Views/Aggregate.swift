/// What is kept of a group of elements: a count, a sum, a largest value.
///
/// Values that are nil are passed over by all aggregates but `first` and `last`.
public struct Aggregate<Element>: Sendable {
    let name: String
    let function: AggregateFunction
    let input: Expression<Element>?

    /// How many elements.
    public static func count(as name: String) -> Aggregate {
        Aggregate(name: name, function: .count, input: nil)
    }

    /// How many elements for which the property is not nil.
    public static func count<V: ColumnValue>(
        _ value: KeyPath<Element, V?> & Sendable, as name: String
    ) -> Aggregate {
        Aggregate(name: name, function: .countValues, input: Expression(value))
    }

    /// The sum: of integers in 64 bits (a sum that does not fit stops the version with an error),
    /// of ``Decimal`` exactly, of doubles in log order. Zero for no values.
    public static func sum<V: SummableValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String
    ) -> Aggregate {
        Aggregate(name: name, function: .sum, input: Expression(value))
    }

    /// The sum of a computed value.
    public static func sum<V: SummableValue>(
        as name: String, of value: @escaping @Sendable (Element) throws -> V
    ) -> Aggregate {
        Aggregate(name: name, function: .sum, input: Expression(value))
    }

    /// The mean as a double; null for no values.
    public static func average<V: SummableValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String
    ) -> Aggregate {
        Aggregate(name: name, function: .average, input: Expression(value))
    }

    /// The smallest value; strings by their bytes; null for no values.
    public static func min<V: OrderedValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String
    ) -> Aggregate {
        Aggregate(name: name, function: .min, input: Expression(value))
    }

    /// The largest value; strings by their bytes; null for no values.
    public static func max<V: OrderedValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String
    ) -> Aggregate {
        Aggregate(name: name, function: .max, input: Expression(value))
    }

    /// The value of the first element in log order.
    public static func first<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String
    ) -> Aggregate {
        Aggregate(name: name, function: .first, input: Expression(value))
    }

    /// The value of the last element in log order.
    public static func last<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String
    ) -> Aggregate {
        Aggregate(name: name, function: .last, input: Expression(value))
    }

    /// How many different values, exactly. Keeps them all.
    public static func countDistinct<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String
    ) -> Aggregate {
        Aggregate(name: name, function: .countDistinct, input: Expression(value))
    }
}

/// The aggregates, without their input.
package enum AggregateFunction: String, Sendable {
    case count, countValues, sum, average, min, max, first, last, countDistinct

    /// What the aggregate's column holds.
    func resultKind(of input: ColumnKind?) -> ColumnKind {
        switch self {
        case .count, .countValues, .countDistinct: .integer
        case .average: .double
        case .sum, .min, .max, .first, .last: input ?? .integer
        }
    }

    /// Whether the column alone tells the aggregate's state. Where it does not, the state is kept
    /// in the row's hidden blob.
    var needsState: Bool {
        switch self {
        case .average, .countDistinct: true
        case .count, .countValues, .sum, .min, .max, .first, .last: false
        }
    }
}
