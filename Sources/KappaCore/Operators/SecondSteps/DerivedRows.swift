/// Groups of a table's rows; `aggregate`, `top` or `reduce` turns them into a table again.
public struct TableGroups<Element>: Sendable {
    let rows: TableRows<Element>
    let keys: [GroupKey<Element>]
}

/// The rows of a table inside a view, as structs: the input of a second step.
///
/// ```swift
/// Events(Bid.self, at: \.time)
///     .window(.tumbling(.seconds(10))).grouped(by: \.auction)
///     .aggregate(.count().as("bids"))
///     .rows(as: AuctionBids.self)           // a struct with windowStart, auction, bids
///     .grouped(by: \.windowStart)
///     .top(1, by: .descending(\.bids))
/// ```
/// When a row changes, its new value replaces the old one in the results. The results depend only on the
/// contents of the table, not on its history. The first table is kept with the view, and readers do not see
/// it.
public struct TableRows<Element>: Sendable {
    let upstream: any TableStep
    let signature: String
    /// Opens a maker of elements from the table's rows.
    let open: @Sendable (TableSchema) throws(KappaError) -> RowMaker<Element>
}

/// Makes an element from a row, or nil.
struct RowMaker<Element> {
    /// The table's column for each of the element's properties, if elements consist only of columns.
    var columns: [Int]?
    /// Whether some rows make no element.
    var isFiltered = false
    let make: (any RowCursor) throws -> Element?

    /// The table's column that holds the value of an expression unchanged.
    func column(_ expression: Expression<Element>) -> Int? {
        guard let columns, let fields = StructFields.of(Element.self),
            fields.fields.count == columns.count,
            let field = expression.keyPath.flatMap({ fields.field($0) })
        else { return nil }
        return columns[field]
    }
}

/// How a second step packs the rows of the previous table, and what it makes from a group of them.
package struct DerivedRows {
    let maker: any DerivedRowMaker
    /// The cells of a packed row.
    let cells: Int
    /// The cell with the first part of the group's key; the others follow.
    let firstKey: Int
    let output: DerivedOutput
}

/// Packs the rows of the previous table.
protocol DerivedRowMaker: AnyObject {
    /// Packs a row for the second step; returns false if the row is filtered out.
    func pack(_ row: any RowCursor, into builder: PackedRowBuilder) throws -> Bool
}

/// What a second step makes from a group of rows.
enum DerivedOutput {
    /// One row of aggregates.
    case aggregates([AggregateShape], [AggregateCells])
    /// The best rows, with the cells to show and a check of each row.
    case top(
        Int, Ties, OrderedCells, shown: [Int], check: (PackedRow) throws -> Void)
    /// Any rows, made by a closure from the group's rows in an order.
    case reduced(
        OrderedCells,
        (_ rows: [PackedRow], _ emit: ([Value]) -> Void) throws -> Void)
}

/// The cells that an aggregate reads from a row.
struct AggregateCells {
    var value: Int?
    var order: Int?
    /// The cell that holds whether the row counts.
    var condition: Int?
}

/// The cells of a packed row: the element's own, the group's key, and further values that the step needs.
struct DerivedCells<Element>: Sendable {
    enum Cell: Sendable {
        case value(Expression<Element>)
        /// Whether a condition holds; the next `guarded` cells are needed only if it does.
        case condition(Condition<Element>, guarded: Int)
    }
    /// The number of the element's own cells, which come first.
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

    /// The order of rows by the orderings that the cells were made for.
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

/// Packs the rows of a table for a second step: cell by cell if its columns hold all that is needed, else by
/// making the element.
final class TableRowMaker<Element>: DerivedRowMaker {
    private let rows: RowMaker<Element>
    private let cells: DerivedCells<Element>
    /// Packs the element's own cells.
    private let packOwn: ((Element, PackedRowBuilder) throws -> Void)?
    /// The table's column for each cell, if all cells have one.
    private let columns: [Int]?
    /// The columns that must not be null. If one is, the element is made, which throws the reason.
    private let required: [Int]

    /// For elements whose own cells are not kept.
    init(_ rows: RowMaker<Element>, _ cells: DerivedCells<Element>) {
        self.rows = rows
        self.cells = cells
        packOwn = nil
        columns = Self.columns(rows, cells)
        required = Self.required(rows)
    }

    init(
        _ rows: RowMaker<Element>, _ cells: DerivedCells<Element>, _ codec: RowCodec<Element>
    ) where Element: ViewRow {
        self.rows = rows
        self.cells = cells
        packOwn = { element, builder in
            try withUnsafePointer(to: element) { try codec.pack($0, into: builder) }
        }
        columns = codec.isFlat ? Self.columns(rows, cells) : nil
        required = Self.required(rows)
    }

    private static func required(_ rows: RowMaker<Element>) -> [Int] {
        let fields = StructFields.of(Element.self)?.fields ?? []
        return zip(fields, rows.columns ?? []).filter { !$0.0.isOptional }.map(\.1)
    }

    private static func columns(
        _ rows: RowMaker<Element>, _ cells: DerivedCells<Element>
    ) -> [Int]? {
        guard let own = rows.columns, !rows.isFiltered else { return nil }
        var columns = Array(own.prefix(cells.own))
        for cell in cells.others {
            guard case .value(let expression) = cell, let column = rows.column(expression)
            else { return nil }
            columns.append(column)
        }
        return columns
    }

    func pack(_ row: any RowCursor, into builder: PackedRowBuilder) throws -> Bool {
        builder.begin()
        guard let columns, hasRequired(row) else { return try packElement(row, builder) }
        for index in columns.indices { builder.bind(index, row, columns[index]) }
        return true
    }

    /// A function of its own, because each call looks up types at run time.
    @inline(never)
    private func packElement(_ row: any RowCursor, _ builder: PackedRowBuilder) throws -> Bool {
        guard let element = try rows.make(row) else { return false }
        try packOwn?(element, builder)
        var index = cells.own
        var skipped = 0
        for cell in cells.others {
            switch cell {
            case _ where skipped > 0:
                builder.bindNull(index)
                skipped -= 1
            case .value(let expression): builder.bind(index, try expression.evaluate(element))
            case .condition(let condition, let guarded):
                let holds = try condition.holds(for: element)
                builder.bind(index, Int64(holds ? 1 : 0))
                if !holds { skipped = guarded }
            }
            index += 1
        }
        return true
    }

    private func hasRequired(_ row: any RowCursor) -> Bool {
        for column in required where row.isNull(column) { return false }
        return true
    }
}
