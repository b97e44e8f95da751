/// Every aggregate with a ``Condition`` on properties, which can be read from columns.
extension Aggregate {
    private func filtered(_ condition: Condition<Element>) -> Aggregate {
        var copy = self
        copy.input.condition = condition
        return copy
    }

    /// As ``count``, only of the elements for which the condition holds.
    public static func count(
        as name: String, where condition: Condition<Element>
    ) -> Aggregate {
        count(as: name).filtered(condition)
    }

    /// As ``count``, only of the elements for which the condition holds.
    public static func count<V: ColumnValue>(
        _ value: KeyPath<Element, V?> & Sendable, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        count(value, as: name).filtered(condition)
    }

    /// As ``sum``, only of the elements for which the condition holds.
    public static func sum<V: SummableValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        sum(value, as: name).filtered(condition)
    }

    /// As ``sum``, only of the elements for which the condition holds.
    public static func sum<V: SummableValue>(
        as name: String, of value: @escaping @Sendable (Element) throws -> V,
        where condition: Condition<Element>
    ) -> Aggregate {
        sum(as: name, of: value).filtered(condition)
    }

    /// As ``average``, only of the elements for which the condition holds.
    public static func average<V: SummableValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        average(value, as: name).filtered(condition)
    }

    /// As ``min``, only of the elements for which the condition holds.
    public static func min<V: OrderedValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        min(value, as: name).filtered(condition)
    }

    /// As ``max``, only of the elements for which the condition holds.
    public static func max<V: OrderedValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        max(value, as: name).filtered(condition)
    }

    /// As ``first``, only of the elements for which the condition holds.
    public static func first<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        first(value, as: name).filtered(condition)
    }

    /// As ``last``, only of the elements for which the condition holds.
    public static func last<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        last(value, as: name).filtered(condition)
    }

    /// As ``countDistinct``, only of the elements for which the condition holds.
    public static func countDistinct<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        countDistinct(value, as: name).filtered(condition)
    }

    /// As ``variance``, only of the elements for which the condition holds.
    public static func variance<V: SummableValue>(
        _ value: KeyPath<Element, V> & Sendable, _ spread: Spread, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        variance(value, spread, as: name).filtered(condition)
    }

    /// As ``standardDeviation``, only of the elements for which the condition holds.
    public static func standardDeviation<V: SummableValue>(
        _ value: KeyPath<Element, V> & Sendable, _ spread: Spread, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        standardDeviation(value, spread, as: name).filtered(condition)
    }

    /// As ``argMin``, only of the elements for which the condition holds.
    public static func argMin<V: ColumnValue, K: OrderedValue>(
        _ value: KeyPath<Element, V> & Sendable, by key: KeyPath<Element, K> & Sendable,
        as name: String, where condition: Condition<Element>
    ) -> Aggregate {
        argMin(value, by: key, as: name).filtered(condition)
    }

    /// As ``argMax``, only of the elements for which the condition holds.
    public static func argMax<V: ColumnValue, K: OrderedValue>(
        _ value: KeyPath<Element, V> & Sendable, by key: KeyPath<Element, K> & Sendable,
        as name: String, where condition: Condition<Element>
    ) -> Aggregate {
        argMax(value, by: key, as: name).filtered(condition)
    }

    /// As ``collect``, only of the elements for which the condition holds.
    public static func collect<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, limit: Int, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        collect(value, limit: limit, as: name).filtered(condition)
    }

    /// As ``approximateDistinct``, only of the elements for which the condition holds.
    public static func approximateDistinct<V: ColumnValue>(
        _ value: KeyPath<Element, V> & Sendable, as name: String,
        where condition: Condition<Element>
    ) -> Aggregate {
        approximateDistinct(value, as: name).filtered(condition)
    }
}
