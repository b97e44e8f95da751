import KappaTesting
import Testing

@testable import KappaCore

private enum Color: String, Codable, CaseIterable, CodingKeyRepresentable { case red, green, blue }
private enum Suit: String, Codable, CaseIterable { case clubs, spades, hearts, diamonds }

/// Sets and dictionaries with the same elements and another history.
private struct Everywhere: ViewRow {
    var texts: Set<String>
    var numbers: Set<Int>
    var byText: [String: Set<Int>]
    var byNumber: [Int: [String: Int]]
    var bySuit: [Suit: Int]
    var byColor: [Color: [Suit: Int]]?
    var sets: Set<Set<String>>
    var pairs: [[String: Int]: String]
    var byHand: ByHand
    @Hidden var hidden: Set<String>
}

private struct ByHand: Codable, Equatable, Sendable {
    var texts: Set<String>
    var bySuit: [Suit: Int]
    init(texts: Set<String>, bySuit: [Suit: Int]) { (self.texts, self.bySuit) = (texts, bySuit) }
    init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        texts = try list.decode(Set<String>.self)
        var own = try list.nestedUnkeyedContainer()
        bySuit = [:]
        while !own.isAtEnd {
            let suit = try own.decode(Suit.self)
            bySuit[suit] = try own.decode(Int.self)
        }
    }
    func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        var own = list.nestedUnkeyedContainer()
        for text in texts { try own.encode(text) }
        var pairs = list.nestedUnkeyedContainer()
        for (suit, number) in bySuit {
            try pairs.encode(suit)
            try pairs.encode(number)
        }
    }
}

@Suite("Every value has one text")
struct EncodedOrderTests {
    /// A set of some elements, inserted in another order, with others in between, with more or less capacity.
    private func set<T: Hashable>(
        _ elements: [T], _ others: [T], _ random: inout SplitMix
    ) -> Set<T> {
        var set = Set<T>(minimumCapacity: random.below(200))
        let passing = others.filter { !elements.contains($0) }
        for element in (elements + passing).shuffled(using: &random) { set.insert(element) }
        for element in passing { set.remove(element) }
        return set
    }

    private func dictionary<K: Hashable, V>(
        _ elements: [K], _ others: [K], _ random: inout SplitMix, _ value: (K) -> V
    ) -> [K: V] {
        var dictionary = [K: V](minimumCapacity: random.below(200))
        for key in set(elements, others, &random) { dictionary[key] = value(key) }
        return dictionary
    }

    @Test("whatever the history of its sets and dictionaries, which are read back equal")
    func history() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let texts = [
            "userID", "user_id", "en-US", "é", "10", "9", "", "a.b", "Ω", "Zebra", "\u{0}", "😀",
        ]
        for _ in 0..<50 {
            let some = Array(texts.shuffled(using: &random).prefix(random.below(12)))
            let numbers = (0..<random.below(12)).map { _ in random.below(2_000) - 1_000 }
            let suits = Array(Suit.allCases.shuffled(using: &random).prefix(random.below(5)))
            var made: [Everywhere] = []
            for _ in 0..<2 {
                let words = set(some, texts, &random)
                let whole = set(Array(Set(numbers)), [1, 2, 3], &random)
                let bySuit = dictionary(suits, Suit.allCases, &random) { $0.rawValue.utf8.count }
                made.append(
                    Everywhere(
                        texts: words, numbers: whole,
                        byText: dictionary(some, texts, &random) { _ in whole },
                        byNumber: dictionary(Array(Set(numbers)), [5], &random) {
                            [String($0): $0]
                        },
                        bySuit: bySuit,
                        byColor: dictionary(Color.allCases, [], &random) { _ in bySuit },
                        sets: [words, [], ["a", "b", "c"]],
                        pairs: dictionary(numbers.map { ["n": $0, "m": 1] }, [], &random) {
                            "\($0.count)"
                        },
                        byHand: ByHand(texts: words, bySuit: bySuit), hidden: words))
            }
            #expect(made[0] == made[1], "seed \(seed)")
            let text = try JSONValue(encoding: made[0]).json
            #expect(try JSONValue(encoding: made[1]).json == text, "seed \(seed)")
            let back = try Everywhere(
                from: ValueDecoder(JSONValue(parsing: text), origin: .row))
            #expect(back == made[0], "seed \(seed)")
            #expect(try JSONValue(encoding: back).json == text, "seed \(seed)")
        }
    }

    @Test("properties are in order of declaration, keys sorted by their bytes, elements by size")
    func order() throws {
        struct Row: Codable {
            var zebra = 1
            var apple = Set([10, 9, -1, 100])
            var map = ["b": 1, "B": 2, "a": 3, "é": 4]
            var ratios: Set = [0.5, -.infinity, 2.0, .nan]
            var times: Set = [Timestamp.far, Timestamp(microseconds: 0)]
        }
        #expect(
            try JSONValue(encoding: Row()).json
                == #"{"zebra":1,"apple":[-1,9,10,100],"map":{"B":2,"a":3,"b":1,"é":4},"#
                + #""ratios":["-Infinity",0.5,2.0,"NaN"],"#
                + #""times":["1970-01-01T00:00:00Z","+294247-01-10T04:00:54.775807Z"]}"#)
    }

    @Test("every value that a row may hold is read back unchanged: extremes of every type")
    func extremes() throws {
        struct Row: Codable, Equatable {
            var doubles: [Double] = [
                -0.0, 0, .infinity, -.infinity, Double.leastNonzeroMagnitude,
                .greatestFiniteMagnitude, 0.1,
            ]
            var floats: [Float] = [.infinity, 0.1, .leastNonzeroMagnitude, -0.0]
            var whole: [UInt64] = [.max, 0, 1 << 63]
            var small: [Int8] = [.min, .max]
            var times: [Timestamp] = [
                Timestamp(microseconds: .min), Timestamp(microseconds: .max),
                Timestamp(microseconds: -1),
                Timestamp(microseconds: 253_402_300_800_000_000),
                Timestamp(microseconds: -62_167_219_200_000_001),
            ]
            var decimals = [
                ExactDecimal(mantissa: .max, scale: 38), ExactDecimal(mantissa: .min, scale: 0),
            ]
            var nested: [[Int?]] = [[], [nil, 1]]
            var keys = ["": 1, "userID": 2, "user_id": 3, "userId": 4, "\u{1F}\"\\": 5]
        }
        let text = try JSONValue(encoding: Row()).json
        let back = try Row(from: ValueDecoder(JSONValue(parsing: text), origin: .row))
        #expect(back == Row())
        // Equality does not see the sign of a zero.
        #expect("\(back.doubles) \(back.floats)" == "\(Row().doubles) \(Row().floats)")
        struct NotANumber: Codable { var values: [Double] }
        let none = try JSONValue(encoding: NotANumber(values: [.nan])).json
        #expect(
            try NotANumber(from: ValueDecoder(JSONValue(parsing: none), origin: .row)).values[0]
                .isNaN)
        var random = SplitMix(state: Seeds.one())
        for _ in 0..<1_000 {
            let time = Timestamp(microseconds: Int64(bitPattern: random.next()))
            let text = try JSONValue(encoding: [time]).json
            let back = try [Timestamp](from: ValueDecoder(JSONValue(parsing: text), origin: .row))
            #expect(back == [time], "\(time)")
        }
    }

    @Test("a dictionary cannot be a row, and two keys with the same text are an error")
    func refusals() throws {
        #expect(throws: KappaError.self) { try RowCodec<[String: Int]>() }
        struct Twice: Codable, Hashable, CodingKeyRepresentable {
            var n: Int
            var codingKey: any CodingKey { "same".codingKey }
            init(_ n: Int) { self.n = n }
            init?(codingKey: some CodingKey) { n = 0 }
        }
        let error = #expect(throws: KappaError.self) {
            try JSONValue(encoding: [Twice(1): 1, Twice(2): 2])
        }
        #expect(error?.reason == "two keys of a dictionary are both written as same")
    }
}

extension Timestamp { fileprivate static let far = Timestamp(microseconds: .max) }
