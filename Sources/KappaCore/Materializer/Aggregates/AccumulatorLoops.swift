import CKappaJSON

/// The records of a chunk's rows, in the order of the rows.
struct GroupedRecords {
    let base: UnsafeMutableRawPointer
    let stride: Int
    let ids: [UInt32]
}

/// Taking in a chunk of rows at once: what is done for each row is chosen before the loop.
extension Accumulator {
    /// Takes in the rows of `chunk`, which are those of `records`. The same as ``add(_:_:_:offset:)``
    /// for each of them.
    func add(
        _ columns: AggregateColumns, _ input: AggregationRows, _ chunk: Range<Int>,
        firstOffset: Int64, to records: GroupedRecords
    ) throws(KappaError) {
        if let mask = columns.mask {
            return try addMasked(columns, mask, input, chunk, firstOffset, records)
        }
        if function == .count { return count(records) }
        guard let column = columns.value else { return }
        switch (function, kind) {
        case (.sum, .decimal):
            try forEach(column, input, chunk, records) { record, row throws(KappaError) in
                try addDecimal(cell(record), column, row)
            }
        case (.sum, .integer):
            try forEach(column, input, chunk, records) { record, row throws(KappaError) in
                let cell = cell(record)
                let (sum, overflow) = cell.integer.addingReportingOverflow(column.integers[row])
                if overflow { throw tooLarge() }
                cell.integer = sum
                cell.tag = StoredCell.value
            }
        case (.sum, .double):
            try forEach(column, input, chunk, records) { record, row throws(KappaError) in
                let cell = cell(record)
                cell.double += column.doubles[row]
                cell.tag = StoredCell.value
            }
        case (.min, .integer), (.min, .timestamp):
            try forEach(column, input, chunk, records) { record, row throws(KappaError) in
                let cell = cell(record)
                let value = column.integers[row]
                if cell.tag < StoredCell.value || value < cell.integer { cell.integer = value }
                cell.tag = StoredCell.value
            }
        case (.max, .integer), (.max, .timestamp):
            try forEach(column, input, chunk, records) { record, row throws(KappaError) in
                let cell = cell(record)
                let value = column.integers[row]
                if cell.tag < StoredCell.value || value > cell.integer { cell.integer = value }
                cell.tag = StoredCell.value
            }
        case (.last, _) where !savesOffsets:
            // Rows come in log order: each is later than what the cell holds.
            for (index, id) in records.ids.enumerated() {
                let record = records.base + Int(id) * records.stride
                cell(record).set(
                    from: column, Int(input.rows[chunk.lowerBound + index]), kind: kind)
            }
        default:
            for (index, id) in records.ids.enumerated() {
                let place = chunk.lowerBound + index
                try add(
                    records.base + Int(id) * records.stride, columns, Int(input.rows[place]),
                    offset: firstOffset + Int64(input.events[place]))
            }
        }
    }

    /// Takes in only the rows that the mask names, in the same loops.
    private func addMasked(
        _ columns: AggregateColumns, _ mask: UnsafePointer<UInt8>, _ input: AggregationRows,
        _ chunk: Range<Int>, _ firstOffset: Int64, _ records: GroupedRecords
    ) throws(KappaError) {
        var kept = AggregationRows()
        var ids: [UInt32] = []
        kept.rows.reserveCapacity(chunk.count)
        kept.events.reserveCapacity(chunk.count)
        ids.reserveCapacity(chunk.count)
        for index in chunk where mask[Int(input.rows[index])] != 0 {
            kept.rows.append(input.rows[index])
            kept.events.append(input.events[index])
            ids.append(records.ids[index - chunk.lowerBound])
        }
        var unmasked = columns
        unmasked.mask = nil
        try add(
            unmasked, kept, 0..<ids.count, firstOffset: firstOffset,
            to: GroupedRecords(base: records.base, stride: records.stride, ids: ids))
    }

    private func count(_ records: GroupedRecords) {
        for id in records.ids {
            let state = records.base + Int(id) * records.stride + place
            state.storeBytes(of: state.load(as: Int64.self) + 1, as: Int64.self)
        }
    }

    /// Visits the rows in which the column holds a value.
    @inline(__always)
    private func forEach(
        _ column: kj_column, _ input: AggregationRows, _ chunk: Range<Int>,
        _ records: GroupedRecords,
        _ body: (UnsafeMutableRawPointer, Int) throws(KappaError) -> Void
    ) throws(KappaError) {
        for (index, id) in records.ids.enumerated() {
            let row = Int(input.rows[chunk.lowerBound + index])
            guard column.states[row] == UInt8(KJ_VALUE.rawValue) else { continue }
            try body(records.base + Int(id) * records.stride, row)
        }
    }
}

/// Merging stretches of the log.
extension Accumulator {
    /// Whether two states that follow each other come out as if all had been taken in at once. Sums of
    /// doubles do not: they depend on the order of adding.
    var mergesExactly: Bool {
        switch function {
        case .sum, .average: kind != .double
        case .count, .countValues, .min, .max, .first, .last, .countDistinct,
            .approximateDistinct:
            true
        // These would need the offsets of what they keep, which rows do not hold.
        case .populationVariance, .sampleVariance, .populationDeviation, .sampleDeviation, .argMin,
            .argMax, .collect:
            false
        }
    }

    /// Takes in the state of a later stretch of the log.
    func merge(
        later other: UnsafeMutableRawPointer, into record: UnsafeMutableRawPointer
    ) throws(KappaError) {
        let (mine, theirs) = (cell(record), cell(other))
        switch function {
        case .first:
            if mine.tag == StoredCell.none { mine.copy(from: theirs, kind: kind) }
        case .last:
            if theirs.tag != StoredCell.none { mine.copy(from: theirs, kind: kind) }
        default: try merge(other, into: record)
        }
    }
}
