import CKappaJSON

/// One aggregate's state inside a record: where it is stored, and how it takes values.
///
/// ``AggregateFunction/StateForm`` lists the layouts; all are zero at first.
struct Accumulator {
    let function: AggregateFunction
    let form: AggregateFunction.StateForm
    let kind: ColumnKind
    /// The state's offset from the beginning of the record, in bytes.
    let place: Int
    /// Whether first and last keep their offsets across restarts, because groups may merge.
    let savesOffsets: Bool
    /// The kind of the value that ranks elements, for `argMin`, `argMax`, `top` and `bottom`.
    let orderKind: ColumnKind
    let settings: AggregateSettings
    /// Whether the saved state of first and last records that they have taken nothing yet.
    let mayLackFirst: Bool
    /// Counts the bytes that state objects hold; it outlives them.
    let heldBytes: UnsafeMutablePointer<Int>

    init(
        _ shape: AggregateShape, place: Int, savesOffsets: Bool,
        heldBytes: UnsafeMutablePointer<Int>
    ) {
        function = shape.function
        form = shape.function.form
        kind = shape.input ?? .integer
        orderKind = shape.order ?? shape.input ?? .integer
        settings = shape.settings
        mayLackFirst = shape.mayLackFirst
        self.place = place
        self.savesOffsets = savesOffsets
        self.heldBytes = heldBytes
    }

    var size: Int {
        switch form {
        case .counter, .object: 8
        case .spread: Moments.size
        case .argument: ArgExtreme.size
        case .sum, .extreme: StoredCell.size
        case .mean, .end: StoredCell.size + 8
        }
    }

    @inline(__always)
    func cell(_ record: UnsafeMutableRawPointer) -> StoredCell {
        StoredCell(record + place)
    }

    @inline(__always)
    func number(_ record: UnsafeMutableRawPointer) -> Int64 {
        record.load(fromByteOffset: place, as: Int64.self)
    }

    /// The word after the cell: an average's count, or the offset of a first or last.
    @inline(__always)
    func extra(_ record: UnsafeMutableRawPointer) -> Int64 {
        record.load(fromByteOffset: place + StoredCell.size, as: Int64.self)
    }
    @inline(__always)
    func setExtra(_ record: UnsafeMutableRawPointer, _ value: Int64) {
        record.storeBytes(of: value, toByteOffset: place + StoredCell.size, as: Int64.self)
    }

    // MARK: Taking values in

    /// Takes one row.
    func add(
        _ record: UnsafeMutableRawPointer, _ input: AggregateColumns, _ row: Int, offset: Int64
    ) throws(KappaError) {
        do { try take(record, input, row, offset: offset) } catch {
            throw located(error, at: offset)
        }
    }

    func located(_ error: KappaError, at offset: Int64) -> KappaError {
        var error = error
        error.event = Offset(UInt64(bitPattern: offset))
        return error
    }

    @inline(__always)
    private func take(
        _ record: UnsafeMutableRawPointer, _ input: AggregateColumns, _ row: Int, offset: Int64
    ) throws(KappaError) {
        if let mask = input.mask, mask[row] == 0 { return }
        guard let column = input.value else { return addOne(record) }
        if form != .end {
            let decides = input.order?.pointee ?? column
            guard isThere(decides, row) else { return }
        }
        switch form {
        case .counter: addOne(record)
        case .sum: try addToSum(cell(record), column, row)
        case .mean:
            try addToMean(cell(record), column, row)
            setExtra(record, extra(record) + 1)
        case .extreme: addToExtreme(record, column, row)
        case .end:
            let isBetter =
                function == .first ? offset < extra(record) : offset >= extra(record)
            if isBetter || cell(record).tag == StoredCell.none {
                cell(record).set(from: column, row, kind: kind)
                setExtra(record, offset)
            }
        case .object: object(record).add(column, input.order?.pointee, row, offset: offset)
        case .spread: moments(record).add(doubleValue(column, row))
        case .argument:
            if let order = input.order?.pointee {
                argExtreme(record).add(column, order, row, offset: offset)
            }
        }
    }

    @inline(__always)
    func isThere(_ column: kj_column, _ row: Int) -> Bool {
        column.states[row] == UInt8(KJ_VALUE.rawValue)
    }

    @inline(__always)
    func addOne(_ record: UnsafeMutableRawPointer) {
        record.storeBytes(of: number(record) + 1, toByteOffset: place, as: Int64.self)
    }

    @inline(__always)
    private func addToSum(
        _ cell: StoredCell, _ column: kj_column, _ row: Int
    ) throws(KappaError) {
        switch kind {
        case .double:
            // A sum begins at zero, not at its first value, so that a restart does not change a bit of it.
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

    /// Like a sum, but integers cannot overflow it.
    @inline(__always)
    func addToMean(
        _ cell: StoredCell, _ column: kj_column, _ row: Int
    ) throws(KappaError) {
        guard kind == .integer else { return try addToSum(cell, column, row) }
        // The sum of 2^63 values of 64 bits fits 128 bits.
        cell.mantissa &+= Int128(column.integers[row])
        cell.tag = StoredCell.value
    }

    /// A sum keeps the largest scale it has seen, so that its mantissa need not be normalised each time.
    @inline(__always)
    func addDecimal(_ cell: StoredCell, _ column: kj_column, _ row: Int) throws(KappaError) {
        let scale = Int64(column.scales[row])
        if cell.tag == StoredCell.none, scale <= Int64(ExactDecimal.maximumScale) {
            cell.tag = StoredCell.value + scale
        }
        // Nearly all values have few digits, and the sum's scale or a smaller one. Their product with a power
        // of ten below 10^19 fits 128 bits.
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

    func addToDecimalSum(_ cell: StoredCell, _ value: ExactDecimal) throws(KappaError) {
        let oldScale = cell.tag == StoredCell.none ? 0 : Int(cell.tag - StoredCell.value)
        let old = cell.tag == StoredCell.none ? 0 : cell.mantissa
        let scale = Swift.max(oldScale, value.scale)
        let (scaled, overflow) = old.multipliedReportingOverflow(
            by: ExactDecimal.powersOfTen[scale - oldScale])
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
                : "Declare the property as ExactDecimal: its sums have 38 digits")
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
            let order = ByteOrder.compare(text, current.text)
            if function == .min ? order < 0 : order > 0 { current.set(text: text) }
        }
    }
}
