extension EventStream where Element: ViewRow {
    /// A table of the elements themselves, one row for each.
    ///
    /// Its columns are the properties of the element. Its key is `offset`, the offset of the event that made
    /// the element (for a join, of the event that completed the pair). Where one event may make several
    /// elements, the key also has `part`, which counts them from 0.
    public func rows() -> Rows { Rows(source) }
}

/// A table of a stream's elements: one step of a view. Made by ``EventStream/rows()``.
public struct Rows: TableStep {
    public typealias Row = Columns
    /// The table's name; nil if it is the view's.
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
    /// Names the table, for a view with more than one. A table that is not named has the view's name.
    public func into(_ table: String) -> Self {
        var copy = self
        copy.tableName = table
        return copy
    }
}

extension TableStep {
    /// The rows as structs, for a further step. Each property takes the column of the same name, which must
    /// exist and be of the property's kind.
    public func rows<Row: ViewRow>(as type: Row.Type) -> TableRows<Row> {
        TableRows(upstream: self, signature: "rows") { table throws(KappaError) in
            let codec = try RowCodec<Row>()
            var mapping: [Int] = []
            for wanted in codec.columns {
                guard
                    let index = table.columns.firstIndex(where: {
                        $0.name == wanted.name && $0.kind == wanted.kind
                    })
                else {
                    let there = table.columns.map { "\($0.name) (\($0.kind.rawValue))" }
                    throw KappaError(
                        .usage,
                        "\(Row.self) has \(wanted.name) (\(wanted.kind.rawValue)), "
                            + "which the step before does not make",
                        at: "\(Row.self)",
                        because: "its columns are " + there.joined(separator: ", "),
                        advice: "Give the property the name and the type of one of them")
                }
                mapping.append(index)
            }
            let cursor = MappedCursor(mapping)
            return RowMaker(columns: mapping) { row in
                cursor.row = row
                return try codec.decode(cursor, at: 0)
            }
        }
    }
}

extension TableRows {
    /// Only the rows for which `isIncluded` is true.
    public func filter(
        _ isIncluded: @escaping @Sendable (Element) throws -> Bool
    ) -> TableRows {
        let open = open
        return TableRows(upstream: upstream, signature: "\(signature).filter") {
            table throws(KappaError) in
            let maker = try open(table)
            return RowMaker(columns: maker.columns, isFiltered: true) { row in
                guard let element = try maker.make(row) else { return nil }
                return try isIncluded(element) ? element : nil
            }
        }
    }

    /// Makes one new element from each row.
    public func map<New>(
        _ transform: @escaping @Sendable (Element) throws -> New
    ) -> TableRows<New> {
        let open = open
        return TableRows<New>(upstream: upstream, signature: "\(signature).map") {
            table throws(KappaError) in
            let maker = try open(table)
            return RowMaker { row in try maker.make(row).map(transform) }
        }
    }

    /// One row that aggregates all current rows: the total. Its key is the column `scope`, which holds
    /// `all`. While there are no rows, there is no total.
    public func aggregate(_ aggregates: Aggregate<Element, Columns>...) -> Derived<Columns> {
        Derived(TableGroups(rows: self, keys: [.all]), NamedAggregates(aggregates))
    }

    /// Like ``aggregate(_:)``, with rows that are read as structs. Each property takes the aggregate that is named
    /// after it, or the key, or `windowStart` and `windowEnd`.
    ///
    /// ```swift
    /// .aggregate(as: UserTotals.self, .count().as(\.orders), .sum(\.amount).as(\.revenue))
    /// ```
    public func aggregate<Row: ViewRow>(
        as type: Row.Type, _ aggregates: Aggregate<Element, Row>...
    ) -> Derived<Row> {
        Derived(TableGroups(rows: self, keys: [.all]), NamedAggregates(aggregates, as: type))
    }

    /// Groups by the values of one or more properties.
    public func grouped<A: KeyValue, each B: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable
    ) -> TableGroups<Element> {
        TableGroups(rows: self, keys: GroupKey.properties(first, repeat each next))
    }

    /// Groups by the values of properties and then by a computed key; `name` is the key's column.
    public func grouped<A: KeyValue, each B: KeyValue, C: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable,
        as name: String, by key: @escaping @Sendable (Element) throws -> C
    ) -> TableGroups<Element> {
        let computed = GroupKey(name: name, expression: Expression(key))
        return TableGroups(
            rows: self, keys: GroupKey.properties(first, repeat each next) + [computed])
    }

    /// Groups by a computed key; `name` is its column.
    public func grouped<A: KeyValue>(
        as name: String, by key: @escaping @Sendable (Element) throws -> A
    ) -> TableGroups<Element> {
        TableGroups(rows: self, keys: [GroupKey(name: name, expression: Expression(key))])
    }
}

/// A selection of a row's columns, reordered.
private final class MappedCursor: RowCursor {
    private let mapping: [Int]
    var row: (any RowCursor)?

    init(_ mapping: [Int]) { self.mapping = mapping }

    func isNull(_ index: Int) -> Bool { row?.isNull(mapping[index]) ?? true }
    func integer(_ index: Int) -> Int64 { row?.integer(mapping[index]) ?? 0 }
    func double(_ index: Int) -> Double { row?.double(mapping[index]) ?? 0 }
    func text(_ index: Int) -> UnsafeRawBufferPointer {
        row?.text(mapping[index]) ?? UnsafeRawBufferPointer(start: nil, count: 0)
    }
    func blob(_ index: Int) -> UnsafeRawBufferPointer {
        row?.blob(mapping[index]) ?? UnsafeRawBufferPointer(start: nil, count: 0)
    }
    func storage(_ index: Int) -> CellStorage { row?.storage(mapping[index]) ?? .null }
}

extension TableGroups {
    /// One row for each group: aggregates over its current rows.
    ///
    /// Where the order of rows matters (`first`, `last`, sums of doubles), they are taken in the order of
    /// the first table's key.
    public func aggregate(_ aggregates: Aggregate<Element, Columns>...) -> Derived<Columns> {
        Derived(self, NamedAggregates(aggregates))
    }

    /// Like ``aggregate(_:)``, with rows that are read as structs. Each property takes the aggregate that is named
    /// after it, or the key, or `windowStart` and `windowEnd`.
    ///
    /// ```swift
    /// .aggregate(as: UserTotals.self, .count().as(\.orders), .sum(\.amount).as(\.revenue))
    /// ```
    public func aggregate<Row: ViewRow>(
        as type: Row.Type, _ aggregates: Aggregate<Element, Row>...
    ) -> Derived<Row> {
        Derived(self, NamedAggregates(aggregates, as: type))
    }
}

extension TableGroups where Element: ViewRow {
    /// The `limit` best rows of each group, with `rank_number` from 1. Among ties, the row with the smaller
    /// key comes first.
    public func top(
        _ limit: Int, by orderings: Ordering<Element>..., ties: Ties = .earliest
    ) -> Derived<Columns> {
        Derived(self, top: limit, by: orderings, ties: ties)
    }

    /// Any rows that `make` computes from a group's current rows, numbered by `part` from 1.
    ///
    /// `make` is called with all rows of a group, ordered by `orderings` and then by the first table's key,
    /// whenever one of them has changed. It must use nothing else.
    public func reduce<Row: ViewRow>(
        by orderings: Ordering<Element>...,
        into make: @escaping @Sendable ([Element]) throws -> [Row]
    ) -> Derived<Columns> {
        Derived(self, by: orderings, reduce: make)
    }
}

/// A table made from the rows of another table: one step of a view.
public struct Derived<Row: Sendable>: TableStep {
    /// The table's name; nil if it is the view's.
    public var tableName: String?
    private let make: @Sendable (String, String) throws(KappaError) -> DerivedDefinition

    init<Element>(_ groups: TableGroups<Element>, _ columns: NamedAggregates<Element, Row>) {
        make = { table, view throws(KappaError) in
            let definition = try DerivedDefinition(
                table: table, view: view, groups: groups, try columns.named())
            try columns.check(definition.table)
            return definition
        }
    }

    init<Element: ViewRow>(
        _ groups: TableGroups<Element>, top limit: Int, by orderings: [Ordering<Element>],
        ties: Ties
    ) where Row == Columns {
        make = { table, view throws(KappaError) in
            try DerivedDefinition(
                table: table, view: view, groups: groups, top: limit, by: orderings, ties: ties)
        }
    }

    init<Element: ViewRow, New: ViewRow>(
        _ groups: TableGroups<Element>, by orderings: [Ordering<Element>],
        reduce: @escaping @Sendable ([Element]) throws -> [New]
    ) where Row == Columns {
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
