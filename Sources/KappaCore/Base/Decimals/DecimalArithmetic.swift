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

    /// The quotient with so many digits after the point, rounded once.
    ///
    /// ```swift
    /// let each = try total.divided(by: 3, scale: 2, rounding: .toNearestOrEven)
    /// ```
    /// - Parameters:
    ///   - scale: Digits after the point, 0 … 38.
    ///   - rounding: What becomes of the rest.
    /// - Throws: `.badInput` where the divisor is zero, the scale is no such number, or the
    ///   quotient needs more than 38 digits.
    public func divided(
        by divisor: ExactDecimal, scale: Int, rounding: FloatingPointRoundingRule = .toNearestOrEven
    ) throws(KappaError) -> ExactDecimal {
        if divisor.isZero {
            throw KappaError(
                .badInput, "\(self) cannot be divided by zero",
                advice: "Look at the divisor first: isZero tells")
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

    /// Rounded to so many digits after the point; a number that has no more of them is as it was. A
    /// negative scale rounds to tens, hundreds and so on.
    ///
    /// Only a number of 38 or more digits before the point can be too large when it is rounded up:
    /// then the result is the nearest decimal, as with the operators.
    /// - Parameters:
    ///   - scale: Digits after the point.
    ///   - rounding: What becomes of the rest: by default half goes to the even digit.
    public func rounded(
        scale: Int = 0, rounding: FloatingPointRoundingRule = .toNearestOrEven
    ) -> ExactDecimal {
        if let rounded = exactlyRounded(scale: scale, rounding: rounding) { return rounded }
        DecimalOverflow.note(.rounding)
        return mantissa < 0 ? .least : .greatest
    }

    /// The number with the other sign. ``least`` has no such number: it becomes ``greatest``, as
    /// with the operators.
    public var negated: ExactDecimal { -self }

    /// The number without its sign; of ``least`` it is ``greatest``, as with the operators.
    public var magnitude: ExactDecimal { mantissa < 0 ? -self : self }

    /// −1, 0 or 1.
    public var signum: Int { Int(mantissa.signum()) }

    /// Whether it is 0.
    public var isZero: Bool { mantissa == 0 }

    /// Whether it has no digits after the point.
    public var isWhole: Bool { scale == 0 }
}

extension Sequence<ExactDecimal> {
    /// The exact sum of all, 0 for none. On its way it may need more than 38 digits.
    /// - Throws: `.badInput` where the result needs more than 38 digits.
    public func sum() throws(KappaError) -> ExactDecimal {
        var total = DecimalTotal()
        for number in self { total.add(number) }
        guard let sum = total.sum else { throw DecimalOverflow.sum.error }
        return sum
    }
}
