import CKappaJSON

/// Makes the rows of a second step from its groups.
final class DerivedOutputs {
    /// Whether the rows of a group are numbered from 1.
    let isNumbered: Bool
    private let shape: DerivedRows
    private let builder: PackedRowBuilder
    private let arena = RowArena()
    private let aggregates: DerivedAggregates?

    /// - Parameter cells: The number of cells in the table's rows after the group's key.
    init(_ shape: DerivedRows, cells: Int) {
        self.shape = shape
        if case .aggregates(let shapes, let inputs) = shape.output {
            aggregates = DerivedAggregates(shapes, inputs, cells: shape.cells)
            isNumbered = false
        } else {
            aggregates = nil
            isNumbered = true
        }
        builder = PackedRowBuilder(cells: isNumbered ? cells - 1 : cells)
    }

    /// Makes the rows of a group, without its key and their numbers; none if the group is empty.
    func make(_ group: UInt32, of groups: DerivedGroups) throws -> [PackedRow] {
        // Sorting all rows in order to show a few would be expensive.
        if case .top(let limit, _, let order, _, _) = shape.output {
            return try make(groups.best(limit, order, of: group))
        }
        return try make(groups.rows(of: group, inOrder: aggregates?.needsOrder ?? true))
    }

    /// The same from the rows of a group, in the order of their keys.
    func make(_ rows: [PackedRow]) throws -> [PackedRow] {
        if rows.isEmpty { return [] }
        switch shape.output {
        case .aggregates: return try aggregates.map { [pack(try $0.cells(rows))] } ?? []
        case .top(let limit, let ties, let order, let shown, let check):
            return try rows.best(limit, ties, order).map { row in
                try check(row)
                return pack(row, shown)
            }
        case .reduced(let order, let make):
            var made: [PackedRow] = []
            try make(rows.sorted(by: order)) { made.append(pack($0)) }
            return made
        }
    }

    private func pack(_ cells: [Value]) -> PackedRow {
        builder.begin()
        for (index, cell) in cells.enumerated() { builder.bind(index, cell) }
        return builder.finish(in: arena)
    }

    private func pack(_ row: PackedRow, _ shown: [Int]) -> PackedRow {
        builder.begin()
        for (index, cell) in shown.enumerated() { builder.bind(index, row, cell, of: shape.cells) }
        return builder.finish(in: arena)
    }

    func bind(_ row: PackedRow, to writer: any RowWriter, at first: Int) {
        row.bind(builder.cells, of: builder.cells, to: writer, at: isNumbered ? first + 1 : first)
    }

    func values(_ row: PackedRow, _ kinds: [ColumnKind]) -> [Value] {
        row.values(kinds, of: builder.cells)
    }

    /// Frees rows that are no longer needed.
    func release(_ rows: [PackedRow]) { for row in rows { arena.release(row) } }
    func releaseAll() { arena.clear() }

    var memoryBytes: Int { arena.memoryBytes }
}

extension [PackedRow] {
    /// The best of some rows in the order of their keys, best first; among equals, the row with the smaller
    /// key comes first.
    fileprivate func best(_ limit: Int, _ ties: Ties, _ order: OrderedCells) -> [PackedRow] {
        guard let last = order.last(of: limit, self) else { return sorted(by: order) }
        let best = filter { order.compare($0, last) <= 0 }.sorted(by: order)
        return ties == .all ? best : Array(best.prefix(limit))
    }

    /// Sorted by their cells; rows that tie keep their order.
    fileprivate func sorted(by order: OrderedCells) -> [PackedRow] {
        if order.parts.isEmpty { return self }
        return indices.sorted { a, b in
            let comparison = order.compare(self[a], self[b])
            return comparison < 0 || comparison == 0 && a < b
        }.map { self[$0] }
    }
}

/// Aggregates the rows of one group at a time.
private final class DerivedAggregates {
    private let accumulators: [Accumulator]
    private let inputs: [Input]
    private let heldBytes = StateBytes()
    private let record: UnsafeMutableRawPointer
    private let size: Int
    private let cursor = PackedCursor()
    private let cells: Int

    /// Whether the result depends on the order of rows.
    let needsOrder: Bool

    private struct Input {
        let cells: AggregateCells
        let value: (column: ComputedColumn, kind: ColumnKind)?
        let order: (column: ComputedColumn, kind: ColumnKind)?
        let orderColumn = UnsafeMutablePointer<kj_column>.allocate(capacity: 1)
    }

    init(_ shapes: [AggregateShape], _ inputs: [AggregateCells], cells: Int) {
        self.cells = cells
        var place = 0
        let counter = heldBytes.counter
        accumulators = shapes.map { shape in
            let accumulator = Accumulator(
                shape, place: place, savesOffsets: false, heldBytes: counter)
            place += accumulator.size
            return accumulator
        }
        func column(_ kind: ColumnKind?) -> (column: ComputedColumn, kind: ColumnKind)? {
            kind.map { (ComputedColumn(kind: $0), $0) }
        }
        self.inputs = zip(shapes, inputs).map { shape, cells in
            Input(cells: cells, value: column(shape.input), order: column(shape.order))
        }
        needsOrder = !accumulators.allSatisfy(\.mergesInAnyOrder)
        size = max(16, place)
        record = .allocate(byteCount: size, alignment: 16)
    }

    deinit {
        record.deallocate()
        for input in inputs { input.orderColumn.deallocate() }
    }

    func cells(_ rows: [PackedRow]) throws -> [Value] {
        record.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        defer { for accumulator in accumulators { accumulator.free(record) } }
        var sink = ValueSink()
        for (accumulator, input) in zip(accumulators, inputs) {
            try add(rows, input, to: accumulator)
            accumulator.emit(record, to: &sink)
        }
        return sink.cells
    }

    /// Adds one row after another, each as the only row of a column.
    private func add(_ rows: [PackedRow], _ input: Input, to accumulator: Accumulator) throws {
        for (number, row) in rows.enumerated() {
            if let condition = input.cells.condition, row.integer(condition, of: cells) == 0 {
                continue
            }
            var columns = AggregateColumns()
            cursor.take(row, of: cells)
            // The texts of earlier rows are no longer needed.
            if number % 1_024 == 0 {
                input.value?.column.clear()
                input.order?.column.clear()
            }
            if let value = input.value, let cell = input.cells.value {
                value.column.set(0, value.kind.value(cursor, cell))
                columns.value = value.column.column
            }
            if let order = input.order, let cell = input.cells.order {
                order.column.set(0, order.kind.value(cursor, cell))
                input.orderColumn.pointee = order.column.column
                columns.order = UnsafePointer(input.orderColumn)
            }
            try accumulator.add(record, columns, 0, offset: Int64(number))
        }
    }
}
