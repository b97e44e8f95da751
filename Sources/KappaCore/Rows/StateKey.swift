import CKappaJSON

/// A value that a state keeps in order: an integer (or a timestamp, or a double as one), a decimal, or
/// a text.
protocol StateKey: Comparable {
    /// The value of a row, which must be present.
    static func read(_ column: kj_column, _ row: Int, _ kind: ColumnKind) -> Self?
    func write(to state: inout StateWriter)
    static func read(from state: inout StateReader) throws(KappaError) -> Self
    /// How much memory it holds outside its own bytes.
    var heapBytes: Int { get }
    func emit(_ kind: ColumnKind, _ held: inout HeldText, to sink: inout some CellSink)
}

extension Int64: StateKey {
    static func read(_ column: kj_column, _ row: Int, _ kind: ColumnKind) -> Int64? {
        kind == .double ? ordered(column.doubles[row]) : column.integers[row]
    }
    func write(to state: inout StateWriter) { state.write(self) }
    static func read(from state: inout StateReader) throws(KappaError) -> Int64 {
        try state.readInteger()
    }
    var heapBytes: Int { 0 }

    func emit(_ kind: ColumnKind, _ held: inout HeldText, to sink: inout some CellSink) {
        switch kind {
        case .timestamp: sink.timestamp(self)
        case .double: sink.double(double)
        case .bool, .integer, .decimal, .text, .json: sink.integer(self)
        }
    }

    /// An integer that is ordered as the doubles are; both zeros give the same integer.
    static func ordered(_ double: Double) -> Int64 {
        let bits = Int64(bitPattern: (double + 0).bitPattern)
        return bits < 0 ? bits ^ .max : bits
    }

    /// The double for which ``ordered(_:)`` gives this integer.
    var double: Double { Double(bitPattern: UInt64(bitPattern: self < 0 ? self ^ .max : self)) }
}

extension ExactDecimal: StateKey {
    static func read(_ column: kj_column, _ row: Int, _ kind: ColumnKind) -> ExactDecimal? {
        column.decimal(row)
    }
    func write(to state: inout StateWriter) {
        state.write(mantissa)
        state.write(UInt8(scale))
    }
    static func read(from state: inout StateReader) throws(KappaError) -> ExactDecimal {
        let mantissa = try state.readMantissa()
        let scale = Int(try state.readByte())
        guard scale <= maximumScale else {
            throw StateReader.damage("a number has too many digits")
        }
        return ExactDecimal(mantissa: mantissa, scale: scale)
    }
    var heapBytes: Int { 0 }
    func emit(_ kind: ColumnKind, _ held: inout HeldText, to sink: inout some CellSink) {
        sink.decimal(self)
    }
}

/// A text in the order of its bytes.
struct ByteText: StateKey {
    let bytes: [UInt8]

    static func == (a: ByteText, b: ByteText) -> Bool { a.bytes == b.bytes }
    static func < (a: ByteText, b: ByteText) -> Bool {
        a.bytes.withUnsafeBytes { a in
            b.bytes.withUnsafeBytes { ByteOrder.compare(a, $0) < 0 }
        }
    }

    static func read(_ column: kj_column, _ row: Int, _ kind: ColumnKind) -> ByteText? {
        ByteText(bytes: Array(column.strings[row].buffer))
    }
    func write(to state: inout StateWriter) { bytes.withUnsafeBytes { state.write(text: $0) } }
    static func read(from state: inout StateReader) throws(KappaError) -> ByteText {
        ByteText(bytes: Array(try state.readBytes()))
    }
    /// An array's header is 32 bytes.
    var heapBytes: Int { 32 + bytes.count }
    func emit(_ kind: ColumnKind, _ held: inout HeldText, to sink: inout some CellSink) {
        let text = held.hold(bytes)
        kind == .json ? sink.json(text) : sink.text(text)
    }
}

/// A text that was passed to a sink. The sink may read it until the row is written, so it stays in place
/// until the next text.
struct HeldText: ~Copyable {
    private var text = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    init() {}
    deinit { text.deallocate() }

    var byteCount: Int { text.count }

    mutating func hold(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        text.deallocate()
        text = .allocate(byteCount: bytes.count, alignment: 1)
        text.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(text)
    }
}

extension JSONText {
    /// The value of a row as JSON; null if it is missing.
    mutating func append(_ column: kj_column, _ row: Int, _ kind: ColumnKind) {
        guard column.states[row] == UInt8(KJ_VALUE.rawValue) else {
            return append(raw: "null" as StaticString)
        }
        switch kind {
        case .bool: append(column.integers[row] != 0)
        case .integer: append(column.integers[row])
        case .timestamp: append(Timestamp(microseconds: column.integers[row]))
        case .double: append(column.doubles[row])
        case .decimal: append(column.decimal(row) ?? 0)
        case .text: append(utf8: column.strings[row].buffer)
        case .json: bytes.append(contentsOf: column.strings[row].buffer)
        }
    }
}
