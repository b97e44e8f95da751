/// Merging states, freeing them, writing them to the cells of a row and reading them back.
extension Accumulator {
    /// Merges in the state of `other`, over different events. `other` does not change.
    func merge(
        _ other: UnsafeMutableRawPointer, into record: UnsafeMutableRawPointer
    ) throws(KappaError) {
        let theirs = cell(other)
        switch form {
        case .counter:
            record.storeBytes(
                of: number(record) + number(other), toByteOffset: place, as: Int64.self)
        case .sum: try mergeSum(theirs, into: cell(record))
        case .mean:
            if kind == .integer {
                cell(record).mantissa &+= theirs.mantissa
                cell(record).tag = max(cell(record).tag, theirs.tag)
            } else {
                try mergeSum(theirs, into: cell(record))
            }
            setExtra(record, extra(record) + extra(other))
        case .extreme:
            let mine = cell(record)
            guard theirs.tag >= StoredCell.value else { return }
            let isBetter =
                mine.tag < StoredCell.value
                || (function == .min
                    ? mine.isAfter(theirs, kind: kind) : theirs.isAfter(mine, kind: kind))
            if isBetter { mine.copy(from: theirs, kind: kind) }
        case .end:
            guard theirs.tag != StoredCell.none else { return }
            let isBetter =
                cell(record).tag == StoredCell.none
                || (function == .first
                    ? extra(other) < extra(record) : extra(other) > extra(record))
            if isBetter {
                cell(record).copy(from: theirs, kind: kind)
                setExtra(record, extra(other))
            }
        case .object: object(record).merge(object(other))
        case .spread: moments(record).merge(moments(other))
        case .argument: argExtreme(record).merge(argExtreme(other))
        }
    }

    private func mergeSum(_ theirs: StoredCell, into mine: StoredCell) throws(KappaError) {
        guard theirs.tag != StoredCell.none else { return }
        switch kind {
        case .double:
            mine.double += theirs.double
            mine.tag = StoredCell.value
        case .decimal: try addToDecimalSum(mine, theirs.decimal)
        case .bool, .integer, .timestamp, .text, .json:
            let (sum, overflow) = mine.integer.addingReportingOverflow(theirs.integer)
            if overflow { throw tooLarge() }
            mine.integer = sum
            mine.tag = StoredCell.value
        }
    }

    /// Whether merging the states of two consecutive ranges of the log gives the same state as one pass over
    /// both. For sums of doubles it does not: they depend on the order of additions.
    var mergesExactly: Bool {
        switch form {
        case .sum, .mean: kind != .double
        case .spread: false
        case .counter, .extreme, .end, .argument, .object: true
        }
    }

    /// Merges in the state of a later range of the log.
    func merge(
        later other: UnsafeMutableRawPointer, into record: UnsafeMutableRawPointer
    ) throws(KappaError) {
        let (mine, theirs) = (cell(record), cell(other))
        switch function {
        case .first:
            if mine.tag == StoredCell.none { mine.copy(from: theirs, kind: kind) }
        case .last:
            if theirs.tag != StoredCell.none { mine.copy(from: theirs, kind: kind) }
        case _ where form == .spread && moments(other).count == 1:
            // A state of one value is added as that value: the result has the same bits as if it had never
            // been a state of its own.
            moments(record).add(moments(other).mean)
        default: try merge(other, into: record)
        }
    }

    /// Frees what the state holds outside of the record.
    func free(_ record: UnsafeMutableRawPointer) {
        switch form {
        case .object: releaseObject(record)
        case .argument: argExtreme(record).free()
        case .extreme, .end: if kind == .text || kind == .json { cell(record).freeText() }
        case .counter, .sum, .mean, .spread: break
        }
    }

    var ownsMemory: Bool {
        switch form {
        case .object: true
        case .extreme, .end: kind == .text || kind == .json
        case .argument: kind == .text || kind == .json || orderKind == .text
        case .counter, .sum, .mean, .spread: false
        }
    }

    // MARK: Cells of a row

    /// Writes the aggregate's cell of the row.
    func emit(_ record: UnsafeMutableRawPointer, to sink: inout some CellSink) {
        switch form {
        case .counter: sink.integer(number(record))
        case .object: object(record).emit(to: &sink)
        case .spread: emitSpread(record, to: &sink)
        case .argument: argExtreme(record).value.emit(kind, to: &sink)
        case .extreme, .end: cell(record).emit(kind, to: &sink)
        case .sum: emitSum(cell(record), to: &sink)
        case .mean: emitMean(cell(record), count: extra(record), to: &sink)
        }
    }

    private func emitSum(_ cell: StoredCell, to sink: inout some CellSink) {
        guard cell.tag == StoredCell.none else { return cell.emit(kind, to: &sink) }
        switch kind {
        case .double: sink.double(0)
        case .decimal: sink.decimal(0)
        case .bool, .integer, .timestamp, .text, .json: sink.integer(0)
        }
    }

    private func emitMean(_ cell: StoredCell, count: Int64, to sink: inout some CellSink) {
        if count == 0 { return sink.null() }
        if function == .wholeAverage {
            return sink.integer(
                WholeDivision.divide(cell.mantissa, by: count, rounding: settings.rounding))
        }
        let total =
            switch kind {
            case .double: cell.double
            case .decimal: cell.decimal.doubleValue
            case .bool, .integer, .timestamp, .text, .json:
                Int64(exactly: cell.mantissa).map { Double($0) } ?? Double(cell.mantissa)
            }
        sink.double(total / Double(count))
    }

    /// Writes the part of the state that the row's columns do not hold.
    func save(_ record: UnsafeMutableRawPointer, to state: inout StateWriter) {
        switch form {
        case .mean:
            state.write(extra(record))
            state.write(cell(record).tag)
            state.write(cell(record).mantissa)
        case .object: object(record).save(to: &state)
        case .spread: moments(record).save(to: &state)
        case .argument: argExtreme(record).save(to: &state)
        case .end:
            if savesOffsets { state.write(extra(record)) }
            if mayLackFirst { state.write(cell(record).tag) }
        case .counter, .sum, .extreme: break
        }
    }

    /// Reads the state from a stored row: from its column and its part of the blob.
    func load(
        _ record: UnsafeMutableRawPointer, _ cursor: any RowCursor, _ column: Int,
        _ state: inout StateReader
    ) throws(KappaError) {
        switch form {
        case .counter:
            record.storeBytes(of: cursor.integer(column), toByteOffset: place, as: Int64.self)
        case .sum where kind == .double && cursor.isNull(column):
            // A sum is never null, but infinities can turn it into NaN, which is stored as null and stays
            // NaN.
            cell(record).tag = StoredCell.value
            cell(record).double = .nan
        case .sum, .extreme: cell(record).load(cursor, column, kind: kind)
        case .end:
            cell(record).load(cursor, column, kind: kind)
            if savesOffsets { setExtra(record, try state.readInteger()) }
            if mayLackFirst, try state.readInteger() == StoredCell.none {
                cell(record).tag = StoredCell.none
            }
        case .mean:
            setExtra(record, try state.readCount())
            let tag = try state.readInteger()
            guard (0...StoredCell.value + Int64(ExactDecimal.maximumScale)).contains(tag) else {
                throw StateReader.damage("a sum has too many digits")
            }
            cell(record).tag = tag
            cell(record).mantissa = try state.readMantissa()
        case .object: try object(record).load(from: &state, cursor, column)
        case .spread: try moments(record).load(from: &state)
        case .argument:
            argExtreme(record).value.load(cursor, column, kind: kind)
            try argExtreme(record).load(from: &state)
        }
    }
}
