import KappaTesting
import Testing

@testable import KappaCore

@Suite("ExactDecimal") struct DecimalTests {
    @Test(
        "a JSON number's text is read exactly",
        arguments: [
            ("0", "0"), ("-0", "0"), ("0.00", "0"), ("0e5", "0"), ("0e-900", "0"), ("7", "7"),
            ("-12.50", "-12.5"), ("0.1", "0.1"), ("100", "100"), ("100.00", "100"),
            ("1e2", "100"), ("1E2", "100"), ("1e+2", "100"), ("1.5e1", "15"), ("15e-1", "1.5"),
            ("1e-38", "0.00000000000000000000000000000000000001"),
            ("1e37", "10000000000000000000000000000000000000"),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
            (
                "-0.99999999999999999999999999999999999999",
                "-0.99999999999999999999999999999999999999"
            ),
            ("9223372036854775807", "9223372036854775807"),
            ("123456789012345678.9", "123456789012345678.9"),
        ])
    func reads(text: String, written: String) {
        #expect(ExactDecimal(text)?.description == written)
    }

    @Test(
        "a text that is not a number, or needs more than 38 digits, is refused",
        arguments: [
            "", "-", "+1", ".", ".5", "5.", "-.5", "1..2", "1.2.3", "1e", "1e+", "e5", "1e1.5",
            "0x10", "1 ", " 1", "1_000", "1,5", "NaN", "Infinity", "٣", "1e400", "1e-400", "-1e999",
            "1e1001", "-170141183460469231731687303715884105729",
            "1e9223372036854775807", "1e-9223372036854775808", "1e99999999999999999999",
            "1e39", "1000000000000000000000000000000000000000",
            "170141183460469231731687303715884105728",
            "0.000000000000000000000000000000000000001",
        ])
    func refuses(text: String) {
        #expect(ExactDecimal(text) == nil)
    }

    /// A decimal of any size, as its digits and the place of its point.
    private static func text(_ random: inout SplitMix, digits most: Int) -> String {
        let count = 1 + random.below(most)
        var digits = (0..<count).map { _ in "\(random.below(10))" }.joined()
        if random.chance(1, in: 2), count > 1 {
            let index = digits.index(digits.startIndex, offsetBy: 1 + random.below(count - 1))
            digits.insert(".", at: index)
        }
        return (random.chance(1, in: 2) ? "-" : "") + digits
    }

    @Test(
        "what is written is read back, and equal numbers are equal values",
        arguments: Seeds.random(20))
    func roundTrip(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        for _ in 0..<300 {
            let text = Self.text(&random, digits: 38)
            let decimal = try #require(ExactDecimal(text), "\(text)")
            #expect(ExactDecimal(decimal.description) == decimal)
            let padded = text.contains(".") ? text + "0" : text + ".0"
            if text.count < 38 { #expect(ExactDecimal(padded) == decimal) }
            #expect(LongNumber(text) == LongNumber(decimal.description))
        }
    }

    @Test(
        "sums are exact, and decimals compare as numbers", arguments: Seeds.random(20))
    func sums(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        for _ in 0..<300 {
            let digits = random.pick([3, 18, 30, 38])
            let a = Self.text(&random, digits: digits)
            let b = Self.text(&random, digits: digits)
            let x = try #require(ExactDecimal(a))
            let y = try #require(ExactDecimal(b))
            let exact = LongNumber(a).adding(LongNumber(b))
            if let sum = x.exactSum(y) {
                #expect(LongNumber(sum.description) == exact, "\(a) + \(b)")
            } else {
                #expect(exact.significantDigits > 38, "\(a) + \(b)")
            }
            #expect((x < y) == LongNumber(a).isLess(than: LongNumber(b)), "\(a) < \(b)")
            #expect((y < x) == LongNumber(b).isLess(than: LongNumber(a)), "\(b) < \(a)")
            #expect((x == y) == (LongNumber(a) == LongNumber(b)), "\(a) == \(b)")
        }
    }
}

@Suite("Decimals in a store") struct DecimalCellTests {
    @Test(
        "a decimal that is stored as a double comes back exactly", arguments: Seeds.random(10))
    func doubles(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        for _ in 0..<1_000 {
            let bound = ExactDecimal.powersOfTen[1 + random.below(15)]
            let mantissa = Int64.random(in: Int64(-bound + 1)..<Int64(bound), using: &random)
            let scale = random.below(23)
            let decimal = ExactDecimal(mantissa: Int128(mantissa), scale: scale)
            let double =
                Double(Int64(decimal.mantissa)) / Double(ExactDecimal.powersOfTen[decimal.scale])
            #expect(DecimalCell.decimal(of: double) == decimal, "\(decimal)")
        }
    }
}

/// A decimal number as an array of digits around a point: slow and obvious.
struct LongNumber: Equatable {
    static let places = 50
    /// 50 digits before and 50 after the point, most significant first. The sign is separate; there is no
    /// complement.
    var digits = [Int](repeating: 0, count: 2 * places)
    var isNegative = false

    init(_ text: String) {
        isNegative = text.hasPrefix("-")
        let parts = text.drop { $0 == "-" }.split(separator: ".")
        for (index, digit) in parts[0].reversed().enumerated() {
            digits[Self.places - 1 - index] = digit.wholeNumberValue ?? 0
        }
        if parts.count > 1 {
            for (index, digit) in parts[1].enumerated() {
                digits[Self.places + index] = digit.wholeNumberValue ?? 0
            }
        }
        if digits.allSatisfy({ $0 == 0 }) { isNegative = false }
    }

    /// Digits from the first that is not zero (or the point) to the last that is not zero (or the
    /// point).
    var significantDigits: Int {
        let first = min(digits.firstIndex { $0 != 0 } ?? Self.places, Self.places)
        let last = max((digits.lastIndex { $0 != 0 } ?? 0) + 1, Self.places)
        return last - first
    }

    func isLess(than other: LongNumber) -> Bool {
        if isNegative != other.isNegative { return isNegative }
        return isNegative
            ? other.digits.lexicographicallyPrecedes(digits)
            : digits.lexicographicallyPrecedes(other.digits)
    }

    func adding(_ other: LongNumber) -> LongNumber {
        var result = self
        if isNegative == other.isNegative {
            var carry = 0
            for index in digits.indices.reversed() {
                let sum = digits[index] + other.digits[index] + carry
                result.digits[index] = sum % 10
                carry = sum / 10
            }
            return result
        }
        let mineIsLarger = !digits.lexicographicallyPrecedes(other.digits)
        let (large, small) = mineIsLarger ? (self, other) : (other, self)
        var borrow = 0
        for index in digits.indices.reversed() {
            var difference = large.digits[index] - small.digits[index] - borrow
            borrow = difference < 0 ? 1 : 0
            if difference < 0 { difference += 10 }
            result.digits[index] = difference
        }
        result.isNegative = large.isNegative && result.digits.contains { $0 != 0 }
        return result
    }
}
