/// A table made of another one's rows, without their type: what the materializer needs to run it.
package struct DerivedDefinition: Sendable {
    package let table: TableSchema
    package let upstream: StepDefinition
    /// The upstream's own states, and behind them its table.
    package let stateTables: [TableSchema]
    /// The aggregates, where the groups are aggregated.
    package let functions: [AggregateShape]?
    let signature: String
    package let open: @Sendable () throws(KappaError) -> any DerivedInput

    init<Element>(
        table name: String, view: String, groups: TableGroups<Element>,
        _ aggregates: [Aggregate<Element>]
    ) throws(KappaError) {
        let base = try DerivedBase(name, view, groups)
        let columns = aggregates.map {
            ColumnSchema($0.name, $0.function.resultKind(of: $0.input.value?.kind))
        }
        table = TableSchema(name: name, columns: base.keys + columns)
        upstream = base.upstream
        stateTables = base.stateTables
        functions = aggregates.map { AggregateShape($0) }
        let described = table.columns.map { "\($0.name):\($0.kind.rawValue)" }
        signature =
            base.signature + " " + described.joined(separator: ",") + " "
            + aggregates.map(\.signature).joined(separator: ",")
        let inputs = aggregates.map(\.input)
        open = { () throws(KappaError) in
            let aggregated = AggregatedRows(inputs)
            return DerivedGroups(try groups.rows.open(base.source), groups.keys) { rows, body in
                let columns = try aggregated.columns(of: rows)
                try body(.columns(AggregateInputs(columns: columns, count: rows.count)))
            }
        }
    }

    init<Element, Row: ViewRow>(
        table name: String, view: String, groups: TableGroups<Element>, part: String,
        signature: String, _ orderings: [Ordering<Element>],
        _ reduce: @escaping @Sendable ([Element]) throws -> [Row]
    ) throws(KappaError) {
        let base = try DerivedBase(name, view, groups)
        let columns = try RowCodec<Row>().columns
        let keyed = KeyProperties(columns, groups.keys)
        let shown = keyed.shown
        let number = ColumnSchema(part, .integer, isKey: true)
        table = TableSchema(
            name: name, columns: base.keys + [number] + shown.map { columns[$0] })
        upstream = base.upstream
        stateTables = base.stateTables
        functions = nil
        let described = table.columns.map { "\($0.name):\($0.kind.rawValue)" }
        self.signature =
            base.signature + " \(signature) "
            + orderings.map(\.signature).joined(separator: ",") + " "
            + described.joined(separator: ",")
        open = { () throws(KappaError) in
            let codec = try RowCodec<Row>()
            return DerivedGroups(try groups.rows.open(base.source), groups.keys) { rows, body in
                let rows = orderings.isEmpty ? rows : try rows.stablySorted(by: orderings)
                let made = try reduce(rows).enumerated().map { index, row in
                    let cells = try codec.values(row)
                    try keyed.check(cells, madeOf: rows)
                    return [.integer(Int64(index + 1))] + shown.map { cells[$0] }
                }
                try body(.rows(made))
            }
        }
    }
}

/// What all derived tables have in common.
private struct DerivedBase: Sendable {
    let upstream: StepDefinition
    /// The upstream's table.
    let source: TableSchema
    let stateTables: [TableSchema]
    let keys: [ColumnSchema]
    let signature: String

    init<Element>(
        _ name: String, _ view: String, _ groups: TableGroups<Element>
    ) throws(KappaError) {
        upstream = try groups.rows.upstream.define(view: view)
        guard var table = upstream.tables.first else {
            throw KappaError(.bug, "a step of view \(view) makes no table")
        }
        table.isInternal = true
        source = table
        stateTables = upstream.stateTables + [table]
        // A property that the step before does not make is told here.
        _ = try groups.rows.open(table)
        keys = groups.keys.map { ColumnSchema($0.columnName, $0.expression.kind, isKey: true) }
        signature = "(\(upstream.signature)) \(groups.rows.signature)"
    }
}

extension Array {
    /// Sorted by orderings; elements that stand equally high stay in their order.
    fileprivate func stablySorted(by orderings: [Ordering<Element>]) throws -> [Element] {
        try enumerated().sorted { a, b in
            let order = try orderings.compare(a.element, b.element)
            return order < 0 || order == 0 && a.offset < b.offset
        }.map(\.element)
    }
}

/// Evaluates what aggregates take of a group's rows.
private struct AggregatedRows<Element> {
    private let conditions = ComputedConditions<Element>()
    private let inputs: [ComputedInput<Element>]

    init(_ inputs: [AggregateInput<Element>]) {
        let conditions = conditions
        self.inputs = inputs.map { ComputedInput($0, conditions) }
    }

    func columns(of elements: [Element]) throws -> [AggregateColumns] {
        for input in inputs { input.clear() }
        for (row, element) in elements.enumerated() {
            try conditions.set(row, element)
            for input in inputs { try input.set(row, element) }
        }
        return inputs.map(\.columns)
    }
}
