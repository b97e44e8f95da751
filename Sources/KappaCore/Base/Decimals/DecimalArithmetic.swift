import CKappa

/// Arithmetic with operators. None of them traps: see ``ExactDecimal``.
extension ExactDecimal: AdditiveArithmetic {
    /// 0.
    public static var zero: ExactDecimal { ExactDecimal(mantissa: 0, scale: 0) }
    /// The largest decimal, 2^127 − 1.
    public static var greatest: ExactDecimal { ExactDecimal(mantissa: .max, scale: 0) }
    /// The smallest decimal, −2^127.
    public static var least: ExactDecimal { ExactDecimal(mantissa: .min, scale: 0) }

    /// The sum: exact, or the nearest decimal where it needs more than 38 digits.
    public static func + (a: ExactDecimal, b: ExactDecimal) -> ExactDecimal {
        if a.scale == 0, b.scale == 0 {
            let (sum, overflow) = a.mantissa.addingReportingOverflow(b.mantissa)
            if !overflow { return ExactDecimal(mantissa: sum, scale: 0) }
        }
        return a.exactSum(b) ?? nearest(a.wideSum(b), max(a.scale, b.scale), .sum)
    }

    /// The difference: exact, or the nearest decimal where it needs more than 38 digits.
    public static func - (a: ExactDecimal, b: ExactDecimal) -> ExactDecimal {
        a.exactDifference(b)
            ?? nearest(a.wideDifference(b), max(a.scale, b.scale), .difference)
    }

    /// The product: exact, or the nearest decimal where it needs more than 38 digits.
    public static func * (a: ExactDecimal, b: ExactDecimal) -> ExactDecimal {
        a.exactProduct(b) ?? nearest(a.wideProduct(b), a.scale + b.scale, .product)
    }

    /// A decimal times a whole number; see `*` of two decimals.
    public static func * (a: ExactDecimal, count: some BinaryInteger) -> ExactDecimal {
        guard let whole = Int128(exactly: count) else {
            let isNegative = (a.mantissa < 0) != (count < 0)
            DecimalOverflow.note(.product)
            return a.isZero ? .zero : isNegative ? .least : .greatest
        }
        return a * ExactDecimal(mantissa: whole, scale: 0)
    }

    /// A decimal times a whole number; see `*` of two decimals.
    public static func * (count: some BinaryInteger, a: ExactDecimal) -> ExactDecimal { a * count }

    /// The number with the opposite sign.
    public static prefix func - (a: ExactDecimal) -> ExactDecimal { .zero - a }

    /// Adds; see `+`.
    public static func += (a: inout ExactDecimal, b: ExactDecimal) { a = a + b }
    /// Subtracts; see `-`.
    public static func -= (a: inout ExactDecimal, b: ExactDecimal) { a = a - b }
    /// Multiplies; see `*`.
    public static func *= (a: inout ExactDecimal, b: ExactDecimal) { a = a * b }
    /// Multiplies; see `*`.
    public static func *= (a: inout ExactDecimal, count: some BinaryInteger) { a = a * count }

    /// Not available: a quotient has to be rounded, so a call must say how.
    @available(*, unavailable, message: "Write a.divided(by: b, scale: 2, rounding: …)")
    public static func / (a: ExactDecimal, b: ExactDecimal) -> ExactDecimal { a }

    /// The decimal nearest to `mantissa × 10^-scale`, for a scale that no decimal has.
    @inline(never)
    static func nearest(_ mantissa: Int128, scale: Int) -> ExactDecimal {
        if mantissa == 0 { return .zero }
        if scale < 0 {
            if scale >= -maximumScale {
                let (product, overflow) = mantissa.multipliedReportingOverflow(
                    by: powersOfTen[-scale])
                if !overflow { return ExactDecimal(mantissa: product, scale: 0) }
            }
            DecimalOverflow.note(.product)
            return mantissa < 0 ? .least : .greatest
        }
        // No mantissa has more than 39 digits.
        if scale > 2 * maximumScale {
            DecimalOverflow.note(.rounding)
            return .zero
        }
        let number = WideInteger(mantissa)
        return ExactDecimal(number, scale: scale) ?? nearest(number, scale, .rounding)
    }

    /// The decimal nearest to `number × 10^-scale`, which is not itself a decimal.
    private static func nearest(
        _ number: WideInteger, _ scale: Int, _ operation: DecimalOverflow
    ) -> ExactDecimal {
        DecimalOverflow.note(operation)
        for digits in stride(from: min(scale, maximumScale), through: 0, by: -1) {
            var rounded = number
            rounded.divide(
                by: 1, timesPowerOfTen: scale - digits, rounding: .toNearestOrEven)
            if let near = ExactDecimal(rounded, scale: digits) { return near }
        }
        return number.isNegative ? .least : .greatest
    }
}

/// Notes, for the calling thread, which operator returned a decimal that is only near the exact result.
@usableFromInline
enum DecimalOverflow: Int32 {
    case sum = 1
    case difference, product, rounding

    static func note(_ operation: DecimalOverflow) { kappa_set_inexact(operation.rawValue) }

    /// Throws if an operator was noted since the last clearing, and clears the note.
    @usableFromInline
    static func check() throws(KappaError) {
        if kappa_inexact() != 0 { try fail() }
    }

    /// Clears the note.
    @usableFromInline
    static func clear() { kappa_set_inexact(0) }

    @inline(never)
    private static func fail() throws(KappaError) {
        let noted = DecimalOverflow(rawValue: kappa_inexact()) ?? .sum
        clear()
        throw noted.error
    }

    var error: KappaError {
        let what =
            switch self {
            case .sum: "the sum of two decimals"
            case .difference: "the difference of two decimals"
            case .product: "the product of two decimals"
            case .rounding: "a rounded decimal"
            }
        return KappaError(
            .badInput, "\(what) does not fit", because: "it needs more than 38 digits",
            advice: "Round what goes into it: number.rounded(scale: 2)")
    }
}

extension ExactDecimal {
    /// Runs a closure, and throws where an operator in it could only return a decimal near the exact
    /// result.
    ///
    /// ```swift
    /// let due = try ExactDecimal.exactly { (price * count - discount) * rate }
    /// ```
    ///
    /// A view's closures do not need it: there, such an event becomes a dead letter anyway.
    /// - Throws: `.badInput` where a result needs more than 38 digits; what the closure throws.
    public static func exactly<R>(_ body: () throws -> R) throws -> R {
        let outer = kappa_inexact()
        defer { kappa_set_inexact(outer) }
        DecimalOverflow.clear()
        let result = try body()
        try DecimalOverflow.check()
        return result
    }
}

/// Arithmetic that throws where it cannot be exact, and rounding.
extension ExactDecimal {
    /// The exact sum.
    /// - Throws: `.badInput` where it needs more than 38 digits.
    public func adding(_ other: ExactDecimal) throws(KappaError) -> ExactDecimal {
        guard let sum = exactSum(other) else { throw DecimalOverflow.sum.error }
        return sum
    }

    /// The exact difference.
    /// - Throws: `.badInput` where it needs more than 38 digits.
    public func subtracting(_ other: ExactDecimal) throws(KappaError) -> ExactDecimal {
        guard let difference = exactDifference(other) else {
            throw DecimalOverflow.difference.error
        }
        return difference
    }

    /// The exact product.
    /// - Throws: `.badInput` where it needs more than 38 digits.
    public func multiplied(by other: ExactDecimal) throws(KappaError) -> ExactDecimal {
        guard let product = exactProduct(other) else { throw DecimalOverflow.product.error }
        return product
    }

    /// The quotient with `scale` digits after the point, rounded once.
    ///
    /// ```swift
    /// let each = try total.divided(by: 3, scale: 2, rounding: .toNearestOrEven)
    /// ```
    /// - Parameters:
    ///   - scale: Digits after the point, 0 … 38.
    ///   - rounding: How to round the rest.
    /// - Throws: `.badInput` where the divisor is zero, the scale is out of range, or the quotient needs
    ///   more than 38 digits.
    public func divided(
        by divisor: ExactDecimal, scale: Int, rounding: FloatingPointRoundingRule = .toNearestOrEven
    ) throws(KappaError) -> ExactDecimal {
        if divisor.isZero {
            throw KappaError(
                .badInput, "\(self) cannot be divided by zero",
                advice: "Check the divisor with isZero first")
        }
        guard (0...Self.maximumScale).contains(scale) else {
            throw KappaError(
                .badInput, "a quotient cannot have \(scale) digits after the point",
                because: "a decimal has 0 to 38 of them", advice: "Ask for a scale of 0 to 38")
        }
        guard let quotient = quotient(divisor, scale: scale, rounding: rounding) else {
            throw KappaError(
                .badInput, "the quotient of \(self) and \(divisor) does not fit",
                because: "with \(scale) digits after the point it needs more than 38 digits",
                advice: "Ask for a smaller scale")
        }
        return quotient
    }

    /// The number rounded to `scale` digits after the point; a number with no more digits than that
    /// stays as it is. A negative scale rounds to tens, hundreds and so on.
    ///
    /// Only a number of 38 or more digits before the point can be too large when it is rounded up:
    /// then the result is the nearest decimal, as with the operators.
    /// - Parameters:
    ///   - scale: Digits after the point.
    ///   - rounding: How to round the rest; by default, half to even.
    public func rounded(
        scale: Int = 0, rounding: FloatingPointRoundingRule = .toNearestOrEven
    ) -> ExactDecimal {
        if let rounded = exactlyRounded(scale: scale, rounding: rounding) { return rounded }
        DecimalOverflow.note(.rounding)
        return mantissa < 0 ? .least : .greatest
    }

    /// The number with the opposite sign. ``least`` has no such counterpart: it becomes ``greatest``, as
    /// with the operators.
    public var negated: ExactDecimal { -self }

    /// The number without its sign; for ``least`` it is ``greatest``, as with the operators.
    public var magnitude: ExactDecimal { mantissa < 0 ? -self : self }

    /// −1, 0 or 1.
    public var signum: Int { Int(mantissa.signum()) }

    /// Whether it is 0.
    public var isZero: Bool { mantissa == 0 }

    /// Whether it has no digits after the point.
    public var isWhole: Bool { scale == 0 }
}

extension Sequence<ExactDecimal> {
    /// The exact sum of all, 0 for none. In between, the sum may need more than 38 digits.
    /// - Throws: `.badInput` where the result needs more than 38 digits.
    public func sum() throws(KappaError) -> ExactDecimal {
        var total = DecimalTotal()
        for number in self { total.add(number) }
        guard let sum = total.sum else { throw DecimalOverflow.sum.error }
        return sum
    }
}
