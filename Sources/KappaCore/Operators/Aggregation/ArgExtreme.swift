import CKappaJSON

/// The value of the row in which another value is smallest or largest: two cells and an offset, 56 bytes of a
/// record.
struct ArgExtreme {
    static let size = 2 * StoredCell.size + 8

    let address: UnsafeMutableRawPointer
    let kind: ColumnKind
    let orderKind: ColumnKind
    let isLeast: Bool

    var value: StoredCell { StoredCell(address) }
    private var order: StoredCell { StoredCell(address + StoredCell.size) }
    private var offset: Int64 {
        get { address.load(fromByteOffset: 2 * StoredCell.size, as: Int64.self) }
        nonmutating set {
            address.storeBytes(of: newValue, toByteOffset: 2 * StoredCell.size, as: Int64.self)
        }
    }

    /// Takes a row whose `orders` has a value. Rows come in log order, so among equals the current one stays.
    func add(_ values: kj_column, _ orders: kj_column, _ row: Int, offset newOffset: Int64) {
        guard order.tag < StoredCell.value || isBetter(orders, row) else { return }
        value.set(from: values, row, kind: kind)
        order.set(from: orders, row, kind: orderKind)
        offset = newOffset
    }

    private func isBetter(_ orders: kj_column, _ row: Int) -> Bool {
        switch orderKind {
        case .bool, .integer, .timestamp:
            isLeast ? orders.integers[row] < order.integer : orders.integers[row] > order.integer
        case .double:
            isLeast ? orders.doubles[row] < order.double : orders.doubles[row] > order.double
        case .decimal:
            orders.decimal(row).map { isLeast ? $0 < order.decimal : $0 > order.decimal } ?? false
        case .text, .json:
            isLeast
                ? ByteOrder.compare(orders.strings[row].buffer, order.text) < 0
                : ByteOrder.compare(orders.strings[row].buffer, order.text) > 0
        }
    }

    func merge(_ other: ArgExtreme) {
        guard other.order.tag >= StoredCell.value else { return }
        if order.tag >= StoredCell.value {
            let (better, worse) = isLeast ? (order, other.order) : (other.order, order)
            let isAhead = better.isAfter(worse, kind: orderKind)
            let isBehind = worse.isAfter(better, kind: orderKind)
            guard isAhead || (!isBehind && other.offset < offset) else { return }
        }
        value.copy(from: other.value, kind: kind)
        order.copy(from: other.order, kind: orderKind)
        offset = other.offset
    }

    func free() {
        if kind == .text || kind == .json { value.freeText() }
        if orderKind == .text { order.freeText() }
    }

    /// The row's column holds the value, but not the order by which it was chosen.
    func save(to state: inout StateWriter) {
        state.write(offset)
        state.write(order.tag)
        guard order.tag >= StoredCell.value else { return }
        if orderKind == .text {
            state.write(text: String(decoding: order.text, as: UTF8.self))
        } else {
            state.write(order.mantissa)
        }
    }

    func load(from state: inout StateReader) throws(KappaError) {
        offset = try state.readInteger()
        let tag = try state.readInteger()
        if tag >= StoredCell.value {
            if orderKind == .text {
                var text = try state.readText()
                text.withUTF8 { order.set(text: UnsafeRawBufferPointer($0)) }
            } else {
                order.mantissa = try state.readMantissa()
            }
        }
        guard tag <= StoredCell.value + Int64(ExactDecimal.maximumScale) else {
            throw StateReader.damage("a number has too many digits")
        }
        order.tag = tag
    }
}

extension Accumulator {
    func argExtreme(_ record: UnsafeMutableRawPointer) -> ArgExtreme {
        ArgExtreme(
            address: record + place, kind: kind, orderKind: orderKind,
            isLeast: function == .argMin)
    }
}
