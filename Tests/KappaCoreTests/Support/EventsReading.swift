import KappaTesting

@testable import KappaCore

/// An event with a field of every kind.
struct Reading: Event {
    static let allowsTimesBefore1990 = true
    var user: String
    var place: Int
    var isGood: Bool
    var amount: ExactDecimal
    var count: Int
    var weight: Double
    var note: String?
    var extra: Int?
    var price: ExactDecimal?
    var ratio: Double?
    var at: Timestamp
}

extension Reading {
    /// The time of any event that has one, even if it is of another type or cannot be taken.
    static func time(_ event: JSONValue) -> Timestamp? {
        event["at"].flatMap { try? ValueDecoder($0).decode(Timestamp.self) }
    }
}

/// Random lines for ``Reading``: most are good, some are of other types, some cannot be taken.
struct ReadingMaker {
    var random: SplitMix
    private var clock: Int64 = 1_700_000_000_000_000

    init(_ random: SplitMix) { self.random = random }

    mutating func lines(_ count: Int) -> [String] { (0..<count).map { _ in line() } }

    // "é" twice: as one scalar and as two. They are equal in Swift, but not in the log and in SQL.
    private static let users = [
        #""ada""#, #""bob""#, #""""#, "\"\u{E9}\"", "\"e\u{301}\"", #""a\"\\\u0041\n""#,
        #""z\u0000""#,
        #""😀 \ud83d\ude00""#, #""a name that is far too long for a word or two of memory""#,
    ]

    private mutating func line() -> String {
        clock += Int64(random.below(4_000_000))
        var fields: [(String, String)] = [
            ("event_type", random.chance(1, in: 12) ? #""other""# : #""reading""#),
            ("user", random.pick(Self.users)),
            ("place", "\(random.below(3) - 1)"),
            ("is_good", random.pick(["true", "false"])),
            ("amount", decimal()), ("count", "\(random.below(2_000) - 1_000)"),
            ("weight", double()),
            ("note", random.pick(["null", #""x""#, #""yy\t""#, #""é""#])),
            ("extra", random.pick(["null", "0", "-7", "9007199254740993"])),
            ("price", random.pick(["null", decimal()])),
            ("ratio", random.pick(["null", double()])),
            ("at", time()),
        ]
        if random.chance(1, in: 3) { fields.removeAll { $0.1 == "null" } }
        if random.chance(1, in: 15) { corrupt(&fields) }
        if random.chance(1, in: 4) { fields.shuffle(using: &random) }
        if random.chance(1, in: 6) {
            fields.insert((random.pick(["unknown", "userName", "at_"]), "[1,{\"user\":2}]"), at: 3)
        }
        let comma = random.pick([",", ", ", " ,"])
        let colon = random.pick([":", ": "])
        return "{" + fields.map { "\"\($0.0)\"\(colon)\($0.1)" }.joined(separator: comma) + "}"
    }

    private mutating func corrupt(_ fields: inout [(String, String)]) {
        let index = random.below(fields.count)
        switch random.below(3) {
        case 0: fields.remove(at: index)
        case 1: fields[index].1 = "null"
        default:
            fields[index].1 = random.pick(["[]", "{}", "true", "\"?\"", "1.5", "1e400", "1e-400"])
        }
    }

    private mutating func decimal() -> String {
        random.pick([
            "\(random.below(10_000))", "\(random.below(1_000)).\(random.below(100))",
            "-\(random.below(1_000)).50", "\"12.345\"", "12345678901234567890.123", "1e3", "2.5e-3",
        ])
    }

    private mutating func double() -> String {
        random.pick([
            "\(random.below(1_000))", "0.1", "-2.75e-3", "1e15", "0.30000000000000004", "-0.0",
        ])
    }

    /// Mostly up to twelve seconds back, sometimes far back; in all spellings of a time.
    private mutating func time() -> String {
        let back = Int64(random.chance(1, in: 10) ? 120_000_000 : 12_000_000)
        var millis = (clock - .random(in: 0...back, using: &random)) / 1_000
        // Whole seconds, so that times are often exactly on a bound.
        if random.chance(2, in: 3) { millis = millis / 1_000 * 1_000 }
        switch random.below(3) {
        case 0: return "\(millis)"
        case 1: return "\(millis * 1_000)"
        default: return "\"\(Timestamp(microseconds: millis * 1_000))\""
        }
    }
}
