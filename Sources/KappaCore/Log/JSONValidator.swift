/// Checks whether a line is exactly one JSON object by RFC 8259, and reports the first flaw.
///
/// Slow and strict. Numbers may have any size; strings must be valid UTF-8 without lone surrogates; nesting
/// may be at most 1,024 deep.
struct JSONValidator {
    struct Flaw: Equatable {
        /// Counted in bytes from 1.
        var column: Int
        var reason: String
    }

    private let bytes: UnsafeRawBufferPointer
    private var at = 0
    private static let deepest = 1_024

    /// The first flaw of a line; nil if it is one JSON object.
    static func flaw(in line: UnsafeRawBufferPointer) -> Flaw? {
        var validator = JSONValidator(bytes: line)
        do throws(Reason) {
            try validator.object()
            return nil
        } catch {
            return Flaw(column: validator.at + 1, reason: error.text)
        }
    }

    private init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private struct Reason: Error {
        let text: String
        init(_ text: String) { self.text = text }
    }

    private var current: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A {
            at += 1
        }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func object() throws(Reason) {
        skipSpace()
        if bytes[at...].starts(with: [0xEF, 0xBB, 0xBF]) {
            throw Reason(
                "a byte-order mark (BOM) comes first; some editors write one at a file's start")
        }
        guard current == UInt8(ascii: "{") else {
            throw Reason("an event is a JSON object and begins with {")
        }
        try value()
        skipSpace()
        if at < bytes.count { throw Reason("there is text after the object") }
    }

    /// One value with everything inside it. Not recursive, because the input determines the depth.
    private mutating func value() throws(Reason) {
        var open: [UInt8] = []
        repeat {
            skipSpace()
            guard let byte = current else { throw Reason("the line ends inside a value") }
            let opens = byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[")
            if opens, open.count == Self.deepest {
                throw Reason("it is nested more than 1,024 deep")
            }
            switch byte {
            case UInt8(ascii: "{"):
                at += 1
                skipSpace()
                if !take("}") {
                    open.append(byte)
                    try key()
                    continue
                }
            case UInt8(ascii: "["):
                at += 1
                skipSpace()
                if !take("]") {
                    open.append(byte)
                    continue
                }
            default: try scalar(byte)
            }
            try close(&open)
        } while !open.isEmpty
    }

    /// After a value: closes the objects and arrays that end here, or moves on to the next member.
    private mutating func close(_ open: inout [UInt8]) throws(Reason) {
        while let last = open.last {
            skipSpace()
            let isObject = last == UInt8(ascii: "{")
            if take(",") {
                if isObject {
                    skipSpace()
                    try key()
                }
                return
            }
            guard take(isObject ? "}" : "]") else {
                throw Reason("a comma or \(isObject ? "}" : "]") was expected")
            }
            open.removeLast()
        }
    }

    private mutating func key() throws(Reason) {
        guard current == UInt8(ascii: "\"") else { throw Reason("a key in quotes was expected") }
        try string()
        skipSpace()
        guard take(":") else { throw Reason("a colon was expected") }
    }

    private mutating func scalar(_ byte: UInt8) throws(Reason) {
        switch byte {
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "t"): try word("true")
        case UInt8(ascii: "f"): try word("false")
        case UInt8(ascii: "n"): try word("null")
        case UInt8(ascii: "-"), 0x30...0x39: try number()
        default: throw Reason("a value was expected")
        }
    }

    private mutating func word(_ word: StaticString) throws(Reason) {
        for index in 0..<word.utf8CodeUnitCount {
            guard current == word.utf8Start[index] else { throw Reason("\(word) was expected") }
            at += 1
        }
    }

    private mutating func number() throws(Reason) {
        _ = take("-")
        if take("0") {
            if let byte = current, (0x30...0x39).contains(byte) {
                throw Reason("a number has a leading zero")
            }
        } else {
            try digits()
        }
        if take(".") { try digits() }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            try digits()
        }
    }

    private mutating func digits() throws(Reason) {
        let start = at
        while let byte = current, (0x30...0x39).contains(byte) { at += 1 }
        if at == start { throw Reason("a digit was expected") }
    }

    private mutating func string() throws(Reason) {
        at += 1
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                at += 1
                return
            case UInt8(ascii: "\\"): try escape()
            case 0..<0x20: throw Reason("a string has an unescaped control character")
            case 0x80...: try multibyte(byte)
            default: at += 1
            }
        }
        throw Reason("a string does not end")
    }

    private mutating func escape() throws(Reason) {
        at += 1
        switch current {
        case UInt8(ascii: "u"):
            at += 1
            let code = try hex4()
            if (0xDC00...0xDFFF).contains(code) {
                throw Reason("a lone surrogate is not a character")
            }
            if (0xD800...0xDBFF).contains(code) {
                guard take("\\"), take("u"), (0xDC00...0xDFFF).contains(try hex4()) else {
                    throw Reason("a lone surrogate is not a character")
                }
            }
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            at += 1
        default: throw Reason("there is no such escape")
        }
    }

    private mutating func hex4() throws(Reason) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue,
                byte < 0x80
            else { throw Reason("four hexadecimal digits were expected") }
            code = code << 4 | UInt32(digit)
            at += 1
        }
        return code
    }

    /// One character of two to four bytes: no overlong form, no surrogate, nothing past U+10FFFF.
    private mutating func multibyte(_ first: UInt8) throws(Reason) {
        let second: ClosedRange<UInt8>
        let length: Int
        switch first {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: throw Reason("a byte is not UTF-8")
        }
        guard at + length <= bytes.count, second.contains(bytes[at + 1]) else {
            throw Reason("a byte is not UTF-8")
        }
        for index in 2..<max(2, length) where !(0x80...0xBF).contains(bytes[at + index]) {
            throw Reason("a byte is not UTF-8")
        }
        at += length
    }
}
