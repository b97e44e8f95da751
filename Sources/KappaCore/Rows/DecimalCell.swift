import Glibc

/// How a decimal is stored: as an integer if it is one of 64 bits, as a double if it has at most 15
/// significant digits (which a double keeps exactly), else as text. So SQL compares and sums decimals as
/// numbers, and no digit is lost.
package enum DecimalCell {
    enum Cell {
        case integer(Int64)
        case double(Double)
        /// The decimal's own text.
        case text
    }

    /// The only cell that a decimal can be stored as: equal decimals have equal cells.
    static func cell(of decimal: ExactDecimal) -> Cell {
        if decimal.scale == 0, let integer = Int64(exactly: decimal.mantissa) {
            return .integer(integer)
        }
        if decimal.mantissa.magnitude < 1_000_000_000_000_000, decimal.scale <= 22 {
            // Both the mantissa and the power of ten are exact doubles: the quotient is the
            // nearest double to the decimal.
            return .double(Double(Int64(decimal.mantissa)) / powersOfTen[decimal.scale])
        }
        return .text
    }

    package static func bind(_ decimal: ExactDecimal, to writer: some RowWriter, at index: Int) {
        switch cell(of: decimal) {
        case .integer(let integer): writer.bind(index, integer)
        case .double(let double): writer.bind(index, double)
        // The writer copies this text, because it is gone before the row is written.
        case .text: writer.bind(index, decimal.description)
        }
    }

    package static func read(_ cursor: any RowCursor, _ index: Int) -> ExactDecimal? {
        switch cursor.storage(index) {
        case .integer: ExactDecimal(cursor.integer(index))
        case .double: decimal(of: cursor.double(index))
        case .text: ExactDecimal(bytes: cursor.text(index))
        case .null, .blob: nil
        }
    }

    /// The decimal that a double of up to 15 significant digits stands for.
    package static func decimal(of double: Double) -> ExactDecimal? {
        // No two decimals of up to 15 digits are the same double, so the first that fits is the one.
        for scale in 0...4 {
            let mantissa = (double * powersOfTen[scale]).rounded()
            guard abs(mantissa) < 1e15 else { break }
            if mantissa / powersOfTen[scale] == double {
                return ExactDecimal(mantissa: Int128(Int64(mantissa)), scale: scale)
            }
        }
        return ExactDecimal("\(double)")
    }

    private static let powersOfTen: [Double] = {
        var powers = [1.0]
        for _ in 1...22 { powers.append(powers[powers.count - 1] * 10) }
        return powers
    }()
}

/// Encodes numbers as bytes that `memcmp` orders as the numbers. Equal numbers have equal bytes, however they
/// are stored.
///
/// First comes a byte for the sign (zero and the infinities consist of only this byte), then the exponent in
/// two bytes (the largest power of ten in the number), then the digits, two in each byte. In a negative
/// number, everything after the sign is inverted and ends in 0xFF, so that the longer of two numbers is the
/// smaller.
enum NumberOrder {
    enum Number: Equatable {
        case decimal(ExactDecimal)
        /// Beyond the range of decimals, or infinite.
        case double(Double)
    }

    private enum Sign {
        static let negativeInfinity: UInt8 = 0
        static let negative: UInt8 = 1
        static let zero: UInt8 = 2
        static let positive: UInt8 = 3
        static let positiveInfinity: UInt8 = 4
    }
    private static let exponentBias = 0x8000

    static func key(_ decimal: ExactDecimal) -> [UInt8] {
        if decimal.mantissa == 0 { return [Sign.zero] }
        var digits: [UInt8] = []
        digits.reserveCapacity(40)
        if let small = Int64(exactly: decimal.mantissa) {
            var rest = small.magnitude
            while rest > 0 {
                digits.append(UInt8(truncatingIfNeeded: rest % 10))
                rest /= 10
            }
            digits.reverse()
        } else {
            digits = String(decimal.mantissa.magnitude).utf8.map { $0 - 0x30 }
        }
        let exponent = digits.count - decimal.scale
        return key(digits[...], exponent: exponent, isNegative: decimal.mantissa < 0)
    }

    static func key(_ double: Double) -> [UInt8] {
        if let decimal = DecimalCell.decimal(of: double) { return key(decimal) }
        if double.isFinite {
            var text = "\(double)"
            return text.withUTF8 { key(UnsafeRawBufferPointer($0)) } ?? [Sign.zero]
        }
        return [double < 0 ? Sign.negativeInfinity : Sign.positiveInfinity]
    }

    /// The key of the text of a JSON number of any length; nil if it is not one, or if its exponent is out
    /// of range.
    static func key(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        var rest = text[...]
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative { rest = rest.dropFirst() }
        var digits = Array(rest.prefix { isDigit($0) })
        rest = rest.dropFirst(digits.count)
        guard !digits.isEmpty else { return nil }
        var exponent = digits.count
        if rest.first == UInt8(ascii: ".") {
            let fraction = rest.dropFirst().prefix { isDigit($0) }
            guard !fraction.isEmpty else { return nil }
            digits += fraction
            rest = rest.dropFirst(1 + fraction.count)
        }
        if !rest.isEmpty {
            guard rest.first.map({ $0 | 0x20 }) == UInt8(ascii: "e"),
                let power = Int(String(decoding: rest.dropFirst(), as: UTF8.self)),
                power.magnitude < 10_000
            else { return nil }
            exponent += power
        }
        let leading = digits.prefix { $0 == 0x30 }.count
        exponent -= leading
        guard exponent.magnitude < exponentBias else { return nil }
        return key(
            digits[leading...].map { $0 - 0x30 }[...], exponent: exponent, isNegative: isNegative)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    /// `0.d₁d₂… × 10^exponent`; the first digit is not zero.
    private static func key(
        _ digits: ArraySlice<UInt8>, exponent: Int, isNegative: Bool
    ) -> [UInt8] {
        var digits = digits
        while digits.last == 0 { digits.removeLast() }
        if digits.isEmpty { return [Sign.zero] }
        let biased = exponent + exponentBias
        var key: [UInt8] = [
            isNegative ? Sign.negative : Sign.positive, UInt8(biased >> 8), UInt8(biased & 0xFF),
        ]
        var index = digits.startIndex
        while index < digits.endIndex {
            let second = index + 1 < digits.endIndex ? digits[index + 1] : 0
            // Plus one, so that no pair of digits is as small as the end.
            key.append(digits[index] * 10 + second + 1)
            index += 2
        }
        if isNegative {
            for index in key.indices.dropFirst() { key[index] = ~key[index] }
            key.append(0xFF)
        }
        return key
    }

    /// The number of a key; nil if the bytes are not a key.
    static func number(_ key: UnsafeRawBufferPointer) -> Number? {
        guard let sign = key.first else { return nil }
        switch sign {
        case Sign.negativeInfinity: return .double(-.infinity)
        case Sign.zero: return .decimal(0)
        case Sign.positiveInfinity: return .double(.infinity)
        case Sign.negative, Sign.positive: break
        default: return nil
        }
        let isNegative = sign == Sign.negative
        var rest = key.dropFirst().map { isNegative ? ~$0 : $0 }
        if isNegative, rest.popLast() != 0 { return nil }
        guard rest.count > 2, rest[2...].allSatisfy({ (1...100).contains($0) }) else { return nil }
        let biased = Int(rest[0]) << 8 | Int(rest[1])
        let exponent = biased - exponentBias
        var digits: [UInt8] = []
        for pair in rest[2...] {
            digits.append(0x30 + (pair - 1) / 10)
            digits.append(0x30 + (pair - 1) % 10)
        }
        if digits.last == 0x30 { digits.removeLast() }
        let text =
            (isNegative ? "-" : "") + String(decoding: digits, as: UTF8.self)
            + "e\(exponent - digits.count)"
        if let decimal = ExactDecimal(text) { return .decimal(decimal) }
        return strtod(text, nil).isFinite ? .double(strtod(text, nil)) : nil
    }
}
