/// One cell of a row, for code that does not know the row's Swift type: queries, diffs, printing.
///
/// Texts are equal if their bytes are, like keys in the log and in SQL.
public enum Value: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case decimal(ExactDecimal)
    case text(String)
    case timestamp(Timestamp)
    /// JSON text: a nested object or array.
    case json(String)
}

extension Value {
    public static func == (a: Value, b: Value) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.bool(let x), .bool(let y)): x == y
        case (.integer(let x), .integer(let y)): x == y
        case (.double(let x), .double(let y)): x == y
        case (.decimal(let x), .decimal(let y)): x == y
        case (.text(let x), .text(let y)), (.json(let x), .json(let y)): x.hasSameBytes(as: y)
        case (.timestamp(let x), .timestamp(let y)): x == y
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: break
        case .bool(let bool): hasher.combine(bool)
        case .integer(let integer): hasher.combine(integer)
        case .double(let double): hasher.combine(double)
        case .decimal(let decimal): hasher.combine(decimal)
        case .text(let text), .json(let text): text.hashBytes(into: &hasher)
        case .timestamp(let time): hasher.combine(time)
        }
    }
}

extension Value {
    /// The cell of a key that is kept as an integer.
    init(integerKey value: Int64, kind: ColumnKind) {
        switch kind {
        case .timestamp: self = .timestamp(Timestamp(microseconds: value))
        case .bool: self = .bool(value != 0)
        case .integer, .double, .decimal, .text, .json: self = .integer(value)
        }
    }
}

extension Value {
    /// Negative, zero or positive, if cell `a` is less than, equal to or greater than `b`, of the same kind.
    /// Null is least, NaN is largest, and texts are compared by their bytes.
    static func order(_ a: Value, _ b: Value) -> Int {
        func order<V: Comparable>(_ x: V, _ y: V) -> Int { x < y ? -1 : x == y ? 0 : 1 }
        switch (a, b) {
        case (.integer(let x), .integer(let y)): return order(x, y)
        case (.timestamp(let x), .timestamp(let y)): return order(x, y)
        case (.decimal(let x), .decimal(let y)): return order(x, y)
        case (.bool(let x), .bool(let y)): return order(x ? 1 : 0, y ? 1 : 0)
        case (.double(let x), .double(let y)):
            if x.isNaN || y.isNaN { return order(x.isNaN ? 1 : 0, y.isNaN ? 1 : 0) }
            return order(x, y)
        case (.text(let x), .text(let y)), (.json(let x), .json(let y)):
            if x.hasBytesBefore(y) { return -1 }
            return x.hasSameBytes(as: y) ? 0 : 1
        default: return order(a == .null ? 0 : 1, b == .null ? 0 : 1)
        }
    }
}

/// Writes cells that are ``Value``s. Folds keep their rows in this form.
extension CellSink {
    mutating func append(_ value: Value) {
        switch value {
        case .null: null()
        case .bool(let bool): self.bool(bool)
        case .integer(let integer): self.integer(integer)
        case .double(let double): self.double(double)
        case .decimal(let decimal): self.decimal(decimal)
        case .timestamp(let time): timestamp(time.microseconds)
        case .text(var string): string.withUTF8 { text(UnsafeRawBufferPointer($0)) }
        case .json(var string): string.withUTF8 { json(UnsafeRawBufferPointer($0)) }
        }
    }
}

extension [Value] {
    func emit(to sink: inout some CellSink) {
        for value in self { sink.append(value) }
    }

    /// Visits the cells. All their texts stay in place until `then` has returned, as a statement requires.
    func withTexts(_ visit: (BoundCell) -> Void, then: () throws -> Void) rethrows {
        try visitRest(0, visit, then)
    }

    private func visitRest(
        _ index: Int, _ visit: (BoundCell) -> Void, _ then: () throws -> Void
    ) rethrows {
        guard index < count else { return try then() }
        switch self[index] {
        case .text(var string), .json(var string):
            try string.withUTF8 { bytes in
                visit(.text(UnsafeRawBufferPointer(bytes)))
                try visitRest(index + 1, visit, then)
            }
        default:
            visit(.scalar(self[index]))
            try visitRest(index + 1, visit, then)
        }
    }
}

/// A cell whose text, if it has one, stays in place until it has been used.
enum BoundCell {
    case text(UnsafeRawBufferPointer)
    case scalar(Value)
}

extension StoreSink {
    mutating func append(_ cell: BoundCell) {
        switch cell {
        case .text(let bytes): text(bytes)
        case .scalar(let value): append(value)
        }
    }
}

extension Value {
    /// The cell for an encoded property, in a column of a kind.
    init(encoded: JSONValue, kind: ColumnKind) {
        switch (encoded, kind) {
        case (.null, _): self = .null
        case (_, .json): self = .json(encoded.json)
        case (.bool(let bool), _): self = .bool(bool)
        case (.integer(let integer), .double): self = .double(Double(integer))
        case (.integer(let integer), _): self = .integer(integer)
        case (.double(let double), _): self = .double(double)
        case (.decimal(let decimal), _): self = .decimal(decimal)
        case (.time(let time), _): self = .timestamp(time)
        case (.string(let text), _): self = .text(text)
        case (.number, _), (.unsigned, _), (.array, _), (.object, _): self = .json(encoded.json)
        }
    }
}

extension JSONValue {
    /// A cell as JSON, to decode a row from.
    init(_ cell: Value, _ kind: ColumnKind, isOptional: Bool) throws {
        switch cell {
        // The store keeps NaN as null.
        case .null: self = kind == .double && !isOptional ? .double(.nan) : .null
        case .bool(let bool): self = .bool(bool)
        case .integer(let integer): self = .integer(integer)
        case .double(let double): self = .double(double)
        case .decimal(let decimal): self = .decimal(decimal)
        case .timestamp(let time): self = .time(time)
        case .text(let text): self = .string(text)
        case .json(let text): self = try JSONValue(parsing: text)
        }
    }

    /// A stored cell as JSON, to decode a row from.
    init(_ cursor: any RowCursor, _ column: Int, _ kind: ColumnKind, isOptional: Bool) throws {
        guard !cursor.isNull(column) else {
            // SQLite keeps NaN as null.
            self = kind == .double && !isOptional ? .double(.nan) : .null
            return
        }
        switch kind {
        case .bool: self = .bool(cursor.integer(column) != 0)
        case .integer: self = .integer(cursor.integer(column))
        case .double: self = .double(cursor.double(column))
        case .decimal: self = .decimal(DecimalCell.read(cursor, column) ?? 0)
        case .timestamp: self = .time(Timestamp(microseconds: cursor.integer(column)))
        case .text: self = .string(String(decoding: cursor.text(column), as: UTF8.self))
        case .json: self = try JSONValue(parsing: cursor.text(column))
        }
    }
}

/// How cells are written for people and programs.
extension Value {
    /// As JSON: numbers with all digits, times as RFC 3339.
    package func append(to text: inout JSONText) {
        switch self {
        case .null: text.append(raw: "null")
        case .bool(let bool): text.append(bool)
        case .integer(let integer): text.append(integer)
        case .double(let double): text.append(double)
        case .decimal(let decimal): text.append(decimal)
        case .text(let string): text.append(string: string)
        case .timestamp(let time): text.append(time)
        case .json(let json): text.append(raw: json)
        }
    }

    package var jsonText: String { JSONText.string { append(to: &$0) } }

    /// The cell as text, without quotes, and empty for null: decimals and integers with all their digits, times in
    /// RFC 3339 and UTC.
    public var plainText: String {
        switch self {
        case .null: ""
        case .text(let string): string
        case .timestamp(let time): time.description
        case .json(let json): json
        case .double(let double): Self.plain(double)
        case .bool, .integer, .decimal: jsonText
        }
    }

    private static func plain(_ double: Double) -> String {
        guard double.isFinite, double == double.rounded(), abs(double) < 1e15 else {
            return "\(double)"
        }
        return String(Int64(double))
    }

    /// As a field of CSV (RFC 4180).
    package var csvText: String {
        let text = plainText
        let quote = UInt8(ascii: "\"")
        let needsQuotes = text.utf8.contains {
            $0 == UInt8(ascii: ",") || $0 == quote || $0 == 0x0A || $0 == 0x0D
        }
        guard needsQuotes else { return text }
        // By bytes: a quote followed by a combining accent is one character, and not a quote.
        var quoted = [quote]
        for byte in text.utf8 {
            if byte == quote { quoted.append(quote) }
            quoted.append(byte)
        }
        quoted.append(quote)
        return String(decoding: quoted, as: UTF8.self)
    }

    /// The value that JSON gives in a column of a kind; nil if the JSON does not fit the kind.
    package init?(_ json: JSONValue, kind: ColumnKind) {
        switch (json, kind) {
        case (.null, _): self = .null
        case (.string(let text), .text), (.string(let text), .json): self = .text(text)
        case (.number(let text), .text): self = .text(text)
        case (.number(let text), .integer):
            guard let integer = Int64(text) else { return nil }
            self = .integer(integer)
        case (.number(let text), .double):
            guard let double = Double(text) else { return nil }
            self = .double(double)
        case (.number(let text), .decimal), (.string(let text), .decimal):
            guard let decimal = ExactDecimal(text) else { return nil }
            self = .decimal(decimal)
        case (.string(let text), .timestamp):
            guard let time = Timestamp(text) ?? Timestamp(extended: text) else { return nil }
            self = .timestamp(time)
        case (.number(let text), .timestamp):
            guard let number = Int64(text) else { return nil }
            self = .timestamp(Timestamp(epochNumber: number))
        case (.bool(let bool), .bool): self = .bool(bool)
        default: return nil
        }
    }
}
