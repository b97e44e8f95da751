/// An exact decimal number: `mantissa × 10^-scale`, up to 38 digits (a 39th where 128 bits hold
/// it).
///
/// Always normalised: the mantissa has no trailing zero unless the scale is zero, so equal numbers are
/// equal values. Use it for money and anything else that must add up exactly.
///
/// `+`, `-` and `*` are exact wherever 38 digits suffice. Where they do not, the operators return the
/// nearest decimal, and in the closures of a view the event becomes a dead letter that says so;
/// ``exactly(_:)`` throws instead, and so do ``adding(_:)``, ``subtracting(_:)`` and
/// ``multiplied(by:)``. No arithmetic on decimals ends the program. `docs/money-and-time.md` shows how
/// to compute with money.
public struct ExactDecimal: Hashable, Sendable {
    /// All digits as one integer; it ends in a zero only where ``scale`` is 0.
    public private(set) var mantissa: Int128
    /// Digits after the point, 0 … 38.
    public private(set) var scale: Int

    /// The most digits that may follow the point.
    public static let maximumScale = 38

    /// `mantissa × 10^-scale`, normalised. A value that does not fit, since a decimal has at most 38
    /// digits after the point, becomes the nearest decimal, as with the operators.
    public init(mantissa: Int128, scale: Int) {
        guard scale >= 0 && scale <= Self.maximumScale else {
            self = Self.nearest(mantissa, scale: scale)
            return
        }
        self.mantissa = mantissa
        self.scale = scale
        guard scale > 0 else { return }
        // A 128-bit division is a call, and most numbers are small.
        if var small = Int64(exactly: mantissa) {
            while self.scale > 0, small % 10 == 0 {
                small /= 10
                self.scale -= 1
            }
            self.mantissa = Int128(small)
            return
        }
        while self.scale > 0, self.mantissa % 10 == 0 {
            self.mantissa /= 10
            self.scale -= 1
        }
    }

    /// Parses the text of a JSON number: digits, a point, an exponent. Nil where it is not one, or has
    /// more than 38 digits.
    public init?(_ text: some StringProtocol) {
        var text = String(text)
        let parsed = text.withUTF8 { ExactDecimal(bytes: UnsafeRawBufferPointer($0)) }
        guard let parsed else { return nil }
        self = parsed
    }

    package init?(bytes: UnsafeRawBufferPointer) {
        var mantissa: Int128 = 0
        var scale = 0
        var digits = 0
        var index = 0
        var negative = false
        var seenPoint = false
        if bytes.first == UInt8(ascii: "-") {
            negative = true
            index = 1
        }
        while index < bytes.count {
            let byte = bytes[index]
            if byte >= 0x30, byte <= 0x39 {
                let (scaled, overflow) = mantissa.multipliedReportingOverflow(by: 10)
                let digit = Int128(byte - 0x30)
                let (sum, overflowed) = scaled.addingReportingOverflow(negative ? -digit : digit)
                if overflow || overflowed { return nil }
                mantissa = sum
                digits += 1
                if seenPoint { scale += 1 }
            } else if byte == UInt8(ascii: "."), !seenPoint, digits > 0 {
                seenPoint = true
            } else {
                break
            }
            index += 1
        }
        guard digits > 0, !(seenPoint && scale == 0) else { return nil }
        if index < bytes.count {
            guard bytes[index] | 0x20 == UInt8(ascii: "e"),
                let exponent = Int(
                    String(decoding: bytes[(index + 1)...], as: UTF8.self)),
                (-1_000...1_000).contains(exponent)
            else { return nil }
            scale -= exponent
        }
        while scale > 0, mantissa % 10 == 0 {
            if mantissa == 0 {
                scale = 0
                break
            }
            mantissa /= 10
            scale -= 1
        }
        while scale < 0 {
            if mantissa == 0 {
                scale = 0
                break
            }
            let (scaled, overflow) = mantissa.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            mantissa = scaled
            scale += 1
        }
        guard scale <= Self.maximumScale else { return nil }
        self.init(mantissa: mantissa, scale: scale)
    }

    /// 10^n for n in 0 … 38.
    package static let powersOfTen: [Int128] = {
        var powers: [Int128] = [1]
        for _ in 1...maximumScale { powers.append(powers[powers.count - 1] * 10) }
        return powers
    }()

    /// The mantissa at a larger scale; nil where it does not fit.
    package func rescaled(to newScale: Int) -> Int128? {
        let (product, overflow) = mantissa.multipliedReportingOverflow(
            by: Self.powersOfTen[newScale - scale])
        return overflow ? nil : product
    }
}

extension ExactDecimal: Comparable {
    public static func < (a: ExactDecimal, b: ExactDecimal) -> Bool {
        let common = max(a.scale, b.scale)
        // A number too large to rescale is the one farther from zero: its sign decides.
        guard let x = a.rescaled(to: common) else { return a.mantissa < 0 }
        guard let y = b.rescaled(to: common) else { return b.mantissa > 0 }
        return x < y
    }
}

extension ExactDecimal: ExpressibleByIntegerLiteral, CustomStringConvertible {
    /// A whole number, as in `let total: ExactDecimal = 12`.
    public init(integerLiteral value: Int64) { self.init(value) }

    /// All digits, no exponent, no trailing zeros: `-12.5`.
    public var description: String { JSONText.string { $0.append(self) } }
}

/// From and to the numbers of the standard library.
extension ExactDecimal {
    /// A whole number.
    public init(_ integer: Int64) { self.init(mantissa: Int128(integer), scale: 0) }

    /// A whole number; one beyond ``least`` or ``greatest`` becomes that bound.
    public init(_ integer: some BinaryInteger) {
        self.init(mantissa: Int128(clamping: integer), scale: 0)
    }

    /// A whole number; nil where 128 bits do not hold it.
    public init?(exactly integer: some BinaryInteger) {
        guard let mantissa = Int128(exactly: integer) else { return nil }
        self.init(mantissa: mantissa, scale: 0)
    }

    /// The decimal that a double prints as: for 0.1 it is 0.1. Nil for a double that is not finite or
    /// needs more than 38 digits.
    public init?(_ double: Double) {
        guard let decimal = ExactDecimal("\(double)") else { return nil }
        self = decimal
    }

    /// The exact number that a double holds: 0.5 gives 0.5, but what the double 0.1 holds is no decimal
    /// of 38 digits, and gives nil.
    public init?(exactly double: Double) {
        guard double.isFinite else { return nil }
        if double == 0 {
            self = .zero
            return
        }
        // The double is significand × 2^power, with an odd significand.
        let bits = Double.significandBitCount - double.significandWidth
        let significand =
            double.isNormal
            ? (double.significandBitPattern | 1 << Double.significandBitCount) >> bits
            : double.significandBitPattern >> double.significandBitPattern.trailingZeroBitCount
        let power = double.ulp.exponent + significandShift(double)
        var number = WideInteger(magnitude: UInt128(significand), isNegative: double < 0)
        if power >= 0 {
            guard power < 128 else { return nil }
            for _ in 0..<power { number.multiply(by: 2) }
            self.init(number, scale: 0)
        } else {
            guard power >= -Self.maximumScale else { return nil }
            for _ in 0..<(-power) { number.multiply(by: 5) }
            self.init(number, scale: Int(-power))
        }
    }

    /// The nearest double.
    public var doubleValue: Double { Double(self) }
}

/// By how many bits the lowest set bit of a double's significand is above its last bit.
private func significandShift(_ double: Double) -> Int {
    double.significandBitPattern == 0
        ? Double.significandBitCount : double.significandBitPattern.trailingZeroBitCount
}

extension Double {
    /// The nearest double.
    public init(_ decimal: ExactDecimal) { self = Double(decimal.description) ?? .nan }
}

extension BinaryInteger where Self: FixedWidthInteger {
    /// A decimal's value; nil where it has digits after the point or does not fit.
    public init?(exactly decimal: ExactDecimal) {
        guard decimal.scale == 0 else { return nil }
        self.init(exactly: decimal.mantissa)
    }

    /// A decimal without its digits after the point; one beyond the type's bounds becomes the nearer
    /// bound. To get the nearest whole number, round first.
    public init(clamping decimal: ExactDecimal) {
        self.init(clamping: decimal.rounded(scale: 0, rounding: .towardZero).mantissa)
    }
}

extension ExactDecimal: ExpressibleByFloatLiteral {
    /// A number with a point in the source, as in `let rate: ExactDecimal = 0.19`.
    ///
    /// Swift first makes a double of it, which keeps 15 digits. Write a literal with more digits as text,
    /// `ExactDecimal("0.1234567890123456789")`: as a float literal it traps, rather than silently lose
    /// digits. Data is never read this way.
    public init(floatLiteral value: Double) {
        guard let decimal = ExactDecimal(value),
            WideInteger(decimal.mantissa).digits <= 15 || value == value.rounded()
        else {
            preconditionFailure(
                "the literal \(value) may have lost digits: write it as ExactDecimal(\"…\")")
        }
        self = decimal
    }
}
