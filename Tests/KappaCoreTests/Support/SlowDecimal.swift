import KappaTesting

/// Arithmetic as on paper, digit by digit: slow, and obviously correct. The reference for kappa's decimals.
struct SlowDecimal {
    var isNegative = false
    /// Most significant first, without leading zeros: zero has none.
    var digits: [Int]
    var scale: Int

    init(_ text: String) {
        var text = Substring(text)
        isNegative = text.first == "-"
        if isNegative { text.removeFirst() }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        scale = parts.count > 1 ? parts[1].count : 0
        digits = Self.trimmed(parts.joined().compactMap(\.wholeNumberValue))
    }

    init(isNegative: Bool, digits: [Int], scale: Int) {
        self.isNegative = isNegative
        self.digits = Self.trimmed(digits)
        self.scale = scale
    }

    /// Without leading and trailing zeros: `-12.5`.
    var text: String {
        var (digits, scale) = (digits, scale)
        while scale > 0, digits.last ?? 0 == 0 {
            if !digits.isEmpty { digits.removeLast() }
            scale -= 1
        }
        if digits.isEmpty { return "0" }
        if digits.count <= scale {
            digits = [Int](repeating: 0, count: scale + 1 - digits.count) + digits
        }
        var text = digits.map(String.init).joined()
        if scale > 0 { text.insert(".", at: text.index(text.endIndex, offsetBy: -scale)) }
        return (isNegative ? "-" : "") + text
    }

    static func + (a: Self, b: Self) -> Self {
        let scale = max(a.scale, b.scale)
        let (x, y) = (a.digits(at: scale), b.digits(at: scale))
        if a.isNegative == b.isNegative {
            return Self(isNegative: a.isNegative, digits: sum(x, y), scale: scale)
        }
        if isLess(x, y) {
            return Self(isNegative: b.isNegative, digits: difference(y, x), scale: scale)
        }
        return Self(isNegative: a.isNegative, digits: difference(x, y), scale: scale)
    }

    static prefix func - (a: Self) -> Self {
        Self(isNegative: !a.isNegative, digits: a.digits, scale: a.scale)
    }

    static func * (a: Self, b: Self) -> Self {
        var product: [Int] = []
        for digit in b.digits {
            product = product.isEmpty ? [] : product + [0]
            for _ in 0..<digit { product = sum(product, a.digits) }
        }
        return Self(
            isNegative: a.isNegative != b.isNegative, digits: product, scale: a.scale + b.scale)
    }

    /// The quotient with `scale` digits after the point, which may be negative.
    func divided(by other: Self, scale: Int, _ rule: FloatingPointRoundingRule) -> Self {
        let shift = scale + other.scale - self.scale
        let dividend = digits + [Int](repeating: 0, count: max(0, shift))
        let divisor = other.digits + [Int](repeating: 0, count: max(0, -shift))
        var (quotient, rest): ([Int], [Int]) = ([], [])
        for digit in dividend {
            rest = Self.trimmed(rest + [digit])
            var count = 0
            while !Self.isLess(rest, divisor) {
                rest = Self.difference(rest, divisor)
                count += 1
            }
            quotient.append(count)
        }
        let isNegative = isNegative != other.isNegative
        let twice = Self.sum(rest, rest)
        let (isMore, isHalf) = (Self.isLess(divisor, twice), twice == divisor)
        let goesUp =
            switch rule {
            case .towardZero: false
            case .awayFromZero: !rest.isEmpty
            case .up: !rest.isEmpty && !isNegative
            case .down: !rest.isEmpty && isNegative
            case .toNearestOrAwayFromZero: isMore || isHalf
            default: isMore || (isHalf && (quotient.last ?? 0) % 2 == 1)
            }
        if goesUp { quotient = Self.sum(quotient, [1]) }
        var result = Self(isNegative: isNegative, digits: quotient, scale: scale)
        if scale < 0, !result.digits.isEmpty {
            result.digits += [Int](repeating: 0, count: -scale)
        }
        result.scale = max(0, scale)
        return result
    }

    /// The quotient as SQL's functions give it: exact if 38 digits suffice, else with 28 digits.
    func divided(by other: Self) -> Self {
        if digits.isEmpty { return Self("0") }
        let exact = divided(by: other, scale: 38, .towardZero)
        if (exact * other + -self).digits.isEmpty, exact.fits { return exact }
        // The exponent of the first digit, from a quotient with digits to spare.
        let rough = divided(by: other, scale: 90, .towardZero)
        let scale = 28 - (rough.digits.count - 90)
        return divided(by: other, scale: min(scale, 38), .toNearestOrEven)
    }

    /// Whether a decimal of kappa's can hold it.
    var fits: Bool { ExactDecimalText.fits(text) }

    static func < (a: Self, b: Self) -> Bool {
        let difference = a + -b
        return difference.isNegative && !difference.digits.isEmpty
    }

    private func digits(at scale: Int) -> [Int] {
        digits.isEmpty ? [] : digits + [Int](repeating: 0, count: scale - self.scale)
    }

    private static func trimmed(_ digits: [Int]) -> [Int] { Array(digits.drop { $0 == 0 }) }

    private static func isLess(_ a: [Int], _ b: [Int]) -> Bool {
        a.count != b.count ? a.count < b.count : a.lexicographicallyPrecedes(b)
    }

    private static func sum(_ a: [Int], _ b: [Int]) -> [Int] {
        let (long, short) = a.count < b.count ? (b, a) : (a, b)
        var (sum, carry) = (long, 0)
        for index in long.indices.reversed() {
            let other = index - (long.count - short.count)
            let digit = long[index] + (other >= 0 ? short[other] : 0) + carry
            (sum[index], carry) = (digit % 10, digit / 10)
        }
        return carry > 0 ? [carry] + sum : trimmed(sum)
    }

    private static func difference(_ a: [Int], _ b: [Int]) -> [Int] {
        var (rest, borrow) = (a, 0)
        for index in a.indices.reversed() {
            let other = index - (a.count - b.count)
            let digit = a[index] - (other >= 0 ? b[other] : 0) - borrow
            (rest[index], borrow) = digit < 0 ? (digit + 10, 1) : (digit, 0)
        }
        return trimmed(rest)
    }
}

/// The texts that fit kappa's decimals: 38 digits after the point, and all digits as an integer of 128 bits.
enum ExactDecimalText {
    private static let most = "170141183460469231731687303715884105727"

    static func fits(_ text: String) -> Bool {
        let parts = text.drop { $0 == "-" }.split(separator: ".")
        guard parts.count < 2 || parts[1].count <= 38 else { return false }
        let digits = String(parts.joined().drop { $0 == "0" })
        let bound = text.hasPrefix("-") ? String(most.dropLast()) + "8" : most
        return digits.count < bound.count || (digits.count == bound.count && digits <= bound)
    }
}

extension SplitMix {
    /// The canonical text of a decimal of any sign, scale and width; often close to the bounds.
    mutating func decimalText() -> String {
        let edges = [
            "0", "1", "-1", "0.1", "9223372036854775807", "-9223372036854775808",
            "9223372036854775808", "999999999999999", "1000000000000000", "9007199254740993",
            "170141183460469231731687303715884105727", "-170141183460469231731687303715884105728",
            "-1.70141183460469231731687303715884105728",
            "0.00000000000000000000000000000000000001", "-0.0000000000000000000001",
            "12345678.9012345", "0.1234567890123456", "99999999999999999999999999999999999999",
        ]
        if chance(1, in: 6) { return edges[below(edges.count)] }
        while true {
            let count = 1 + below(chance(1, in: 2) ? 6 : 39)
            let digits = (0..<count).map { _ in below(10) }
            let scale = below(chance(1, in: 2) ? 4 : 39)
            let text = SlowDecimal(isNegative: chance(1, in: 2), digits: digits, scale: scale).text
            if ExactDecimalText.fits(text) { return text }
        }
    }
}
