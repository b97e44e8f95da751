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

    /// Without quotes, and empty for null.
    package var plainText: String {
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
        // By bytes: a quote with an accent behind it is one character, and not a quote.
        var quoted = [quote]
        for byte in text.utf8 {
            if byte == quote { quoted.append(quote) }
            quoted.append(byte)
        }
        quoted.append(quote)
        return String(decoding: quoted, as: UTF8.self)
    }

    /// The value that JSON gives for a column of a kind; nil where it fits none.
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
            guard let time = Timestamp(text) else { return nil }
            self = .timestamp(time)
        case (.number(let text), .timestamp):
            guard let number = Int64(text) else { return nil }
            self = .timestamp(Timestamp(epochNumber: number))
        case (.bool(let bool), .bool): self = .bool(bool)
        default: return nil
        }
    }
}
