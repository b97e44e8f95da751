import CKappaJSON

/// Taking many rows at once: the code that runs for each row is chosen before the loop.
extension Accumulator {
    /// The same as ``add(_:_:_:offset:)`` for each row. `rows` holds only rows that the mask lets through.
    func add(
        _ columns: AggregateColumns, _ rows: GroupedRows, firstOffset: Int64
    ) throws(KappaError) {
        guard let column = columns.value else { return count(rows) }
        switch (function, kind) {
        case (.sum, .decimal):
            try forEach(column, rows, firstOffset) { record, row throws(KappaError) in
                try addDecimal(cell(record), column, row)
            }
        case (.sum, .integer):
            try forEach(column, rows, firstOffset) { record, row throws(KappaError) in
                let cell = cell(record)
                let (sum, overflow) = cell.integer.addingReportingOverflow(column.integers[row])
                if overflow { throw tooLarge() }
                cell.integer = sum
                cell.tag = StoredCell.value
            }
        case (.sum, .double):
            try forEach(column, rows, firstOffset) { record, row throws(KappaError) in
                let cell = cell(record)
                cell.double += column.doubles[row]
                cell.tag = StoredCell.value
            }
        case (.average, .integer), (.wholeAverage, .integer):
            try forEach(column, rows, firstOffset) { record, row throws(KappaError) in
                let cell = cell(record)
                cell.mantissa &+= Int128(column.integers[row])
                cell.tag = StoredCell.value
                setExtra(record, extra(record) &+ 1)
            }
        case (.min, .integer), (.min, .timestamp):
            try forEach(column, rows, firstOffset) { record, row throws(KappaError) in
                let cell = cell(record)
                let value = column.integers[row]
                if cell.tag < StoredCell.value || value < cell.integer { cell.integer = value }
                cell.tag = StoredCell.value
            }
        case (.max, .integer), (.max, .timestamp):
            try forEach(column, rows, firstOffset) { record, row throws(KappaError) in
                let cell = cell(record)
                let value = column.integers[row]
                if cell.tag < StoredCell.value || value > cell.integer { cell.integer = value }
                cell.tag = StoredCell.value
            }
        case (.last, _) where !savesOffsets:
            // Rows come in log order, so each replaces the cell's value.
            for index in 0..<rows.count {
                cell(rows.record(index)).set(from: column, Int(rows.rows[index]), kind: kind)
            }
        case (.countDistinct, .integer), (.countDistinct, .timestamp):
            try forEach(column, rows, firstOffset) { record, row throws(KappaError) in
                insertDistinct(record, column.integers[row])
            }
        default:
            var unmasked = columns
            unmasked.mask = nil
            for index in 0..<rows.count {
                try add(
                    rows.record(index), unmasked, Int(rows.rows[index]),
                    offset: firstOffset + Int64(rows.events[index]))
            }
        }
    }

    private func count(_ rows: GroupedRows) {
        for index in 0..<rows.count { addOne(rows.record(index)) }
    }

    /// Visits the rows in which the column holds a value.
    @inline(__always)
    private func forEach(
        _ column: kj_column, _ rows: GroupedRows, _ firstOffset: Int64,
        _ body: (UnsafeMutableRawPointer, Int) throws(KappaError) -> Void
    ) throws(KappaError) {
        for index in 0..<rows.count {
            let row = Int(rows.rows[index])
            guard isThere(column, row) else { continue }
            do { try body(rows.record(index), row) } catch {
                throw located(error, at: firstOffset + Int64(rows.events[index]))
            }
        }
    }
}
