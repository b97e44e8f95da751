/// A JSON value that loses nothing: numbers keep all their digits, and times are instants.
///
/// A parsed value keeps numbers as text; an encoded one, or one read from a stored row, keeps them in their
/// own type. JSON values are used for nested values, for keys on the command line, for rows made by Swift's
/// own coding, and as the reference that the fast path is tested against. An encoded value always has the
/// same text, whatever the hash seed: see ``ValueEncoder``.
package indirect enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    /// A number as its text; made by parsing.
    case number(String)
    case integer(Int64)
    case unsigned(UInt64)
    /// JSON has no text for one that is not finite; rows use its name.
    case double(Double)
    case decimal(ExactDecimal)
    case time(Timestamp)
    case string(String)
    case array([JSONValue])
    case object([(key: String, value: JSONValue)])

    package init(parsing bytes: UnsafeRawBufferPointer) throws {
        var parser = JSONParser(bytes: bytes)
        self = try parser.parseAll()
    }

    package init(parsing text: String) throws {
        var text = text
        self = try text.withUTF8 { try JSONValue(parsing: UnsafeRawBufferPointer($0)) }
    }

    /// Encodes any value.
    /// - Throws: ``KappaError``, `.badInput`, with the property that cannot be written and why. An error
    ///   thrown by an `encode(to:)` becomes the reason.
    package init<T: Encodable>(encoding value: T, for use: EncodingUse = .row) throws {
        let box = EncodingBox()
        do {
            try ValueEncoder(box: box, use: use).write(value)
            self = try box.finished(use)
        } catch {
            throw EncodingFailure(error).error(of: T.self, use)
        }
    }

    /// Whether two values are the same. Numbers are the same only if they are kept in the same form.
    package static func == (a: JSONValue, b: JSONValue) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.bool(let x), .bool(let y)): x == y
        case (.number(let x), .number(let y)): x == y
        case (.integer(let x), .integer(let y)): x == y
        case (.unsigned(let x), .unsigned(let y)): x == y
        case (.double(let x), .double(let y)): x == y
        case (.decimal(let x), .decimal(let y)): x == y
        case (.time(let x), .time(let y)): x == y
        case (.string(let x), .string(let y)): x.hasSameBytes(as: y)
        case (.array(let x), .array(let y)): x == y
        case (.object(let x), .object(let y)):
            x.count == y.count
                && zip(x, y).allSatisfy {
                    $0.key.hasSameBytes(as: $1.key) && $0.value == $1.value
                }
        default: false
        }
    }

    /// The value under a key; if the key occurs twice, the last one wins.
    package subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key.hasSameBytes(as: key) }?.value
    }

    /// The digits of a number of a kind that is always finite; nil for anything else.
    var numberText: String? {
        switch self {
        case .number(let text): text
        case .integer(let integer): String(integer)
        case .unsigned(let integer): String(integer)
        case .decimal(let decimal): decimal.description
        case .null, .bool, .double, .time, .string, .array, .object: nil
        }
    }

    // MARK: Text

    package func write(to text: inout JSONText) {
        switch self {
        case .null: text.append(raw: "null")
        case .bool(let bool): text.append(bool)
        case .number(let digits): text.append(raw: digits)
        case .integer(let integer): text.append(integer)
        case .unsigned(let integer): text.append(integer)
        case .double(let double):
            if double.isFinite { text.append(double) } else { text.append(string: double.name) }
        case .decimal(let decimal): text.append(decimal)
        case .time(let time): text.append(time)
        case .string(let string): text.append(string: string)
        case .array(let elements):
            text.append(raw: "[")
            for (index, element) in elements.enumerated() {
                if index > 0 { text.append(raw: ",") }
                element.write(to: &text)
            }
            text.append(raw: "]")
        case .object(let members):
            text.append(raw: "{")
            for (index, member) in members.enumerated() {
                if index > 0 { text.append(raw: ",") }
                text.append(string: member.key)
                text.append(raw: ":")
                member.value.write(to: &text)
            }
            text.append(raw: "}")
        }
    }

    package var json: String { JSONText.string { write(to: &$0) } }
}

extension Double {
    /// The text that stands in JSON for a number that is not finite.
    fileprivate var name: String { isNaN ? "NaN" : self < 0 ? "-Infinity" : "Infinity" }

    /// The number that such a name stands for.
    init?(notFinite name: String) {
        switch name {
        case "NaN": self = .nan
        case "Infinity": self = .infinity
        case "-Infinity": self = -.infinity
        default: return nil
        }
    }
}

// MARK: Order

extension JSONValue {
    /// The order of a set's elements: numbers by size, texts by their bytes.
    static func precedes(_ a: JSONValue, _ b: JSONValue) -> Bool {
        switch (a, b) {
        case (.bool(let x), .bool(let y)): !x && y
        case (.integer(let x), .integer(let y)): x < y
        case (.unsigned(let x), .unsigned(let y)): x < y
        case (.double(let x), .double(let y)): x != y && x.isTotallyOrdered(belowOrEqualTo: y)
        case (.decimal(let x), .decimal(let y)): x < y
        case (.time(let x), .time(let y)): x < y
        case (.string(let x), .string(let y)): x.hasBytesBefore(y)
        case (.array, .array), (.object, .object):
            a.json.hasBytesBefore(b.json)
        default: a.kindRank < b.kindRank
        }
    }

    /// The order of kinds. One set may hold values of different kinds, as unions are.
    private var kindRank: Int {
        switch self {
        case .null: 0
        case .bool: 1
        case .number, .integer: 2
        case .unsigned: 3
        case .double: 4
        case .decimal: 5
        case .time: 6
        case .string: 7
        case .array: 8
        case .object: 9
        }
    }
}

private struct JSONParser {
    let bytes: UnsafeRawBufferPointer
    var at = 0
    static let deepest = 1_024

    mutating func parseAll() throws -> JSONValue {
        let value = try parse(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw failure("text after the value") }
        return value
    }

    private func failure(_ why: String) -> FieldFailure {
        FieldFailure(description: "not JSON at byte \(at): \(why)")
    }

    private mutating func skipSpace() {
        while at < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[at]) { at += 1 }
    }

    private mutating func take(_ byte: Character) -> Bool {
        skipSpace()
        guard at < bytes.count, bytes[at] == byte.asciiValue else { return false }
        at += 1
        return true
    }

    private mutating func parse(depth: Int) throws -> JSONValue {
        skipSpace()
        guard at < bytes.count else { throw failure("the text ends") }
        if bytes[at] == UInt8(ascii: "{") || bytes[at] == UInt8(ascii: "["), depth >= Self.deepest {
            throw failure("nested too deep")
        }
        switch bytes[at] {
        case UInt8(ascii: "{"): return try object(depth)
        case UInt8(ascii: "["): return try array(depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return .number(try number())
        }
    }

    private mutating func word(_ word: String, _ value: JSONValue) throws -> JSONValue {
        guard bytes[at...].starts(with: word.utf8) else { throw failure("an unknown word") }
        at += word.utf8.count
        return value
    }

    private mutating func number() throws -> String {
        let start = at
        if at < bytes.count, bytes[at] == UInt8(ascii: "-") { at += 1 }
        let first = at
        try digits()
        if bytes[first] == UInt8(ascii: "0"), at > first + 1 { throw failure("a leading zero") }
        if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
            at += 1
            try digits()
        }
        if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < bytes.count, "+-".utf8.contains(bytes[at]) { at += 1 }
            try digits()
        }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    private mutating func digits() throws {
        let start = at
        while at < bytes.count, (0x30...0x39).contains(bytes[at]) { at += 1 }
        guard at > start else { throw failure("a digit was expected") }
    }

    private mutating func array(_ depth: Int) throws -> JSONValue {
        at += 1
        var elements: [JSONValue] = []
        if take("]") { return .array([]) }
        repeat { elements.append(try parse(depth: depth + 1)) } while take(",")
        guard take("]") else { throw failure("a comma or ] was expected") }
        return .array(elements)
    }

    private mutating func object(_ depth: Int) throws -> JSONValue {
        at += 1
        var members: [(key: String, value: JSONValue)] = []
        if take("}") { return .object([]) }
        repeat {
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else {
                throw failure("a key was expected")
            }
            let key = try string()
            guard take(":") else { throw failure("a colon was expected") }
            members.append((key, try parse(depth: depth + 1)))
        } while take(",")
        guard take("}") else { throw failure("a comma or } was expected") }
        return .object(members)
    }

    private mutating func string() throws -> String {
        at += 1
        var text: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: text, as: UTF8.self) else {
                    throw failure("a string is not UTF-8")
                }
                return text
            case 0..<0x20: throw failure("a control character in a string")
            case UInt8(ascii: "\\"): try escape(&text)
            default: text.append(byte)
            }
        }
        throw failure("a string does not end")
    }

    private mutating func escape(_ text: inout [UInt8]) throws {
        guard at < bytes.count else { throw failure("the text ends in an escape") }
        let byte = bytes[at]
        at += 1
        switch byte {
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "u"):
            var code = try hex4()
            if code >= 0xD800, code < 0xDC00 {
                guard bytes[at...].starts(with: "\\u".utf8) else {
                    throw failure("half a surrogate pair")
                }
                at += 2
                let low = try hex4()
                guard low >= 0xDC00, low < 0xE000 else { throw failure("half a surrogate pair") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("half a surrogate pair") }
            text.append(contentsOf: Character(scalar).utf8)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        default: throw failure("an unknown escape")
        }
    }

    private mutating func hex4() throws -> UInt32 {
        guard at + 4 <= bytes.count, bytes[at] != UInt8(ascii: "+"), bytes[at] != UInt8(ascii: "-"),
            let code = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
        else { throw failure("four hexadecimal digits were expected") }
        at += 4
        return code
    }
}
