/// A signed whole number of up to 512 bits: the intermediate results of sums, products and quotients of
/// decimals, before they become a result of 38 digits.
struct WideInteger: Sendable {
    /// It has no meaning for zero.
    private(set) var isNegative: Bool
    /// The magnitude, least significant limb first.
    private var limbs: InlineArray<4, UInt128>

    init(_ value: Int128) {
        isNegative = value < 0
        limbs = [value.magnitude, 0, 0, 0]
    }

    init(magnitude: UInt128, isNegative: Bool = false) {
        self.isNegative = isNegative
        limbs = [magnitude, 0, 0, 0]
    }

    var isZero: Bool { limbs[0] | limbs[1] | limbs[2] | limbs[3] == 0 }

    /// The number, if 128 bits hold it.
    var int128: Int128? {
        guard limbs[1] | limbs[2] | limbs[3] == 0 else { return nil }
        if let value = Int128(exactly: limbs[0]) { return isNegative ? -value : value }
        return isNegative && limbs[0] == Int128.min.magnitude ? .min : nil
    }

    /// How many digits it has; 0 has none.
    var digits: Int {
        var rest = self
        var count = 0
        while rest.limbs[1] | rest.limbs[2] | rest.limbs[3] != 0 {
            _ = rest.divide(by: Self.powerOfTen(38))
            count += 38
        }
        return count + Self.digits(rest.limbs[0])
    }

    static func digits(_ number: UInt128) -> Int {
        var count = 0
        while count <= 38, number >= powerOfTen(count) { count += 1 }
        return count
    }

    /// 10^n for n in 0 … 38.
    static func powerOfTen(_ exponent: Int) -> UInt128 {
        ExactDecimal.powersOfTen[exponent].magnitude
    }

    mutating func negate() { isNegative.toggle() }

    /// The product must fit 512 bits.
    mutating func multiply(by factor: UInt128) {
        var carry: UInt128 = 0
        for index in 0..<4 {
            let (high, low) = limbs[index].multipliedFullWidth(by: factor)
            let (sum, overflow) = low.addingReportingOverflow(carry)
            limbs[index] = sum
            carry = high &+ (overflow ? 1 : 0)
        }
    }

    /// Multiplies by 10^exponent, for an exponent that is not negative. The product must fit 512 bits.
    mutating func multiply(byPowerOfTen exponent: Int) {
        var rest = exponent
        while rest > 0 {
            multiply(by: Self.powerOfTen(min(rest, 38)))
            rest -= 38
        }
    }

    /// Divides the magnitude; returns the remainder.
    mutating func divide(by divisor: UInt128) -> UInt128 {
        var rest: UInt128 = 0
        for index in (0..<4).reversed() {
            if rest == 0 {
                (limbs[index], rest) = limbs[index].quotientAndRemainder(dividingBy: divisor)
            } else {
                (limbs[index], rest) = divisor.dividingFullWidth((rest, limbs[index]))
            }
        }
        return rest
    }

    /// Divides by a number times 10^exponent, for an exponent that is not negative, and rounds once.
    mutating func divide(
        by divisor: UInt128, timesPowerOfTen exponent: Int = 0,
        rounding rule: FloatingPointRoundingRule
    ) {
        var divisors = [divisor]
        var left = exponent
        while left > 0 {
            divisors.append(Self.powerOfTen(min(left, 38)))
            left -= 38
        }
        // Only the last division's remainder is compared with a half; of the earlier ones only matters
        // whether any was nonzero.
        var isInexact = false
        for divisor in divisors.dropLast() where divide(by: divisor) != 0 { isInexact = true }
        let last = divisors[divisors.count - 1]
        let rest = divide(by: last)
        guard rest != 0 || isInexact else { return }
        let isHalf = rest == last - rest && !isInexact
        let isMore = rest > last - rest || (rest == last - rest && isInexact)
        let goesUp =
            switch rule {
            case .towardZero: false
            case .awayFromZero: true
            case .up: !isNegative
            case .down: isNegative
            case .toNearestOrAwayFromZero: isMore || isHalf
            default: isMore || (isHalf && limbs[0] & 1 == 1)
            }
        if goesUp { addMagnitude(Self(magnitude: 1)) }
    }

    /// The sum must fit 512 bits.
    static func += (a: inout WideInteger, b: WideInteger) {
        if a.isNegative == b.isNegative { return a.addMagnitude(b) }
        if a.isMagnitudeLess(than: b) {
            var sum = b
            sum.subtractMagnitude(a)
            a = sum
        } else {
            a.subtractMagnitude(b)
        }
    }

    private mutating func addMagnitude(_ other: WideInteger) {
        var carry = false
        for index in 0..<4 {
            let (sum, first) = limbs[index].addingReportingOverflow(other.limbs[index])
            let (all, second) = sum.addingReportingOverflow(carry ? 1 : 0)
            limbs[index] = all
            carry = first || second
        }
    }

    private mutating func subtractMagnitude(_ other: WideInteger) {
        var borrow = false
        for index in 0..<4 {
            let (rest, first) = limbs[index].subtractingReportingOverflow(other.limbs[index])
            let (all, second) = rest.subtractingReportingOverflow(borrow ? 1 : 0)
            limbs[index] = all
            borrow = first || second
        }
    }

    private func isMagnitudeLess(than other: WideInteger) -> Bool {
        for index in (0..<4).reversed() where limbs[index] != other.limbs[index] {
            return limbs[index] < other.limbs[index]
        }
        return false
    }
}

/// Division of integers with a choice of rounding.
enum WholeDivision {
    /// Swift's rules of rounding. Accumulators hold one: Swift's own type may gain cases, so the
    /// compiler copies whatever holds it through calls.
    enum Rounding: Sendable {
        case towardZero, awayFromZero, up, down, toNearestOrAwayFromZero, toNearestOrEven

        init(_ rule: FloatingPointRoundingRule) {
            switch rule {
            case .towardZero: self = .towardZero
            case .awayFromZero: self = .awayFromZero
            case .up: self = .up
            case .down: self = .down
            case .toNearestOrAwayFromZero: self = .toNearestOrAwayFromZero
            case .toNearestOrEven: self = .toNearestOrEven
            @unknown default: self = .towardZero
            }
        }
    }

    /// `sum / count`, rounded; `count` is positive, and the quotient fits 64 bits: it is a mean of
    /// such integers.
    static func divide(_ sum: Int128, by count: Int64, rounding: Rounding) -> Int64 {
        let (quotient, rest) = sum.quotientAndRemainder(dividingBy: Int128(count))
        let cut = Int64(truncatingIfNeeded: quotient)
        guard rest != 0 else { return cut }
        let away = cut &+ (sum < 0 ? -1 : 1)
        let half = 2 * rest.magnitude
        let whole = UInt128(count.magnitude)
        switch rounding {
        case .towardZero: return cut
        case .awayFromZero: return away
        case .up: return sum < 0 ? cut : away
        case .down: return sum < 0 ? away : cut
        case .toNearestOrAwayFromZero: return half >= whole ? away : cut
        case .toNearestOrEven:
            if half == whole { return cut % 2 == 0 ? cut : away }
            return half > whole ? away : cut
        }
    }
}
