/// A table derived from another table's rows, without their type: what the materializer needs to run it.
package struct DerivedDefinition: Sendable {
    package let table: TableSchema
    package let upstream: StepDefinition
    /// The upstream's own state tables, followed by its table.
    package let stateTables: [TableSchema]
    let keyKinds: [ColumnKind]
    /// Whether the keys of rows begin with the key of their group, so that the rows of a group are
    /// consecutive.
    let groupsAreRanges: Bool
    let signature: String
    package let open: @Sendable () throws(KappaError) -> DerivedRows

    /// One row of aggregates for each group.
    init<Element>(
        table name: String, view: String, groups: TableGroups<Element>,
        _ aggregates: [AggregateColumn<Element>]
    ) throws(KappaError) {
        let base = try DerivedBase(name, view, groups)
        try AggregateColumn.check(aggregates, ofTable: name)
        let columns = aggregates.map {
            ColumnSchema($0.name, $0.function.resultKind(of: $0.input.value?.kind))
        }
        var cells = DerivedCells<Element>(keys: groups.keys)
        let inputs = aggregates.map { cells.add($0.input) }
        let shapes = aggregates.map { AggregateShape($0) }
        self.init(
            base, columns: columns, operation: aggregates.map(\.signature).joined(separator: ",")
        ) { [cells] () throws(KappaError) in
            let maker = TableRowMaker(try groups.rows.open(base.source), cells)
            return DerivedRows(
                maker: maker, cells: cells.count, firstKey: 0,
                output: .aggregates(shapes, inputs))
        }
    }

    /// The best rows of each group.
    init<Element: ViewRow>(
        table name: String, view: String, groups: TableGroups<Element>, top limit: Int,
        by orderings: [Ordering<Element>], ties: Ties
    ) throws(KappaError) {
        let base = try DerivedBase(name, view, groups)
        try RankingLimit.check(limit, ofTable: name)
        let columns = try RowCodec<Element>().columns
        // A property with the name of a key would repeat the key's column.
        let keyed = KeyProperties(columns, groups.keys)
        let shown = keyed.shown
        let cells = DerivedCells(own: columns, keys: groups.keys, orderings: orderings)
        let order = cells.order(by: orderings)
        self.init(
            base, number: "rank_number", columns: shown.map { columns[$0] },
            operation: "top \(limit) \(ties)", by: orderings
        ) { () throws(KappaError) in
            let maker = TableRowMaker(
                try groups.rows.open(base.source), cells, try RowCodec<Element>())
            return DerivedRows(
                maker: maker, cells: cells.count, firstKey: columns.count,
                output: .top(limit, ties, order, shown: shown) { row in
                    try keyed.check(
                        row.values(columns.map(\.kind), of: cells.count), key: cells.key(of: row))
                })
        }
    }

    /// The rows that a closure makes from a group's rows.
    init<Element: ViewRow, Row: ViewRow>(
        table name: String, view: String, groups: TableGroups<Element>,
        by orderings: [Ordering<Element>],
        reduce: @escaping @Sendable ([Element]) throws -> [Row]
    ) throws(KappaError) {
        let base = try DerivedBase(name, view, groups)
        let own = try RowCodec<Element>().columns
        let columns = try RowCodec<Row>().columns
        let keyed = KeyProperties(columns, groups.keys)
        let cells = DerivedCells(own: own, keys: groups.keys, orderings: orderings)
        let order = cells.order(by: orderings)
        self.init(
            base, number: "part", columns: keyed.shown.map { columns[$0] }, operation: "reduce",
            by: orderings
        ) { () throws(KappaError) in
            let codec = try RowCodec<Element>()
            let newCodec = try RowCodec<Row>()
            let maker = TableRowMaker(try groups.rows.open(base.source), cells, codec)
            return DerivedRows(
                maker: maker, cells: cells.count, firstKey: own.count,
                output: .reduced(order) { rows, emit in
                    var elements: [Element] = []
                    for row in rows {
                        try codec.with(row, of: cells.count) { elements.append($0.pointee) }
                    }
                    let made = try reduce(elements)
                    try DecimalOverflow.check()
                    for row in made {
                        let values = try newCodec.values(row)
                        try keyed.check(values, key: cells.key(of: rows[0]))
                        emit(keyed.shown.map { values[$0] })
                    }
                })
        }
    }

    private init<Element>(
        _ base: DerivedBase<Element>, number: String? = nil, columns: [ColumnSchema],
        operation: String, by orderings: [Ordering<Element>] = [],
        open: @escaping @Sendable () throws(KappaError) -> DerivedRows
    ) {
        let numbers = number.map { [ColumnSchema($0, .integer, isKey: true)] } ?? []
        table = TableSchema(name: base.name, columns: base.keys + numbers + columns)
        upstream = base.upstream
        stateTables = base.stateTables
        keyKinds = base.keys.map(\.kind)
        groupsAreRanges = base.groupsAreRanges
        let described = table.columns.map { "\($0.name):\($0.kind.rawValue)" }
        signature =
            base.signature + " \(operation) " + orderings.map(\.signature).joined(separator: ",")
            + " "
            + described.joined(separator: ",")
        self.open = open
    }
}

/// What all derived tables have in common.
private struct DerivedBase<Element>: Sendable {
    let name: String
    let upstream: StepDefinition
    /// The upstream's table.
    let source: TableSchema
    let stateTables: [TableSchema]
    let keys: [ColumnSchema]
    let groupsAreRanges: Bool
    let signature: String

    init(
        _ name: String, _ view: String, _ groups: TableGroups<Element>
    ) throws(KappaError) {
        self.name = name
        try GroupKey.checkNames(groups.keys, ofTable: name)
        upstream = try groups.rows.upstream.define(view: view)
        guard var table = upstream.tables.first else {
            throw KappaError(.bug, "a step of view \(view) makes no table")
        }
        table.isInternal = true
        source = table
        stateTables = upstream.stateTables + [table]
        // Throws if the previous step lacks a property of the element.
        let maker = try groups.rows.open(table)
        let keyColumns = groups.keys.map { maker.column($0.expression) }
        groupsAreRanges = keyColumns == Array(table.keyColumns.prefix(keyColumns.count))
        keys = groups.keys.map { ColumnSchema($0.columnName, $0.expression.kind, isKey: true) }
        signature = "(\(upstream.signature)) \(groups.rows.signature)"
    }
}

/// The properties of a second step's rows that have the name of a part of the group's key. They get no
/// columns of their own, so their values must equal the key's.
struct KeyProperties: Sendable {
    private let columns: [ColumnSchema]
    /// The column of each such property, and its part of the key.
    private let named: [(column: Int, part: Int)]

    init<Element>(_ columns: [ColumnSchema], _ keys: [GroupKey<Element>]) {
        self.columns = columns
        named = columns.indices.compactMap { column in
            keys.firstIndex { $0.columnName == columns[column].name }.map { (column, $0) }
        }
    }

    /// The columns of the other properties.
    var shown: [Int] {
        columns.indices.filter { column in !named.contains { $0.column == column } }
    }

    /// Checks the cells of a row made from the rows of a group.
    /// - Parameter key: The parts of the group's key.
    /// - Throws: `.badInput` if the value of such a property differs from the key: it would be lost.
    func check(_ cells: @autoclosure () -> [Value], key: @autoclosure () -> [Value]) throws {
        if named.isEmpty { return }
        let (cells, key) = (cells(), key())
        for (column, part) in named where cells[column] != key[part] {
            let name = columns[column].name
            throw KappaError(
                .badInput, "a second step made a row whose \(name) is not that of its group",
                because: "it is \(cells[column].jsonText), and the group's key \(name) is "
                    + "\(key[part].jsonText): both would be one column",
                advice: "Give the property another name")
        }
    }
}
