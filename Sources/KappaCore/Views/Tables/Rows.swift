extension EventStream where Element: ViewRow {
    /// A table of the elements themselves, a row for each.
    ///
    /// Its columns are the properties of the element. Its key is `offset`, that of the event which
    /// made the element (for a join, the event that completed it); where one event may make several,
    /// also `part`, which counts them from 0.
    public func rows() -> Rows { Rows(source) }
}

/// A table of a stream's elements: one step of a view. Made by ``EventStream/rows()``.
public struct Rows: TableStep {
    /// The table's name where it is not the view's.
    public var tableName: String?
    private let make: @Sendable (String) throws(KappaError) -> RowsDefinition

    init<Element: ViewRow>(_ source: StreamSource<Element>) {
        make = { table throws(KappaError) in try RowsDefinition(table: table, source: source) }
    }

    /// What the step does; for kappa's own use.
    public func define(view: String) throws(KappaError) -> StepDefinition {
        StepDefinition(.rows(try make(tableName ?? view)))
    }
}

extension TableStep {
    /// Names the table, where a view has more than one. The first is named as the view.
    public func into(_ table: String) -> Self {
        var copy = self
        copy.tableName = table
        return copy
    }
}
