import CKappaJSON

/// One value of any kind inside a record: 24 bytes, zero at first, which means "none".
///
/// The first word says what the cell holds (`none`, `null`, or `value`; for a decimal, `value` plus its
/// scale), and the other two hold it. A text is in a ``TextCell`` that owns it.
struct StoredCell {
    static let size = 24
    static let none: Int64 = 0
    static let null: Int64 = 1
    static let value: Int64 = 2

    let address: UnsafeMutableRawPointer

    @inline(__always)
    init(_ address: UnsafeMutableRawPointer) { self.address = address }

    @inline(__always)
    var tag: Int64 {
        get { address.load(as: Int64.self) }
        nonmutating set { address.storeBytes(of: newValue, as: Int64.self) }
    }
    @inline(__always)
    var integer: Int64 {
        get { address.load(fromByteOffset: 8, as: Int64.self) }
        nonmutating set { address.storeBytes(of: newValue, toByteOffset: 8, as: Int64.self) }
    }
    @inline(__always)
    var double: Double {
        get { address.load(fromByteOffset: 8, as: Double.self) }
        nonmutating set { address.storeBytes(of: newValue, toByteOffset: 8, as: Double.self) }
    }
    @inline(__always)
    var mantissa: Int128 {
        get { address.loadUnaligned(fromByteOffset: 8, as: Int128.self) }
        nonmutating set { address.storeBytes(of: newValue, toByteOffset: 8, as: Int128.self) }
    }
    @inline(__always)
    var decimal: ExactDecimal { ExactDecimal(mantissa: mantissa, scale: Int(tag - Self.value)) }

    @inline(__always)
    var text: UnsafeRawBufferPointer { TextCell.text(address + 8) }

    func set(_ decimal: ExactDecimal) {
        tag = Self.value + Int64(decimal.scale)
        mantissa = decimal.mantissa
    }

    @inline(__always)
    func set(text: UnsafeRawBufferPointer) {
        tag = Self.value
        TextCell.setOwned(address + 8, text)
    }

    func freeText() { TextCell.freeOwned(address + 8) }

    /// Takes the value that a column holds in a row; text keeps its buffer when the cell is null.
    @inline(__always)
    func set(from column: kj_column, _ row: Int, kind: ColumnKind) {
        guard column.states[row] == UInt8(KJ_VALUE.rawValue) else {
            tag = Self.null
            return
        }
        switch kind {
        case .bool, .integer, .timestamp:
            tag = Self.value
            integer = column.integers[row]
        case .double:
            tag = Self.value
            double = column.doubles[row]
        case .decimal:
            if let decimal = column.decimal(row) { set(decimal) }
        case .text, .json: set(text: column.strings[row].buffer)
        }
    }

    /// Takes another cell's value.
    func copy(from other: StoredCell, kind: ColumnKind) {
        switch kind {
        case .text, .json:
            if other.tag == Self.value { set(text: other.text) } else { tag = other.tag }
        case .bool, .integer, .timestamp, .double, .decimal:
            address.copyMemory(from: other.address, byteCount: Self.size)
        }
    }

    /// Whether this cell's value is larger than another cell's. Both must have a value.
    func isAfter(_ other: StoredCell, kind: ColumnKind) -> Bool {
        switch kind {
        case .bool, .integer, .timestamp: integer > other.integer
        case .double: double > other.double
        case .decimal: decimal > other.decimal
        case .text, .json: ByteOrder.compare(text, other.text) > 0
        }
    }

    func emit(_ kind: ColumnKind, to sink: inout some CellSink) {
        guard tag >= Self.value else { return sink.null() }
        switch kind {
        case .bool: sink.bool(integer != 0)
        case .integer: sink.integer(integer)
        case .timestamp: sink.timestamp(integer)
        case .double: sink.double(double)
        case .decimal: sink.decimal(decimal)
        case .text: sink.text(text)
        case .json: sink.json(text)
        }
    }

    /// Takes the value that a row of the store holds.
    func load(_ cursor: any RowCursor, _ column: Int, kind: ColumnKind) {
        if cursor.isNull(column) {
            tag = Self.null
            return
        }
        switch kind {
        case .bool, .integer, .timestamp:
            tag = Self.value
            integer = cursor.integer(column)
        case .double:
            tag = Self.value
            double = cursor.double(column)
        case .decimal:
            if let decimal = DecimalCell.read(cursor, column) { set(decimal) }
        case .text, .json: set(text: cursor.text(column))
        }
    }
}

/// A text inside a record: 16 bytes. Up to 12 bytes of text are in the cell itself, so that short keys are
/// compared without another memory access. For a longer text, the cell holds a pointer.
///
/// | byte | short | long |
/// |---|---|---|
/// | 0 | the text | a pointer to it, and its capacity where the cell owns it (4 bytes) |
/// | 12 | its length | its length |
enum TextCell {
    static let size = 16
    static let mostInline: UInt32 = 12
    private static let capacityOffset = 8
    private static let lengthOffset = 12

    @inline(__always)
    static func length(_ cell: UnsafeRawPointer) -> UInt32 {
        cell.load(fromByteOffset: lengthOffset, as: UInt32.self)
    }

    /// The text's bytes; valid until the cell moves or changes.
    @inline(__always)
    static func text(_ cell: UnsafeRawPointer) -> UnsafeRawBufferPointer {
        let length = length(cell)
        let start =
            length <= mostInline ? cell : cell.load(as: UnsafeRawPointer?.self)
        return UnsafeRawBufferPointer(start: start, count: Int(length))
    }

    /// Whether the cell holds this text.
    @inline(__always)
    static func holds(_ cell: UnsafeRawPointer, _ text: UnsafeRawBufferPointer) -> Bool {
        let length = length(cell)
        guard Int(length) == text.count else { return false }
        guard let other = text.baseAddress else { return true }
        let mine = length <= mostInline ? cell : cell.load(as: UnsafeRawPointer.self)
        return ByteOrder.isSame(mine, other, count: Int(length))
    }

    /// Puts a short text into the cell; false if it is too long for that.
    @inline(__always)
    static func setInline(_ cell: UnsafeMutableRawPointer, _ text: UnsafeRawBufferPointer) -> Bool {
        guard text.count <= Int(mostInline) else { return false }
        if let source = text.baseAddress { cell.copyMemory(from: source, byteCount: text.count) }
        cell.storeBytes(of: UInt32(text.count), toByteOffset: lengthOffset, as: UInt32.self)
        return true
    }

    /// Copies a short text into the cell, or points to a long one, which must stay in place for as long as
    /// the cell is used.
    static func setBorrowed(_ cell: UnsafeMutableRawPointer, _ text: UnsafeRawBufferPointer) {
        if setInline(cell, text) { return }
        cell.storeBytes(of: text.baseAddress, as: UnsafeRawPointer?.self)
        cell.storeBytes(of: UInt32(text.count), toByteOffset: lengthOffset, as: UInt32.self)
    }

    // MARK: Cells that own their text

    /// Takes a copy of a text; the buffer of a long one is used again by the next that fits.
    @inline(__always)
    static func setOwned(_ cell: UnsafeMutableRawPointer, _ text: UnsafeRawBufferPointer) {
        if length(cell) <= mostInline, setInline(cell, text) { return }
        setOwnedSlowly(cell, text)
    }

    private static func setOwnedSlowly(
        _ cell: UnsafeMutableRawPointer, _ text: UnsafeRawBufferPointer
    ) {
        if text.count <= Int(mostInline) {
            freeOwned(cell)
            _ = setInline(cell, text)
            return
        }
        let isLong = length(cell) > mostInline
        let capacity = isLong ? cell.load(fromByteOffset: capacityOffset, as: UInt32.self) : 0
        if Int(capacity) < text.count {
            freeOwned(cell)
            let new = UnsafeMutableRawPointer.allocate(byteCount: text.count, alignment: 1)
            cell.storeBytes(of: new, as: UnsafeMutableRawPointer.self)
            cell.storeBytes(
                of: UInt32(text.count), toByteOffset: capacityOffset, as: UInt32.self)
        }
        if let target = cell.load(as: UnsafeMutableRawPointer?.self), let source = text.baseAddress
        {
            target.copyMemory(from: source, byteCount: text.count)
        }
        cell.storeBytes(of: UInt32(text.count), toByteOffset: lengthOffset, as: UInt32.self)
    }

    /// Frees the buffer of a long text; the cell is empty afterwards.
    static func freeOwned(_ cell: UnsafeMutableRawPointer) {
        if length(cell) > mostInline { cell.load(as: UnsafeMutableRawPointer?.self)?.deallocate() }
        cell.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    }
}
