/// Makes the first rows of a second step, if the rows of each group are consecutive: it holds the rows of one
/// group until the last of them has come.
final class GroupRanges: RowListener {
    private let table: TableSchema
    private let shape: DerivedRows
    private let keyParts: Int
    private let output: DerivedOutputs
    private let builder: PackedRowBuilder
    private let arena = RowArena()
    /// The rows of the current group.
    private var rows: [PackedRow] = []
    private let made: RecordList

    /// - Parameter table: The table of the second step.
    init(_ shape: DerivedRows, _ table: TableSchema, keyParts: Int, output: DerivedOutputs) {
        self.table = table
        self.shape = shape
        self.keyParts = keyParts
        self.output = output
        builder = PackedRowBuilder(cells: shape.cells)
        made = RecordList(table)
    }

    func take(_ row: any RowCursor) throws(KappaError) {
        try DerivedFailure.located(table) {
            guard try shape.maker.pack(row, into: builder) else { return }
            if let first = rows.first, !isOfGroup(of: first) { try endGroup() }
            rows.append(builder.finish(in: arena))
        }
    }

    /// There are no earlier rows to delete.
    func remove(_ key: any RowCursor) {}

    /// Ends the last group, and returns the rows of all groups.
    func finish() throws(KappaError) -> RecordList {
        try DerivedFailure.located(table) { try endGroup() }
        return made
    }

    /// Whether the row in `builder` belongs to the group of `row`.
    private func isOfGroup(of row: PackedRow) -> Bool {
        let (new, keys) = (builder.row, shape.firstKey..<(shape.firstKey + keyParts))
        return keys.allSatisfy { new.hasSameCell($0, as: row, of: shape.cells) }
    }

    private func endGroup() throws {
        let new = try output.make(rows)
        for (index, row) in new.enumerated() {
            for part in 0..<keyParts {
                made.bind(part, rows[0], shape.firstKey + part, of: shape.cells)
            }
            if output.isNumbered { made.bind(keyParts, Int64(index + 1)) }
            output.bind(row, to: made, at: keyParts)
            made.execute()
        }
        output.release(new)
        for row in rows { arena.release(row) }
        rows.removeAll(keepingCapacity: true)
    }
}

extension PackedRow {
    /// Whether a cell equals that of another row.
    fileprivate func hasSameCell(_ cell: Int, as other: PackedRow, of cells: Int) -> Bool {
        switch (storage(cell), other.storage(cell)) {
        case (.text, .text):
            let (a, b) = (bytes(cell, of: cells), other.bytes(cell, of: cells))
            return ByteOrder.compare(a, b) == 0
        case (.integer, .integer): return integer(cell, of: cells) == other.integer(cell, of: cells)
        default: return false
        }
    }
}
