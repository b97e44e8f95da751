/// What kappa knows about an expression's values before SQLite computes them.
enum SQLType: Equatable {
    /// NULL, which fits every type.
    case null
    /// Known only to SQLite, row by row: results of JSON functions, mixtures, blobs.
    case unknown
    case bool, integer, double, decimal, text, json, time

    init(_ kind: ColumnKind) {
        switch kind {
        case .bool: self = .bool
        case .integer: self = .integer
        case .double: self = .double
        case .decimal: self = .decimal
        case .text: self = .text
        case .timestamp: self = .time
        case .json: self = .json
        }
    }

    /// The kind by which cells are read and printed; nil where their storage class alone decides.
    var kind: ColumnKind? {
        switch self {
        case .null, .unknown: nil
        case .bool: .bool
        case .integer: .integer
        case .double: .double
        case .decimal: .decimal
        case .text: .text
        case .json: .json
        case .time: .timestamp
        }
    }

    /// For messages: "last_seen is a time".
    var noun: String {
        switch self {
        case .null: "NULL"
        case .unknown: "a value of no known type"
        case .bool: "a boolean"
        case .integer: "an integer"
        case .double: "a number"
        case .decimal: "a decimal"
        case .text: "a text"
        case .json: "JSON"
        case .time: "a time"
        }
    }

    var isNumber: Bool { self == .integer || self == .double }
    var isText: Bool { self == .text || self == .json }
}

/// An expression with its type and with the text that SQLite gets for it.
struct SQLTyped {
    enum Literal: Equatable {
        /// A number as it was written, with its sign.
        case number(String)
        case text(String)
    }

    var type: SQLType
    /// What SQLite gets.
    var text: String
    /// Its range in the text as it was written.
    var range: Range<Int>
    var literal: Literal?
    /// The parts of a row value.
    var parts: [SQLTyped]?
    /// The columns of a subquery that has several, which is compared as a row value.
    var columns: [SQLColumn]?

    init(
        _ type: SQLType, _ text: String, _ range: Range<Int>, literal: Literal? = nil,
        parts: [SQLTyped]? = nil
    ) {
        self.type = type
        self.text = text
        self.range = range
        self.literal = literal
        self.parts = parts
    }
}

/// How texts of SQL are read as values of columns.
enum SQLLiteral {
    static let howToWriteTimes = "Write \(Timestamp.howToWrite)"

    /// The digits of a number in the form that both SQLite and ``ExactDecimal`` read; nil where the
    /// text is no number.
    static func number(_ text: String) -> String? {
        var rest = Substring(text)
        var result = ""
        if rest.first == "-" { result = "-" }
        if rest.first == "-" || rest.first == "+" { rest.removeFirst() }
        if rest.lowercased().hasPrefix("0x") {
            guard let value = UInt64(rest.dropFirst(2), radix: 16) else { return nil }
            return result + String(Int64(bitPattern: value))
        }
        let isDigit = { (character: Character) in character.isASCII && character.isNumber }
        let whole = rest.prefix(while: isDigit)
        rest = rest.dropFirst(whole.count)
        var fraction: Substring = ""
        if rest.first == "." {
            rest.removeFirst()
            fraction = rest.prefix(while: isDigit)
            rest = rest.dropFirst(fraction.count)
        }
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        result += whole.isEmpty ? "0" : whole
        if !fraction.isEmpty { result += "." + fraction }
        guard let letter = rest.first else { return result }
        guard letter == "e" || letter == "E", let exponent = Int(rest.dropFirst()) else {
            return nil
        }
        return result + "e\(exponent)"
    }

    /// A text as an SQL literal. A text with a NUL, which would end SQLite's text, is written as its bytes.
    static func quoted(_ text: String) -> String {
        if text.utf8.contains(0) {
            let digits = text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            return "CAST(x'\(digits.joined())' AS TEXT)"
        }
        var bytes: [UInt8] = [UInt8(ascii: "'")]
        for byte in text.utf8 {
            if byte == UInt8(ascii: "'") { bytes.append(byte) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "'"))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// An integer as an operand, in brackets where it is negative: two minus signs in a row would begin a
    /// comment.
    static func integer(_ value: Int64) -> String {
        // SQLite reads the smallest one only in this form.
        if value == .min { return "(-9223372036854775807 - 1)" }
        return value < 0 ? "(\(value))" : "\(value)"
    }
}
