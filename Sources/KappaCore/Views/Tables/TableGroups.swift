extension TableGroups {
    /// One row for each group: aggregates over its rows as they are now.
    ///
    /// Where the order of rows matters (`first`, `last`, sums of doubles), they are taken in the order
    /// of the first table's key.
    public func aggregate(_ aggregates: Aggregate<Element>...) -> Derived {
        Derived(self, aggregates)
    }
}

extension TableGroups where Element: ViewRow {
    /// The `limit` best rows of each group, with `rank_number` from 1. Of rows that stand equally
    /// high, the one whose key is smaller stands first.
    public func top(
        _ limit: Int, by orderings: Ordering<Element>..., ties: Ties = .earliest
    ) -> Derived {
        Derived(self, top: limit, by: orderings, ties: ties)
    }

    /// Any rows that can be made of a group's rows as they are now, numbered by `part` from 1.
    ///
    /// `make` is called with all rows of a group, ordered by `orderings` and then by the first table's
    /// key, whenever one of them has changed. It must look at nothing else.
    public func reduce<Row: ViewRow>(
        by orderings: Ordering<Element>...,
        into make: @escaping @Sendable ([Element]) throws -> [Row]
    ) -> Derived {
        Derived(self, by: orderings, reduce: make)
    }
}

/// A table made of another one's rows: one step of a view.
public struct Derived: TableStep {
    /// The table's name where it is not the view's.
    public var tableName: String?
    private let make: @Sendable (String, String) throws(KappaError) -> DerivedDefinition

    init<Element>(_ groups: TableGroups<Element>, _ aggregates: [Aggregate<Element>]) {
        make = { table, view throws(KappaError) in
            try DerivedDefinition(table: table, view: view, groups: groups, aggregates)
        }
    }

    init<Element: ViewRow>(
        _ groups: TableGroups<Element>, top limit: Int, by orderings: [Ordering<Element>],
        ties: Ties
    ) {
        make = { table, view throws(KappaError) in
            try DerivedDefinition(
                table: table, view: view, groups: groups, top: limit, by: orderings, ties: ties)
        }
    }

    init<Element: ViewRow, Row: ViewRow>(
        _ groups: TableGroups<Element>, by orderings: [Ordering<Element>],
        reduce: @escaping @Sendable ([Element]) throws -> [Row]
    ) {
        make = { table, view throws(KappaError) in
            try DerivedDefinition(
                table: table, view: view, groups: groups, by: orderings, reduce: reduce)
        }
    }

    /// What the step does; for kappa's own use.
    public func define(view: String) throws(KappaError) -> StepDefinition {
        StepDefinition(.derived(try make(tableName ?? view, view)))
    }
}
