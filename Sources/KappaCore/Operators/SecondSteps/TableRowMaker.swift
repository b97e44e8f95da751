/// Packs the rows of a table for a further step: cell by cell where its columns are all that is needed,
/// else by making the element.
final class TableRowMaker<Element>: DerivedRowMaker {
    private let rows: RowMaker<Element>
    private let cells: DerivedCells<Element>
    /// Packs the element's own cells.
    private let packOwn: ((Element, PackedRowBuilder) throws -> Void)?
    /// The table's column of each cell, where all have one.
    private let columns: [Int]?
    /// The columns that must not be null: if one is, making the element says what is wrong.
    private let required: [Int]

    /// For elements of which no cells of their own are kept.
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

    /// Apart, as its types are looked up at each call.
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
