import CKappaJSON

/// One aggregate's state inside a record: where it stands, and how it takes values in.
///
/// The layouts, all zero at first: a count is an integer; a sum is a ``StoredCell``; an average is a
/// sum and a count; least, largest, first and last are a ``StoredCell`` (first and last with the
/// offset that it comes from); what keeps many values is a reference to a ``StateObject``. The others
/// say so where they stand.
struct Accumulator {
    let function: AggregateFunction
    let kind: ColumnKind
    /// Where the state begins, in bytes from the record's beginning.
    let place: Int
    /// Whether first and last keep their offsets across restarts, because groups may merge.
    let savesOffsets: Bool
    /// The kind of the value that decides, for argMin and argMax.
    let orderKind: ColumnKind
    /// How many values collect keeps.
    let limit: Int
    /// Whether first and last keep across restarts that they have taken nothing yet.
    private let mayLackFirst: Bool

    init(_ shape: AggregateShape, place: Int, savesOffsets: Bool) {
        function = shape.function
        kind = shape.input ?? .integer
        orderKind = shape.order ?? .integer
        limit = shape.limit
        mayLackFirst = shape.mayLackFirst
        self.place = place
        self.savesOffsets = savesOffsets
    }

    var size: Int {
        switch function {
        case .count, .countValues, .countDistinct, .approximateDistinct, .collect: 8
        case .populationVariance, .sampleVariance, .populationDeviation, .sampleDeviation:
            Moments.size
        case .argMin, .argMax: ArgExtreme.size
        case .sum, .min, .max: StoredCell.size
        case .average, .first, .last: StoredCell.size + 8
        }
    }

    @inline(__always)
    func cell(_ record: UnsafeMutableRawPointer) -> StoredCell {
        StoredCell(record + place)
    }

    @inline(__always)
    private func number(_ record: UnsafeMutableRawPointer) -> Int64 {
        record.load(fromByteOffset: place, as: Int64.self)
    }

    /// The word behind the cell: an average's count, the offset of a first or last.
    @inline(__always)
    func extra(_ record: UnsafeMutableRawPointer) -> Int64 {
        record.load(fromByteOffset: place + StoredCell.size, as: Int64.self)
    }
    @inline(__always)
    func setExtra(_ record: UnsafeMutableRawPointer, _ value: Int64) {
        record.storeBytes(of: value, toByteOffset: place + StoredCell.size, as: Int64.self)
    }

    // MARK: Taking values in

    /// Takes one row in.
    func add(
        _ record: UnsafeMutableRawPointer, _ input: AggregateColumns, _ row: Int, offset: Int64
    ) throws(KappaError) {
        if let mask = input.mask, mask[row] == 0 { return }
        let column = input.value
        switch function {
        case .count: addOne(record)
        case .countValues: if isThere(column, row) { addOne(record) }
        case .sum:
            if let column, isThere(column, row) { try addToSum(cell(record), column, row) }
        case .average:
            if let column, isThere(column, row) {
                try addToSum(cell(record), column, row)
                setExtra(record, extra(record) + 1)
            }
        case .min, .max:
            if let column, isThere(column, row) { addToExtreme(record, column, row) }
        case .first:
            if let column, cell(record).tag == StoredCell.none || offset < extra(record) {
                cell(record).set(from: column, row, kind: kind)
                setExtra(record, offset)
            }
        case .last:
            if let column, cell(record).tag == StoredCell.none || offset >= extra(record) {
                cell(record).set(from: column, row, kind: kind)
                setExtra(record, offset)
            }
        case .countDistinct, .approximateDistinct, .collect:
            if let column, isThere(column, row) {
                object(record).add(column, row, kind: kind, offset: offset)
            }
        case .populationVariance, .sampleVariance, .populationDeviation, .sampleDeviation:
            if let column, isThere(column, row) {
                moments(record).add(doubleValue(column, row))
            }
        case .argMin, .argMax:
            if let column, let order = input.order?.pointee, isThere(order, row) {
                argExtreme(record).add(column, order, row, offset: offset)
            }
        }
    }

    @inline(__always)
    private func isThere(_ column: kj_column?, _ row: Int) -> Bool {
        column?.states[row] == UInt8(KJ_VALUE.rawValue)
    }

    @inline(__always)
    private func addOne(_ record: UnsafeMutableRawPointer) {
        record.storeBytes(of: number(record) + 1, toByteOffset: place, as: Int64.self)
    }

    @inline(__always)
    private func addToSum(
        _ cell: StoredCell, _ column: kj_column, _ row: Int
    ) throws(KappaError) {
        switch kind {
        case .double:
            // A sum begins at zero, not at its first value: so a restart changes no bit of it.
            cell.double += column.doubles[row]
            cell.tag = StoredCell.value
        case .decimal: try addDecimal(cell, column, row)
        case .bool, .integer, .timestamp, .text, .json:
            let (sum, overflow) = cell.integer.addingReportingOverflow(column.integers[row])
            if overflow { throw tooLarge() }
            cell.integer = sum
            cell.tag = StoredCell.value
        }
    }

    /// A sum keeps the largest scale it has seen, so that its mantissa is not normalised each time.
    @inline(__always)
    func addDecimal(_ cell: StoredCell, _ column: kj_column, _ row: Int) throws(KappaError) {
        let scale = Int64(column.scales[row])
        if cell.tag == StoredCell.none, scale <= Int64(Decimal.maximumScale) {
            cell.tag = StoredCell.value + scale
        }
        // Nearly all values have few digits, and the sum's own scale or a smaller one: their product
        // with a power of ten below 10^19 fits 128 bits.
        let shift = cell.tag - StoredCell.value - scale
        guard shift >= 0, shift <= 18 else {
            if let value = column.decimal(row) { try addToDecimalSum(cell, value) }
            return
        }
        let addend = Int128(column.integers[row]) * Int128(Self.powersOfTen[Int(shift)])
        let (sum, overflow) = cell.mantissa.addingReportingOverflow(addend)
        if overflow { throw tooLarge() }
        cell.mantissa = sum
    }

    private static let powersOfTen: [Int64] = (0...18).map { power in
        (0..<power).reduce(Int64(1)) { product, _ in product * 10 }
    }

    private func addToDecimalSum(_ cell: StoredCell, _ value: Decimal) throws(KappaError) {
        let oldScale = cell.tag == StoredCell.none ? 0 : Int(cell.tag - StoredCell.value)
        let old = cell.tag == StoredCell.none ? 0 : cell.mantissa
        let scale = Swift.max(oldScale, value.scale)
        let (scaled, overflow) = old.multipliedReportingOverflow(
            by: Decimal.powersOfTen[scale - oldScale])
        guard !overflow, let addend = value.rescaled(to: scale) else { throw tooLarge() }
        let (sum, overflowed) = scaled.addingReportingOverflow(addend)
        if overflowed { throw tooLarge() }
        cell.mantissa = sum
        cell.tag = StoredCell.value + Int64(scale)
    }

    func tooLarge() -> KappaError {
        KappaError(
            .badInput, "a sum does not fit",
            because: kind == .decimal
                ? "it needs more than 38 digits" : "it needs more than 64 bits",
            advice: kind == .decimal
                ? "Sum a smaller unit, or leave such events out with filter"
                : "Declare the property as Decimal: its sums have 38 digits")
    }

    private func addToExtreme(
        _ record: UnsafeMutableRawPointer, _ column: kj_column, _ row: Int
    ) {
        let current = cell(record)
        guard current.tag >= StoredCell.value else {
            current.set(from: column, row, kind: kind)
            return
        }
        switch kind {
        case .bool, .integer, .timestamp:
            let value = column.integers[row]
            let isBetter = function == .min ? value < current.integer : value > current.integer
            if isBetter { current.integer = value }
        case .double:
            let value = column.doubles[row]
            let isBetter = function == .min ? value < current.double : value > current.double
            if isBetter { current.double = value }
        case .decimal:
            guard let value = column.decimal(row) else { return }
            let isBetter = function == .min ? value < current.decimal : value > current.decimal
            if isBetter { current.set(value) }
        case .text, .json:
            let text = column.strings[row].buffer
            let order = KeyOrder.compare(text, current.text)
            if function == .min ? order < 0 : order > 0 { current.set(text: text) }
        }
    }

    // MARK: Merging, saving, freeing

    /// Takes the state of `other` in; both hold different events. `other` is as it was.
    func merge(
        _ other: UnsafeMutableRawPointer, into record: UnsafeMutableRawPointer
    ) throws(KappaError) {
        let theirs = cell(other)
        switch function {
        case .count, .countValues:
            record.storeBytes(
                of: number(record) + number(other), toByteOffset: place, as: Int64.self)
        case .sum: try mergeSum(theirs, into: cell(record))
        case .average:
            try mergeSum(theirs, into: cell(record))
            setExtra(record, extra(record) + extra(other))
        case .min, .max:
            let mine = cell(record)
            guard theirs.tag >= StoredCell.value else { return }
            let isBetter =
                mine.tag < StoredCell.value
                || (function == .min
                    ? mine.isAfter(theirs, kind: kind) : theirs.isAfter(mine, kind: kind))
            if isBetter { mine.copy(from: theirs, kind: kind) }
        case .first, .last:
            guard theirs.tag != StoredCell.none else { return }
            let isBetter =
                cell(record).tag == StoredCell.none
                || (function == .first
                    ? extra(other) < extra(record) : extra(other) > extra(record))
            if isBetter {
                cell(record).copy(from: theirs, kind: kind)
                setExtra(record, extra(other))
            }
        case .countDistinct, .approximateDistinct, .collect:
            object(record).merge(object(other))
        case .populationVariance, .sampleVariance, .populationDeviation, .sampleDeviation:
            moments(record).merge(moments(other))
        case .argMin, .argMax: argExtreme(record).merge(argExtreme(other))
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

    /// Gives back what the state holds outside of the record.
    func free(_ record: UnsafeMutableRawPointer) {
        switch function {
        case .countDistinct, .approximateDistinct, .collect: releaseObject(record)
        case .argMin, .argMax: argExtreme(record).free()
        case .min, .max, .first, .last:
            if kind == .text || kind == .json { cell(record).freeText() }
        case .count, .countValues, .sum, .average, .populationVariance, .sampleVariance,
            .populationDeviation,
            .sampleDeviation:
            break
        }
    }

    var ownsMemory: Bool {
        switch function {
        case .countDistinct, .approximateDistinct, .collect: true
        case .min, .max, .first, .last: kind == .text || kind == .json
        case .argMin, .argMax: kind == .text || kind == .json || orderKind == .text
        case .count, .countValues, .sum, .average, .populationVariance, .sampleVariance,
            .populationDeviation,
            .sampleDeviation:
            false
        }
    }

    /// The aggregate's cell of the row.
    func emit(_ record: UnsafeMutableRawPointer, to sink: inout some CellSink) {
        switch function {
        case .count, .countValues: sink.integer(number(record))
        case .countDistinct, .approximateDistinct, .collect: object(record).emit(to: &sink)
        case .populationVariance, .sampleVariance, .populationDeviation, .sampleDeviation:
            emitSpread(record, to: &sink)
        case .argMin, .argMax: argExtreme(record).value.emit(kind, to: &sink)
        case .min, .max, .first, .last: cell(record).emit(kind, to: &sink)
        case .sum: emitSum(cell(record), to: &sink)
        case .average:
            let count = extra(record)
            if count == 0 { return sink.null() }
            let sum = cell(record)
            let total =
                switch kind {
                case .double: sum.double
                case .decimal: sum.decimal.doubleValue
                case .bool, .integer, .timestamp, .text, .json: Double(sum.integer)
                }
            sink.double(total / Double(count))
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

    /// Writes what the row's columns do not tell.
    func save(_ record: UnsafeMutableRawPointer, to state: inout StateWriter) {
        switch function {
        case .average:
            state.write(extra(record))
            state.write(cell(record).tag)
            state.write(cell(record).mantissa)
        case .countDistinct, .approximateDistinct, .collect: object(record).save(to: &state)
        case .populationVariance, .sampleVariance, .populationDeviation, .sampleDeviation:
            moments(record).save(to: &state)
        case .argMin, .argMax: argExtreme(record).save(to: &state)
        case .first, .last:
            if savesOffsets { state.write(extra(record)) }
            if mayLackFirst { state.write(cell(record).tag) }
        case .count, .countValues, .sum, .min, .max: break
        }
    }

    /// Takes the state in that a stored row holds: its column and its part of the blob.
    func load(
        _ record: UnsafeMutableRawPointer, _ cursor: any RowCursor, _ column: Int,
        _ state: inout StateReader
    ) throws(KappaError) {
        switch function {
        case .count, .countValues:
            record.storeBytes(of: cursor.integer(column), toByteOffset: place, as: Int64.self)
        case .sum, .min, .max: cell(record).load(cursor, column, kind: kind)
        case .first, .last:
            cell(record).load(cursor, column, kind: kind)
            if savesOffsets { setExtra(record, try state.readInteger()) }
            if mayLackFirst, try state.readInteger() == StoredCell.none {
                cell(record).tag = StoredCell.none
            }
        case .average:
            setExtra(record, try state.readInteger())
            cell(record).tag = try state.readInteger()
            cell(record).mantissa = try state.readMantissa()
        case .countDistinct, .approximateDistinct, .collect:
            try object(record).load(from: &state, cursor, column)
        case .populationVariance, .sampleVariance, .populationDeviation, .sampleDeviation:
            try moments(record).load(from: &state)
        case .argMin, .argMax:
            argExtreme(record).value.load(cursor, column, kind: kind)
            try argExtreme(record).load(from: &state)
        }
    }
}
