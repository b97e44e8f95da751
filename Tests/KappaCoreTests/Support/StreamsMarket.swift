import KappaTesting

@testable import KappaCore

/// A market: two event types with keys of every kind, for joins, rankings and second steps.
enum StreamsMarket {
    struct Sale: Event, ViewRow {
        /// Random lines have times of all sizes.
        static let allowsTimesBefore1990 = true
        var user: String
        var item: Int
        var isGood: Bool
        var day: Timestamp
        var price: ExactDecimal
        var weight: Double
        var note: String?
        var ratio: Double?
        var at: Timestamp
    }
    struct Offer: Event, ViewRow {
        static let allowsTimesBefore1990 = true
        var user: String
        var item: Int
        var isGood: Bool
        var day: Timestamp
        var limit: Int
        var at: Timestamp
    }
    struct Refusal: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    static func sales(_ event: JSONValue) throws -> [(Sale, Int64)] {
        guard let sale = try read(Sale.self, event) else { return [] }
        return [(sale, sale.at.microseconds)]
    }
    static func offers(_ event: JSONValue) throws -> [(Offer, Int64)] {
        guard let offer = try read(Offer.self, event) else { return [] }
        return [(offer, offer.at.microseconds)]
    }
    private static func read<E: Event>(_ type: E.Type, _ event: JSONValue) throws -> E? {
        guard event["event_type"] == E.eventType.map(JSONValue.string) else { return nil }
        return try ValueDecoder(event).decode(E.self)
    }
}

/// Random lines for ``StreamsMarket``: out of order, some twice, with many ties; some are of other
/// types, some cannot be taken.
struct MarketMaker {
    var random: SplitMix
    private var clock: Int64 = 1_700_000_000
    private var lines: [String] = []

    static func lines(_ count: Int, seed: UInt64) -> [String] {
        var maker = MarketMaker(random: SplitMix(state: seed))
        for _ in 0..<count { maker.lines.append(maker.line()) }
        return maker.lines
    }

    private init(random: SplitMix) { self.random = random }

    // "é" twice: as one scalar and as two. They are equal in Swift, but not in the log and in SQL.
    private static let users = [
        #""ada""#, #""""#, "\"\u{E9}\"", "\"e\u{301}\"", #""z\u0000""#,
        #""a name that is far too long for a word or two of memory""#,
    ]

    private mutating func line() -> String {
        if random.chance(1, in: 12), let last = lines.last { return last }
        clock += Int64(random.below(4))
        let back = Int64(random.below(random.chance(1, in: 8) ? 40 : 8))
        var fields: [(String, String)] = [
            ("user", random.pick(Self.users)), ("item", "\(random.below(4) - 1)"),
            ("is_good", random.pick(["true", "false"])),
            ("day", #""2024-01-0\#(1 + random.below(3))T00:00:00Z""#),
            ("at", "\((clock - back) * 1_000)"),
        ]
        if random.chance(1, in: 2) {
            fields += [
                ("event_type", #""sale""#), ("price", random.pick(["1", "2.50", "-7", "1e20"])),
                ("weight", random.pick(["0.1", "0.7", "-2", "1e15", "0", "-0.0"])),
                ("note", random.pick(["null", #""x""#, #""X""#, #""a longer note, é""#])),
                ("ratio", random.pick(["null", "0.5", "-1", "-0.0"])),
            ]
        } else {
            let type = random.chance(1, in: 10) ? "other" : "offer"
            fields += [("event_type", "\"\(type)\""), ("limit", "\(random.below(8))")]
        }
        if random.chance(1, in: 3) { fields.removeAll { $0.1 == "null" } }
        if random.chance(1, in: 15) { corrupt(&fields) }
        if random.chance(1, in: 4) { fields.shuffle(using: &random) }
        return "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }

    private mutating func corrupt(_ fields: inout [(String, String)]) {
        let index = random.below(fields.count)
        switch random.below(3) {
        case 0: fields.remove(at: index)
        case 1: fields[index].1 = "null"
        default: fields[index].1 = random.pick(["[]", "{}", #""?""#, "1.5", "1e400"])
        }
    }
}
