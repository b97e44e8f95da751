/// A table of aggregates: one step of a view. Made by `aggregate(…)`.
///
/// `Row` is the struct that its rows are read as, or ``Columns``.
public struct Aggregation<Row: Sendable>: TableStep {
    /// The table's name; nil if it is the view's.
    public var tableName: String?
    private let make: @Sendable (String) throws(KappaError) -> AggregationDefinition

    init<Element>(_ grouping: Grouping<Element>, _ columns: NamedAggregates<Element, Row>) {
        make = { table throws(KappaError) in
            let definition = try AggregationDefinition(
                table: table, grouping: grouping, aggregates: try columns.named())
            try columns.check(definition.table)
            return definition
        }
    }

    /// What the step does; for kappa's own use.
    /// - Throws: `.usage` if the definition is invalid, such as a window without event times.
    public func define(view: String) throws(KappaError) -> StepDefinition {
        StepDefinition(.aggregation(try make(tableName ?? view)))
    }
}
