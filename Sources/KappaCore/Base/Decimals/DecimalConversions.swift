/// From and to the numbers of the standard library.
extension ExactDecimal {
    /// A whole number.
    public init(_ integer: Int64) { self.init(mantissa: Int128(integer), scale: 0) }

    /// A whole number; what lies beyond ``least`` or ``greatest`` becomes that.
    public init(_ integer: some BinaryInteger) {
        self.init(mantissa: Int128(clamping: integer), scale: 0)
    }

    /// A whole number; nil where 128 bits do not hold it.
    public init?(exactly integer: some BinaryInteger) {
        guard let mantissa = Int128(exactly: integer) else { return nil }
        self.init(mantissa: mantissa, scale: 0)
    }

    /// The decimal that a double prints as: of 0.1 it is 0.1. Nil for what is not finite or needs
    /// more than 38 digits.
    public init?(_ double: Double) {
        guard let decimal = ExactDecimal("\(double)") else { return nil }
        self = decimal
    }

    /// The very number that a double holds: 0.5 is 0.5, but 0.1 is no decimal of 38 digits, and
    /// gives nil.
    public init?(exactly double: Double) {
        guard double.isFinite else { return nil }
        if double == 0 {
            self = .zero
            return
        }
        // The double is significand × 2^power, of an odd significand.
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

/// By how many powers of two the last bit that is set stands above a double's last bit.
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

    /// A decimal without its digits after the point; what lies beyond the type's bounds becomes the
    /// nearer of them. Round first where the nearest whole number is wanted.
    public init(clamping decimal: ExactDecimal) {
        self.init(clamping: decimal.rounded(scale: 0, rounding: .towardZero).mantissa)
    }
}

extension ExactDecimal: ExpressibleByFloatLiteral {
    /// A number with a point in the source, as in `let rate: ExactDecimal = 0.19`.
    ///
    /// Swift makes a double of it first, which keeps 15 digits. A literal with more than these must
    /// be written as a text, `ExactDecimal("0.1234567890123456789")`: it ends the program here,
    /// rather than lose digits in silence. Data is never read this way.
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
