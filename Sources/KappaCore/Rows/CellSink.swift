/// Takes the cells of a row one after another, in the order of the table's columns.
protocol CellSink {
    mutating func null()
    mutating func bool(_ value: Bool)
    mutating func integer(_ value: Int64)
    mutating func double(_ value: Double)
    mutating func decimal(_ value: ExactDecimal)
    mutating func timestamp(_ microseconds: Int64)
    mutating func text(_ utf8: UnsafeRawBufferPointer)
    mutating func json(_ utf8: UnsafeRawBufferPointer)
    /// A text that the caller does not keep, so the sink copies it.
    mutating func text(copying text: String)
}

/// Binds cells to a statement of the store.
struct StoreSink: CellSink {
    let writer: any RowWriter
    var index = 0

    init(_ writer: any RowWriter) { self.writer = writer }

    mutating func null() {
        writer.bindNull(index)
        index += 1
    }
    mutating func bool(_ value: Bool) { integer(value ? 1 : 0) }
    mutating func integer(_ value: Int64) {
        writer.bind(index, value)
        index += 1
    }
    mutating func double(_ value: Double) {
        // SQLite has no NaN: it would store NULL.
        value.isNaN ? writer.bindNull(index) : writer.bind(index, value)
        index += 1
    }
    mutating func decimal(_ value: ExactDecimal) {
        DecimalCell.bind(value, to: writer, at: index)
        index += 1
    }
    mutating func timestamp(_ microseconds: Int64) { integer(microseconds) }
    mutating func text(_ utf8: UnsafeRawBufferPointer) {
        writer.bind(index, text: utf8)
        index += 1
    }
    mutating func json(_ utf8: UnsafeRawBufferPointer) { text(utf8) }
    mutating func text(copying text: String) {
        writer.bind(index, text)
        index += 1
    }
    mutating func blob(_ bytes: UnsafeRawBufferPointer) {
        writer.bind(index, blob: bytes)
        index += 1
    }
}

extension Double {
    /// The number as SQLite keeps it: -0.0 is 0.0.
    var withoutZerosSign: Double { self == 0 ? 0 : self }
}

/// Writes cells as a JSON object (with names) or array (without).
struct JSONSink: CellSink {
    private(set) var text = JSONText()
    private let names: [String]?
    private var index = 0

    /// An object with the given names, or an array.
    init(names: [String]? = nil) {
        self.names = names
        text.append(raw: names == nil ? "[" : "{")
    }

    private mutating func next() {
        if index > 0 { text.append(raw: ",") }
        if let names {
            text.append(string: names[index])
            text.append(raw: ":")
        }
        index += 1
    }

    mutating func null() {
        next()
        text.append(raw: "null")
    }
    mutating func bool(_ value: Bool) {
        next()
        text.append(value)
    }
    mutating func integer(_ value: Int64) {
        next()
        text.append(value)
    }
    mutating func double(_ value: Double) {
        next()
        text.append(value.withoutZerosSign)
    }
    mutating func decimal(_ value: ExactDecimal) {
        next()
        text.append(value)
    }
    mutating func timestamp(_ microseconds: Int64) {
        next()
        text.append(Timestamp(microseconds: microseconds))
    }
    mutating func text(_ utf8: UnsafeRawBufferPointer) {
        next()
        text.append(utf8: utf8)
    }
    mutating func json(_ utf8: UnsafeRawBufferPointer) {
        next()
        text.bytes.append(contentsOf: utf8)
    }
    mutating func text(copying string: String) {
        next()
        text.append(string: string)
    }

    consuming func finish() -> String {
        text.append(raw: names == nil ? "]" : "}")
        return String(decoding: text.bytes, as: UTF8.self)
    }
}

/// Keeps cells as values.
struct ValueSink: CellSink {
    private(set) var cells: [Value] = []

    mutating func null() { cells.append(.null) }
    mutating func bool(_ value: Bool) { cells.append(.bool(value)) }
    mutating func integer(_ value: Int64) { cells.append(.integer(value)) }
    mutating func double(_ value: Double) {
        // As the store keeps it: without NaN and the sign of zero.
        cells.append(value.isNaN ? .null : .double(value.withoutZerosSign))
    }
    mutating func decimal(_ value: ExactDecimal) { cells.append(.decimal(value)) }
    mutating func timestamp(_ microseconds: Int64) {
        cells.append(.timestamp(Timestamp(microseconds: microseconds)))
    }
    mutating func text(_ utf8: UnsafeRawBufferPointer) {
        cells.append(.text(String(decoding: utf8, as: UTF8.self)))
    }
    mutating func json(_ utf8: UnsafeRawBufferPointer) {
        cells.append(.json(String(decoding: utf8, as: UTF8.self)))
    }
    mutating func text(copying text: String) { cells.append(.text(text)) }
}
