/// What is wrong with SQL that a person wrote, and where in the text.
struct SQLMistake: Error {
    /// Bytes of the text as it was written.
    var range: Range<Int>
    var reason: String
    var advice: String?
    /// What failed, where something better can be said than "the query cannot be run".
    var what: String?

    init(_ range: Range<Int>, _ reason: String, _ advice: String? = nil) {
        self.range = range
        self.reason = reason
        self.advice = advice
    }
}

/// One word, literal or sign of a statement.
struct SQLToken {
    enum Kind: Equatable {
        case word, number, string, blob, parameter, symbol, end
        /// A name in quotes. SQLite treats a name in *double* quotes that it does not know as a text.
        case quotedName(isDouble: Bool)
    }

    var kind: Kind
    /// Its bytes in the text.
    var range: Range<Int>
    /// Its content, without quotes.
    var text: String
    /// A bare word in upper case, or a sign; empty for everything else.
    var key: String

    var isName: Bool {
        switch kind {
        case .word, .quotedName: true
        default: false
        }
    }
}

/// Splits SQL into tokens as SQLite does.
///
/// Each quote and comment must be closed: an open one would swallow the statement around a condition.
struct SQLTokenizer {
    private let bytes: [UInt8]
    private var at = 0

    static func tokens(_ bytes: [UInt8]) throws(SQLMistake) -> [SQLToken] {
        var tokenizer = SQLTokenizer(bytes: bytes)
        var tokens: [SQLToken] = []
        while let token = try tokenizer.next() { tokens.append(token) }
        let end = bytes.count..<bytes.count
        tokens.append(SQLToken(kind: .end, range: end, text: "", key: ""))
        return tokens
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private func byte(_ ahead: Int = 0) -> UInt8 {
        at + ahead < bytes.count ? bytes[at + ahead] : 0
    }

    private mutating func next() throws(SQLMistake) -> SQLToken? {
        try skipSpace()
        guard at < bytes.count else { return nil }
        let start = at
        switch byte() {
        case UInt8(ascii: "'"): return try quoted(.string, UInt8(ascii: "'"))
        case UInt8(ascii: "\""): return try quoted(.quotedName(isDouble: true), UInt8(ascii: "\""))
        case UInt8(ascii: "`"): return try quoted(.quotedName(isDouble: false), UInt8(ascii: "`"))
        case UInt8(ascii: "["): return try bracketed()
        case UInt8(ascii: "x"), UInt8(ascii: "X"):
            if byte(1) == UInt8(ascii: "'") { return try blob() }
            return word(start)
        case UInt8(ascii: "?"), UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: "$"):
            return try parameter()
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        case UInt8(ascii: "."):
            return Self.isDigit(byte(1)) ? try number() : try symbol()
        case let first where Self.isWord(first): return word(start)
        default: return try symbol()
        }
    }

    private mutating func skipSpace() throws(SQLMistake) {
        while at < bytes.count {
            if byte() == 0x20 || (0x09...0x0D).contains(byte()) {
                at += 1
            } else if byte() == UInt8(ascii: "-"), byte(1) == UInt8(ascii: "-") {
                at = bytes[at...].firstIndex(of: 0x0A) ?? bytes.count
            } else if byte() == UInt8(ascii: "/"), byte(1) == UInt8(ascii: "*") {
                let start = at
                at += 2
                while !(byte() == UInt8(ascii: "*") && byte(1) == UInt8(ascii: "/")) {
                    guard at < bytes.count else {
                        throw SQLMistake(start..<at, "a comment is not closed", "Close it with */")
                    }
                    at += 1
                }
                at += 2
            } else {
                return
            }
        }
    }

    private func token(_ kind: SQLToken.Kind, _ start: Int, _ text: String) -> SQLToken {
        SQLToken(kind: kind, range: start..<at, text: text, key: "")
    }

    private func text(_ range: Range<Int>) -> String {
        String(decoding: bytes[range], as: UTF8.self)
    }

    private mutating func quoted(
        _ kind: SQLToken.Kind, _ quote: UInt8
    ) throws(SQLMistake) -> SQLToken {
        let start = at
        var content: [UInt8] = []
        at += 1
        while at < bytes.count {
            if byte() == quote {
                at += 1
                guard byte() == quote, at < bytes.count else {
                    return token(kind, start, String(decoding: content, as: UTF8.self))
                }
            }
            content.append(bytes[at])
            at += 1
        }
        throw SQLMistake(
            start..<at, "a quote is not closed", "A quote inside of a text is written twice")
    }

    private mutating func bracketed() throws(SQLMistake) -> SQLToken {
        let start = at
        guard let end = bytes[at...].firstIndex(of: UInt8(ascii: "]")) else {
            throw SQLMistake(start..<bytes.count, "a name in brackets is not closed")
        }
        at = end + 1
        return token(.quotedName(isDouble: false), start, text(start + 1..<end))
    }

    private mutating func blob() throws(SQLMistake) -> SQLToken {
        let start = at
        at += 2
        while Self.isHex(byte()) { at += 1 }
        guard byte() == UInt8(ascii: "'"), (at - start).isMultiple(of: 2) else {
            throw SQLMistake(start..<at, "a blob is written as x'0123abcd', two digits a byte")
        }
        at += 1
        return token(.blob, start, text(start..<at))
    }

    private mutating func number() throws(SQLMistake) -> SQLToken {
        let start = at
        if byte() == UInt8(ascii: "0"), byte(1) | 0x20 == UInt8(ascii: "x"), Self.isHex(byte(2)) {
            at += 2
            while Self.isHex(byte()) { at += 1 }
        } else {
            while Self.isDigit(byte()) { at += 1 }
            if byte() == UInt8(ascii: ".") { at += 1 }
            while Self.isDigit(byte()) { at += 1 }
            let sign = byte(1) == UInt8(ascii: "+") || byte(1) == UInt8(ascii: "-")
            if byte() | 0x20 == UInt8(ascii: "e"), Self.isDigit(byte(sign ? 2 : 1)) {
                at += sign ? 2 : 1
                while Self.isDigit(byte()) { at += 1 }
            }
        }
        let end = at
        while Self.isWord(byte()) { at += 1 }
        guard at == end else {
            throw SQLMistake(
                start..<at, "\(text(start..<at)) is neither a number nor a name",
                "Write a text in single quotes: '\(text(start..<at))'")
        }
        return token(.number, start, text(start..<at))
    }

    private mutating func parameter() throws(SQLMistake) -> SQLToken {
        let start = at
        let isNumbered = byte() == UInt8(ascii: "?")
        at += 1
        while isNumbered ? Self.isDigit(byte()) : Self.isWord(byte()) { at += 1 }
        guard isNumbered || at > start + 1 else {
            throw SQLMistake(
                start..<at, "\(text(start..<at)) is not followed by a parameter's name")
        }
        return token(.parameter, start, text(start..<at))
    }

    private mutating func word(_ start: Int) -> SQLToken {
        while Self.isWord(byte()) { at += 1 }
        var token = token(.word, start, text(start..<at))
        token.key = token.text.uppercased()
        return token
    }

    private static let signs = [
        "->>", "||", "->", "<<", ">>", "<=", ">=", "==", "!=", "<>", "<", ">", "=", "+", "-", "*",
        "/", "%", "&", "|", "~", "(", ")", ",", ".", ";",
    ].map { (text: $0, bytes: Array($0.utf8)) }

    private mutating func symbol() throws(SQLMistake) -> SQLToken {
        for sign in Self.signs where bytes[at...].starts(with: sign.bytes) {
            let start = at
            at += sign.bytes.count
            var token = token(.symbol, start, sign.text)
            token.key = sign.text
            return token
        }
        let byte = byte()
        let shown =
            byte < 0x20 || byte == 0x7F
            ? "the control character \(byte)" : "\(Character(Unicode.Scalar(byte)))"
        throw SQLMistake(at..<at + 1, "\(shown) means nothing in SQL")
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isHex(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x61...0x66).contains(byte | 0x20)
    }
    /// A byte of a name: letters, digits, `_`, `$`, and everything beyond ASCII.
    private static func isWord(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == UInt8(ascii: "_")
            || byte == UInt8(ascii: "$") || byte >= 0x80
    }
}
