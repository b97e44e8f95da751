/// Exact results, or none: the basis of the operators, of SQL's functions and of the engine's sums.
extension ExactDecimal {
    /// The significant digits to which a nonterminating quotient is rounded.
    package static let quotientDigits = 28

    /// `number × 10^-scale`, for a scale that is not negative; nil where it needs more than 38 digits.
    init?(_ number: WideInteger, scale: Int) {
        if scale <= Self.maximumScale, let mantissa = number.int128 {
            self.init(mantissa: mantissa, scale: scale)
            return
        }
        var (rest, scale) = (number, scale)
        while scale > 0 {
            var shorter = rest
            guard shorter.divide(by: 10) == 0 else { break }
            rest = shorter
            scale -= 1
        }
        guard scale <= Self.maximumScale, let mantissa = rest.int128 else { return nil }
        self.init(mantissa: mantissa, scale: scale)
    }

    /// The exact sum; nil where it needs more than 38 digits.
    package func exactSum(_ other: ExactDecimal) -> ExactDecimal? {
        narrowSum(other.mantissa, other.scale)
            ?? ExactDecimal(wideSum(other), scale: max(scale, other.scale))
    }

    /// The exact difference; nil where it needs more than 38 digits.
    package func exactDifference(_ other: ExactDecimal) -> ExactDecimal? {
        if other.mantissa != .min, let difference = narrowSum(-other.mantissa, other.scale) {
            return difference
        }
        return ExactDecimal(wideDifference(other), scale: max(scale, other.scale))
    }

    /// The exact product; nil where it needs more than 38 digits.
    package func exactProduct(_ other: ExactDecimal) -> ExactDecimal? {
        let scale = scale + other.scale
        let (product, overflow) = mantissa.multipliedReportingOverflow(by: other.mantissa)
        if !overflow, scale <= Self.maximumScale {
            return ExactDecimal(mantissa: product, scale: scale)
        }
        return ExactDecimal(wideProduct(other), scale: scale)
    }

    /// The sum, if 128 bits suffice for every step; otherwise nil.
    private func narrowSum(_ addend: Int128, _ addendScale: Int) -> ExactDecimal? {
        var (a, b) = (mantissa, addend)
        if scale != addendScale {
            let common = max(scale, addendScale)
            let (x, overflow) = a.multipliedReportingOverflow(by: Self.powersOfTen[common - scale])
            let (y, overflowed) = b.multipliedReportingOverflow(
                by: Self.powersOfTen[common - addendScale])
            if overflow || overflowed { return nil }
            (a, b) = (x, y)
        }
        let (sum, overflow) = a.addingReportingOverflow(b)
        return overflow ? nil : ExactDecimal(mantissa: sum, scale: max(scale, addendScale))
    }

    /// The sum, at the larger scale: two numbers too far apart for 128 bits may still have a short sum.
    func wideSum(_ other: ExactDecimal) -> WideInteger {
        wideSum(WideInteger(other.mantissa), other.scale)
    }

    /// The difference, at the larger scale.
    func wideDifference(_ other: ExactDecimal) -> WideInteger {
        var negative = WideInteger(other.mantissa)
        negative.negate()
        return wideSum(negative, other.scale)
    }

    /// The product, at the sum of both scales.
    func wideProduct(_ other: ExactDecimal) -> WideInteger {
        var product = WideInteger(mantissa)
        product.multiply(by: other.mantissa.magnitude)
        if other.mantissa < 0 { product.negate() }
        return product
    }

    private func wideSum(_ addend: WideInteger, _ addendScale: Int) -> WideInteger {
        let common = max(scale, addendScale)
        var sum = WideInteger(mantissa)
        sum.multiply(byPowerOfTen: common - scale)
        var more = addend
        more.multiply(byPowerOfTen: common - addendScale)
        sum += more
        return sum
    }

    /// The quotient with `digits` digits after the point, rounded once; nil where it needs more than 38
    /// digits. The divisor must not be zero, and the scale must be 0 … 38.
    package func quotient(
        _ divisor: ExactDecimal, scale digits: Int, rounding: FloatingPointRoundingRule
    ) -> ExactDecimal? {
        let exponent = digits + divisor.scale - scale
        var quotient = WideInteger(mantissa)
        if divisor.mantissa < 0 { quotient.negate() }
        quotient.multiply(byPowerOfTen: max(0, exponent))
        quotient.divide(
            by: divisor.mantissa.magnitude, timesPowerOfTen: max(0, -exponent), rounding: rounding)
        return ExactDecimal(quotient, scale: digits)
    }

    /// The quotient: exact where it ends within 38 digits, otherwise rounded to 28 significant digits,
    /// half to even. Nil where it needs more than 38 digits before the point. The divisor must not be
    /// zero.
    package func quotient(_ divisor: ExactDecimal) -> ExactDecimal? {
        var dividend = WideInteger(mantissa)
        if divisor.mantissa < 0 { dividend.negate() }
        return Self.quotient(
            dividend, scale: scale - divisor.scale, by: divisor.mantissa.magnitude)
    }

    /// `dividend × 10^-scale / divisor`, as ``quotient(_:)``.
    static func quotient(
        _ dividend: WideInteger, scale: Int, by divisor: UInt128
    ) -> ExactDecimal? {
        var (dividend, scale) = (dividend, scale)
        if scale < 0 {
            dividend.multiply(byPowerOfTen: -scale)
            scale = 0
        }
        let mostShift = maximumScale - scale
        var exact = dividend
        exact.multiply(byPowerOfTen: mostShift)
        if exact.divide(by: divisor) == 0, let quotient = ExactDecimal(exact, scale: maximumScale) {
            return quotient
        }
        // With this shift the quotient has 28 or 29 digits before the point.
        var shift = quotientDigits - dividend.digits + WideInteger.digits(divisor)
        let longest = shifted(dividend, shift, divisor, .towardZero)
        if longest.digits > quotientDigits { shift -= 1 }
        shift = min(shift, mostShift)
        var quotient = shifted(dividend, shift, divisor, .toNearestOrEven)
        if scale + shift < 0 { quotient.multiply(byPowerOfTen: -(scale + shift)) }
        return ExactDecimal(quotient, scale: max(0, scale + shift))
    }

    private static func shifted(
        _ dividend: WideInteger, _ shift: Int, _ divisor: UInt128,
        _ rounding: FloatingPointRoundingRule
    ) -> WideInteger {
        var quotient = dividend
        quotient.multiply(byPowerOfTen: max(0, shift))
        quotient.divide(by: divisor, timesPowerOfTen: max(0, -shift), rounding: rounding)
        return quotient
    }

    /// The number rounded to `digits` digits after the point; a negative `digits` rounds to tens,
    /// hundreds and so on. Nil where rounding up needs more than 38 digits.
    package func exactlyRounded(
        scale digits: Int, rounding: FloatingPointRoundingRule
    ) -> ExactDecimal? {
        if digits >= scale { return self }
        // No number has more than 39 digits before the point.
        let digits = max(digits, -40)
        var rounded = WideInteger(mantissa)
        rounded.divide(by: 1, timesPowerOfTen: scale - digits, rounding: rounding)
        if digits < 0 { rounded.multiply(byPowerOfTen: -digits) }
        return ExactDecimal(rounded, scale: max(0, digits))
    }
}

/// An exact sum of decimals from which numbers can be removed again. In between it may need more digits
/// than a decimal has.
struct DecimalTotal {
    /// How many numbers it sums up.
    private(set) var count = 0
    /// Most sums stay here: `small × 10^-scale`.
    private var small: Int128 = 0
    private var scale = 0
    /// What did not fit ``small``, in units of 10^-38.
    private var wide: WideInteger?

    mutating func add(_ number: ExactDecimal) {
        count += 1
        add(number.mantissa, number.scale)
    }

    mutating func remove(_ number: ExactDecimal) {
        count -= 1
        if number.mantissa == .min {
            return addWide(WideInteger(magnitude: number.mantissa.magnitude), number.scale)
        }
        add(-number.mantissa, number.scale)
    }

    /// Nil where it needs more than 38 digits.
    var sum: ExactDecimal? {
        wide == nil
            ? ExactDecimal(mantissa: small, scale: scale)
            : ExactDecimal(all, scale: ExactDecimal.maximumScale)
    }

    /// The sum divided by ``count``, which is not zero, as ``ExactDecimal/quotient(_:)``.
    var average: ExactDecimal? {
        let divisor = UInt128(count.magnitude)
        return wide == nil
            ? ExactDecimal.quotient(WideInteger(small), scale: scale, by: divisor)
            : ExactDecimal.quotient(all, scale: ExactDecimal.maximumScale, by: divisor)
    }

    private mutating func add(_ mantissa: Int128, _ newScale: Int) {
        var mantissa = mantissa
        if newScale > scale {
            let power = ExactDecimal.powersOfTen[newScale - scale]
            let (scaled, overflow) = small.multipliedReportingOverflow(by: power)
            if overflow { spill() } else { small = scaled }
            scale = newScale
        } else if newScale < scale {
            let power = ExactDecimal.powersOfTen[scale - newScale]
            let (scaled, overflow) = mantissa.multipliedReportingOverflow(by: power)
            if overflow { return addWide(WideInteger(mantissa), newScale) }
            mantissa = scaled
        }
        let (sum, overflow) = small.addingReportingOverflow(mantissa)
        if overflow {
            spill()
            small = mantissa
        } else {
            small = sum
        }
    }

    private mutating func spill() {
        addWide(WideInteger(small), scale)
        small = 0
    }

    private mutating func addWide(_ number: WideInteger, _ scale: Int) {
        var number = number
        number.multiply(byPowerOfTen: ExactDecimal.maximumScale - scale)
        if let before = wide { number += before }
        wide = number
    }

    private var all: WideInteger {
        var all = WideInteger(small)
        all.multiply(byPowerOfTen: ExactDecimal.maximumScale - scale)
        if let wide { all += wide }
        return all
    }
}
