/// How a further step packs the rows of the table before, and what it makes of a group of them.
package struct DerivedRows {
    let maker: any DerivedRowMaker
    /// The cells of a packed row.
    let cells: Int
    /// The cell with the first part of the group's key; the others follow.
    let firstKey: Int
    let output: DerivedOutput
}

/// Packs the rows of the table before.
protocol DerivedRowMaker: AnyObject {
    /// Packs what a row is for the further step; false where it is left out.
    func pack(_ row: any RowCursor, into builder: PackedRowBuilder) throws -> Bool
}

/// What a group of rows makes.
enum DerivedOutput {
    /// One row, of aggregates.
    case aggregates([AggregateShape], [AggregateCells])
    /// The best rows: those of their cells that are shown, once they have been checked.
    case top(
        Int, Ties, OrderedCells, shown: [Int], check: (PackedRow) throws -> Void)
    /// Any rows: what is made of the rows in an order.
    case reduced(
        OrderedCells,
        (_ rows: [PackedRow], _ emit: ([Value]) -> Void) throws -> Void)
}

/// The cells that hold what an aggregate takes of a row.
struct AggregateCells {
    var value: Int?
    var order: Int?
    /// Whether the row counts.
    var condition: Int?
}

/// The cells of a packed row: the element's own, the group's key, and what else is needed of it.
struct DerivedCells<Element>: Sendable {
    enum Cell: Sendable {
        case value(Expression<Element>)
        /// Whether a condition holds; the next `guarded` cells are needed only if it does.
        case condition(Condition<Element>, guarded: Int)
    }
    /// How many cells are the element's own: they come first.
    let own: Int
    private(set) var others: [Cell]
    private let keyCount: Int

    init(keys: [GroupKey<Element>]) {
        own = 0
        keyCount = keys.count
        others = keys.map { .value($0.expression) }
    }

    init(
        own: [ColumnSchema], keys: [GroupKey<Element>], orderings: [Ordering<Element>]
    ) {
        self.own = own.count
        keyCount = keys.count
        others = keys.map { .value($0.expression) } + orderings.map { .value($0.value) }
    }

    var count: Int { own + others.count }

    /// The parts of the key of a row's group.
    func key(of row: PackedRow) -> [Value] {
        let kinds = others.prefix(keyCount).map { cell in
            if case .value(let expression) = cell { expression.kind } else { ColumnKind.bool }
        }
        return row.values(kinds, at: own, of: count)
    }

    /// How rows are ordered by the orderings that the cells were made for.
    func order(by orderings: [Ordering<Element>]) -> OrderedCells {
        let first = own + keyCount
        let parts = orderings.enumerated().map { index, ordering in
            OrderedCells.Part(
                cell: first + index, kind: ordering.value.kind,
                isDescending: ordering.isDescending)
        }
        return OrderedCells(
            parts, cells: count, mayBeNull: orderings.first?.mayBeNull ?? false)
    }

    /// Adds the cells that an aggregate needs.
    mutating func add(_ input: AggregateInput<Element>) -> AggregateCells {
        var cells = AggregateCells()
        let values = [input.value, input.order].compactMap { $0 }
        if let condition = input.condition {
            cells.condition = count
            others.append(.condition(condition, guarded: values.count))
        }
        if let value = input.value {
            cells.value = count
            others.append(.value(value))
        }
        if let order = input.order {
            cells.order = count
            others.append(.value(order))
        }
        return cells
    }
}
