/// The little that must be known of a text before SQLite sees it: SQLite compiles the first statement
/// and passes over the rest, and a condition is put in brackets that it must not close.
struct SQLText {
    /// The first word, in small letters.
    private(set) var firstWord = ""
    /// Whether something stands behind a semicolon that ends a statement.
    private(set) var isMoreThanOne = false
    private(set) var hasSemicolon = false
    /// Whether each bracket, quote and comment is closed, and none before it was opened.
    private(set) var isBalanced = true

    init(_ sql: String) {
        let bytes = Array(sql.utf8)
        var at = 0
        var depth = 0
        while at < bytes.count {
            let byte = bytes[at]
            let next = at + 1 < bytes.count ? bytes[at + 1] : 0
            if byte == UInt8(ascii: "-"), next == byte {
                at = bytes[at...].firstIndex(of: 0x0A) ?? bytes.count
                continue
            }
            if byte == UInt8(ascii: "/"), next == UInt8(ascii: "*") {
                at = endOfComment(bytes, at + 2)
                continue
            }
            at += 1
            if byte == 0x20 || (0x09...0x0D).contains(byte) { continue }
            if byte == UInt8(ascii: ";") {
                hasSemicolon = true
                continue
            }
            if hasSemicolon { isMoreThanOne = true }
            switch byte {
            case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
                at = endOfQuote(bytes, at, byte)
            case UInt8(ascii: "["): at = endOfQuote(bytes, at, UInt8(ascii: "]"))
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"):
                depth -= 1
                if depth < 0 { isBalanced = false }
            default:
                guard firstWord.isEmpty else { continue }
                let word = bytes[(at - 1)...].prefix { Self.isLetter($0) }
                firstWord = String(decoding: word, as: UTF8.self).lowercased()
            }
        }
        if depth != 0 { isBalanced = false }
    }

    /// A quote that is doubled closes and opens again: that comes to the same.
    private mutating func endOfQuote(_ bytes: [UInt8], _ start: Int, _ quote: UInt8) -> Int {
        if let end = bytes[start...].firstIndex(of: quote) { return end + 1 }
        isBalanced = false
        return bytes.count
    }

    private mutating func endOfComment(_ bytes: [UInt8], _ start: Int) -> Int {
        var at = start
        while at + 1 < bytes.count {
            if bytes[at] == UInt8(ascii: "*"), bytes[at + 1] == UInt8(ascii: "/") { return at + 2 }
            at += 1
        }
        isBalanced = false
        return bytes.count
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte & 0xDF) || byte == UInt8(ascii: "_")
    }
}
