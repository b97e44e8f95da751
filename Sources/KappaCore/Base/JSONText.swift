/// Writes JSON text into a byte buffer: the one place where kappa renders values.
package struct JSONText {
    package var bytes: [UInt8] = []

    package init() {}

    package static func string(_ write: (inout JSONText) -> Void) -> String {
        var text = JSONText()
        write(&text)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    package mutating func append(raw text: StaticString) {
        bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    package mutating func append(raw text: String) { bytes.append(contentsOf: text.utf8) }

    package mutating func append(_ value: Bool) { append(raw: value ? "true" : "false") }

    package mutating func append(_ value: some FixedWidthInteger) {
        bytes.append(contentsOf: String(value).utf8)
    }

    /// A finite number. JSON has no others, so infinities and NaN become `null`.
    package mutating func append(_ value: Double) {
        guard value.isFinite else { return append(raw: "null" as StaticString) }
        bytes.append(contentsOf: "\(value)".utf8)
    }

    /// All digits, no exponent.
    package mutating func append(_ value: ExactDecimal) {
        var digits = Array(String(value.mantissa.magnitude).utf8)
        if value.mantissa < 0 { bytes.append(UInt8(ascii: "-")) }
        if value.scale > 0 {
            let missing = value.scale + 1 - digits.count
            if missing > 0 { digits.insert(contentsOf: repeatElement(0x30, count: missing), at: 0) }
            digits.insert(UInt8(ascii: "."), at: digits.count - value.scale)
        }
        bytes.append(contentsOf: digits)
    }

    /// RFC 3339 in UTC without quotes.
    package mutating func append(bare time: Timestamp) {
        let f = time.fields
        appendYear(f.year)
        bytes.append(UInt8(ascii: "-"))
        appendPadded(f.month, digits: 2)
        bytes.append(UInt8(ascii: "-"))
        appendPadded(f.day, digits: 2)
        bytes.append(UInt8(ascii: "T"))
        appendClock(f.hour, f.minute, f.second, micros: f.micros)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// RFC 3339 has four digits. Years outside 0000 to 9999 get a sign and six digits, as in ISO 8601's
    /// extended format.
    mutating func appendYear(_ year: Int64) {
        if year < 0 || year > 9999 {
            bytes.append(UInt8(ascii: year < 0 ? "-" : "+"))
            appendPadded(Int(year.magnitude), digits: 6)
        } else {
            appendPadded(Int(year), digits: 4)
        }
    }

    /// `14:30:00.25`, without trailing zeros in the fraction.
    mutating func appendClock(_ hour: Int, _ minute: Int, _ second: Int, micros: Int) {
        appendPadded(hour, digits: 2)
        bytes.append(UInt8(ascii: ":"))
        appendPadded(minute, digits: 2)
        bytes.append(UInt8(ascii: ":"))
        appendPadded(second, digits: 2)
        if micros > 0 {
            bytes.append(UInt8(ascii: "."))
            appendPadded(micros, digits: 6)
            while bytes.last == 0x30 { bytes.removeLast() }
        }
    }

    package mutating func append(_ time: Timestamp) {
        bytes.append(UInt8(ascii: "\""))
        append(bare: time)
        bytes.append(UInt8(ascii: "\""))
    }

    package mutating func append(string: String) {
        var string = string
        string.withUTF8 { append(utf8: UnsafeRawBufferPointer($0)) }
    }

    /// A JSON string of valid UTF-8, with quotes, backslashes and control characters escaped.
    package mutating func append(utf8: UnsafeRawBufferPointer) {
        bytes.append(UInt8(ascii: "\""))
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "\""): append(raw: "\\\"" as StaticString)
            case UInt8(ascii: "\\"): append(raw: "\\\\" as StaticString)
            case 0x0A: append(raw: "\\n" as StaticString)
            case 0x0D: append(raw: "\\r" as StaticString)
            case 0x09: append(raw: "\\t" as StaticString)
            case 0..<0x20:
                append(raw: "\\u00" as StaticString)
                bytes.append(Self.hexDigit(byte >> 4))
                bytes.append(Self.hexDigit(byte & 15))
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func hexDigit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? 0x30 + nibble : 0x61 + nibble - 10
    }

    mutating func appendPadded(_ value: Int, digits: Int) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            bytes.append(0x30 + UInt8(value / divisor % 10))
            divisor /= 10
        }
    }
}
