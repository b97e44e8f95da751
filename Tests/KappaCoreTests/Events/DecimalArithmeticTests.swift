import Foundation
import KappaCore
import KappaTesting
import Testing

@Suite("Arithmetic of decimals") struct DecimalArithmeticTests {
    private static func decimal(_ text: String) throws -> ExactDecimal {
        try #require(ExactDecimal(text), "\(text)")
    }

    @Test("value-added tax takes one line")
    func tax() throws {
        let net: ExactDecimal = 19.99
        let rate: ExactDecimal = 0.19
        let tax = (net * rate).rounded(scale: 2, rounding: .toNearestOrAwayFromZero)
        #expect(tax.description == "3.8")
        #expect((net + tax).description == "23.79")
        #expect((3 * net - 1).description == "58.97")
        #expect((-net * 2).description == "-39.98")
        let third = try (net + tax).divided(by: 3, scale: 2, rounding: .toNearestOrEven)
        #expect(third.description == "7.93")
    }

    @Test("operators and methods are exact, or say so", arguments: Seeds.random(10))
    func arithmetic(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        for _ in 0..<150 {
            let (a, b) = (random.decimalText(), random.decimalText())
            let (x, y) = (try Self.decimal(a), try Self.decimal(b))
            let (slowX, slowY) = (SlowDecimal(a), SlowDecimal(b))
            try Self.check(
                slowX + slowY, x + y, { try x.adding(y) }, { try ExactDecimal.exactly { x + y } })
            try Self.check(
                slowX + -slowY, x - y, { try x.subtracting(y) },
                { try ExactDecimal.exactly { x - y } })
            try Self.check(
                slowX * slowY, x * y, { try x.multiplied(by: y) },
                { try ExactDecimal.exactly { x * y } })
            try Self.check(
                -slowX, -x, { try ExactDecimal.zero.subtracting(x) },
                { try ExactDecimal.exactly { -x } })
        }
    }

    private static func check(
        _ expected: SlowDecimal, _ found: ExactDecimal, _ throwing: () throws -> ExactDecimal,
        _ exactly: () throws -> ExactDecimal
    ) throws {
        if expected.fits {
            #expect(found.description == expected.text)
            #expect(try throwing() == found)
            #expect(try exactly() == found)
            return
        }
        let errors = [
            #expect(throws: KappaError.self) { try throwing() },
            #expect(throws: KappaError.self) { try exactly() },
        ]
        for error in errors { #expect(error?.code == .badInput) }
        // The nearest decimal: none lies between it and the exact result.
        if expected < SlowDecimal(ExactDecimal.least.description) {
            #expect(found == .least)
        } else if SlowDecimal(ExactDecimal.greatest.description) < expected {
            #expect(found == .greatest)
        } else {
            let off = SlowDecimal(found.description) + -expected
            var step = SlowDecimal("1")
            step.scale = found.scale
            #expect(off < step && -off < step, "\(found) for \(expected.text)")
        }
    }

    @Test("division and rounding follow every rounding rule", arguments: Seeds.random(8))
    func rounding(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let rules: [FloatingPointRoundingRule] = [
            .toNearestOrEven, .toNearestOrAwayFromZero, .up, .down, .towardZero, .awayFromZero,
        ]
        for _ in 0..<80 {
            let (a, b) = (random.decimalText(), random.decimalText())
            let rule = random.pick(rules)
            let scale = random.below(39)
            let (x, y) = (try Self.decimal(a), try Self.decimal(b))
            if !y.isZero {
                let expected = SlowDecimal(a).divided(by: SlowDecimal(b), scale: scale, rule)
                let found = try? x.divided(by: y, scale: scale, rounding: rule)
                #expect(
                    found?.description == (expected.fits ? expected.text : nil),
                    "\(a) / \(b), \(scale), \(rule)")
            }
            let digits = random.below(44) - 4
            let number = SlowDecimal(a)
            let expected =
                digits >= number.scale
                ? number : number.divided(by: SlowDecimal("1"), scale: digits, rule)
            let found = x.rounded(scale: digits, rounding: rule)
            if expected.fits {
                #expect(found.description == expected.text, "\(a), \(digits), \(rule)")
            } else {
                #expect(found == .greatest || found == .least)
            }
        }
        #expect(try Self.decimal("12345.5").rounded(scale: -2).description == "12300")
        #expect(try Self.decimal("2.5").rounded() == 2)
        for scale in [-1, 39] {
            #expect(throws: KappaError.self) { try ExactDecimal(1).divided(by: 3, scale: scale) }
        }
        #expect(throws: KappaError.self) { try ExactDecimal(1).divided(by: 0, scale: 2) }
    }

    @Test("integers of all types convert both ways")
    func integers() {
        #expect(ExactDecimal(UInt64.max).description == "18446744073709551615")
        #expect(ExactDecimal(UInt128.max) == .greatest)
        #expect(ExactDecimal(exactly: UInt128.max) == nil)
        #expect(ExactDecimal(exactly: Int8(-5)) == -5)
        #expect(Int(exactly: ExactDecimal(42)) == 42)
        #expect(Int(exactly: 42.5 as ExactDecimal) == nil)
        #expect(Int8(exactly: 128 as ExactDecimal) == nil)
        #expect(Int8(clamping: 128.5 as ExactDecimal) == 127)
        #expect(Int(clamping: -7.9 as ExactDecimal) == -7)
        #expect(UInt(clamping: -7.9 as ExactDecimal) == 0)
        #expect(Int(clamping: ExactDecimal.greatest) == .max)
        let count: UInt16 = 3
        #expect(count * (1.5 as ExactDecimal) == 4.5)
        #expect((1.5 as ExactDecimal) * UInt128.max == .greatest)
        #expect((-1.5 as ExactDecimal) * UInt128.max == .least)
        #expect([1.5, 2, -0.25].reduce(.zero, +) as ExactDecimal == 3.25)
        #expect(ExactDecimal(-3).magnitude == 3 && ExactDecimal(-3).signum == -1)
        #expect(ExactDecimal.least.negated == .greatest)
    }

    @Test("intermediate sums may need more digits than the result")
    func sums() throws {
        let all: [ExactDecimal] = [.greatest, .greatest, 0.25, .least, .least, 2]
        #expect(try all.sum() == 0.25)
        #expect(try [ExactDecimal]().sum() == 0)
        #expect(throws: KappaError.self) { try [ExactDecimal.greatest, 1].sum() }
    }

    @Test("doubles convert as they print, or exactly", arguments: Seeds.random(4))
    func doubles(seed: UInt64) throws {
        let tenth = 0.1
        #expect(ExactDecimal(tenth)?.description == "0.1")
        #expect(ExactDecimal(exactly: 0.1) == nil)
        #expect(ExactDecimal(exactly: 0.375)?.description == "0.375")
        #expect(ExactDecimal(exactly: -0.0) == 0)
        #expect(ExactDecimal(exactly: -1e22)?.description == "-10000000000000000000000")
        #expect(
            ExactDecimal(exactly: 0x1p-38)?.description.hasPrefix("0.0000000000036379788") == true)
        for bad in [
            Double.nan, .infinity, -.infinity, 1e300, .leastNonzeroMagnitude, .leastNormalMagnitude,
        ] {
            #expect(ExactDecimal(bad) == nil && ExactDecimal(exactly: bad) == nil, "\(bad)")
        }
        var random = SplitMix(state: seed)
        for _ in 0..<500 {
            let double = Double(bitPattern: random.next())
            if let decimal = ExactDecimal(double) { #expect(Double(decimal) == double) }
            let power = Double(sign: .plus, exponent: random.below(90) - 30, significand: 1)
            let whole = Double(Int64(random.below(1 << 30))) * power
            if let exact = ExactDecimal(exactly: whole) { #expect(Double(exact) == whole) }
        }
    }

    @Test("JSON has decimals as numbers, to the last digit", arguments: Seeds.random(10))
    func json(seed: UInt64) throws {
        struct Row: Codable, Equatable {
            var total: ExactDecimal
            var parts: [ExactDecimal]
            var byName: [String: ExactDecimal]
            var maybe: ExactDecimal?
        }
        let fixed = try JSONEncoder().encode([0, 12.5, -0.01] as [ExactDecimal])
        #expect(String(decoding: fixed, as: UTF8.self) == "[0,12.5,-0.01]")
        var random = SplitMix(state: seed)
        for _ in 0..<60 {
            let texts = (0..<3).map { _ in random.decimalText() }
            let row = Row(
                total: try Self.decimal(texts[0]), parts: [try Self.decimal(texts[1])],
                byName: ["x": try Self.decimal(texts[2])])
            let json = try JSONEncoder().encode(row)
            let text = String(decoding: json, as: UTF8.self)
            #expect(text.contains(#""total":\#(row.total)"#), "\(text)")
            #expect(text.contains(#""parts":[\#(row.parts[0])]"#), "\(text)")
            #expect(try JSONDecoder().decode(Row.self, from: json) == row)
            let list = try PropertyListEncoder().encode(row)
            #expect(try PropertyListDecoder().decode(Row.self, from: list) == row)
        }
        let long = try JSONDecoder().decode(
            [ExactDecimal].self, from: Data(#"[0.1234567890123456789, "2.5"]"#.utf8))
        #expect(long.map(\.description) == ["0.1234567890123456789", "2.5"])
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([ExactDecimal].self, from: Data("[1e60]".utf8))
        }
    }

    /// A type that passes its coders on to its decimal.
    struct Money: Codable, Equatable, Sendable {
        var amount: ExactDecimal
        init(_ amount: ExactDecimal) { self.amount = amount }
        init(from decoder: any Decoder) throws { amount = try ExactDecimal(from: decoder) }
        func encode(to encoder: any Encoder) throws { try amount.encode(to: encoder) }
    }
    struct Paid: Event, Encodable {
        var id: String
        var money: Money
    }
    struct Purse: Codable, Equatable, Sendable {
        var money = Money(0)
    }

    @Test("kappa's own coders take a decimal as it is, even through another type")
    func ownCoders() throws {
        let view = View("purses", initially: Purse(), digest: "1") {
            On(Paid.self, key: \.id) { paid, row in row.money = paid.money }
        }
        let amount = try Self.decimal("0.1234567890123456789")
        try Scenario(view).given([Paid(id: "a", money: Money(amount))]).expect(
            "id,money", "a,0.1234567890123456789")
        let text = try JSONEncoder().encode([Money(amount)])
        #expect(String(decoding: text, as: UTF8.self) == "[0.1234567890123456789]")
    }

    @Test("an impossible scale gives the nearest decimal, and marks inexact results")
    func oddScales() throws {
        let exact: [(Int128, Int, String)] = [
            (5, -2, "500"), (-5, -2, "-500"), (0, .min, "0"), (0, .max, "0"),
            (1_200, 39, "0.\(String(repeating: "0", count: 35))12"),
        ]
        for (mantissa, scale, text) in exact {
            let made = try ExactDecimal.exactly { ExactDecimal(mantissa: mantissa, scale: scale) }
            #expect(made == ExactDecimal(text), "\(mantissa) \(scale)")
        }
        for scale in [-39, -1_000, .min, 39, 76, 77, 1_000, .max] as [Int] {
            for mantissa in [1, -1, 7, .max, .min] as [Int128] {
                if scale == 76, mantissa.magnitude > 7 { continue }
                var near = ExactDecimal.zero
                #expect(throws: KappaError.self, "\(mantissa) \(scale)") {
                    try ExactDecimal.exactly {
                        near = ExactDecimal(mantissa: mantissa, scale: scale)
                    }
                }
                if scale < 0 { #expect(near == (mantissa < 0 ? .least : .greatest)) }
                if scale > 77 { #expect(near.isZero) }
            }
        }
    }

    @Test("Foundation's decimals convert both ways", arguments: Seeds.random(4))
    func foundation(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        for _ in 0..<200 {
            let decimal = try Self.decimal(random.decimalText())
            #expect(ExactDecimal(Decimal(decimal)) == decimal)
            #expect("\(Decimal(decimal))" == decimal.description)
        }
        #expect(ExactDecimal(Decimal.nan) == nil)
        #expect(ExactDecimal(Decimal.greatestFiniteMagnitude) == nil)
        #expect(ExactDecimal(Decimal(string: "1e-60") ?? 0) == nil)
    }
}
