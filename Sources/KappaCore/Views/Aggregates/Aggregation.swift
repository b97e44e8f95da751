/// A table of aggregates: one step of a view. Made by `aggregate(…)`.
public struct Aggregation: TableStep {
    /// The table's name where it is not the view's.
    public var tableName: String?
    private let make: @Sendable (String) throws(KappaError) -> AggregationDefinition

    init<Element>(_ grouping: Grouping<Element>, _ aggregates: [Aggregate<Element>]) {
        make = { table throws(KappaError) in
            try AggregationDefinition(table: table, grouping: grouping, aggregates: aggregates)
        }
    }

    /// What the step does; for kappa's own use.
    /// - Throws: `.usage` where the definition cannot be right, such as a window without event
    ///   times.
    public func define(view: String) throws(KappaError) -> StepDefinition {
        StepDefinition(.aggregation(try make(tableName ?? view)))
    }
}
