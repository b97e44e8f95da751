import KappaTesting
import Testing

@testable import KappaCore

/// kappa always compares text by its bytes.
@Suite("Text is compared by its bytes") struct TextRuleTests {
    struct Note: Event {
        var key: String
        var same: String
        var other: String?
        var at: Timestamp
    }

    /// Texts that are equal in Swift, and some that sort close to them in any order.
    static let texts = [
        "caf\u{E9}", "cafe\u{301}", "cafe", "caf\u{FF}", "K", "\u{212A}", "\u{1100}\u{1161}",
        "\u{AC00}", "\u{1E69}", "s\u{323}\u{307}", "s\u{307}\u{323}", "", "\u{10FFFF}", "\u{FFFD}",
    ]

    private static func line(
        _ key: String, _ other: String?, _ second: Int, same: String = ""
    ) -> String {
        let second = second < 10 ? "0\(second)" : "\(second)"
        return #"{"event_type":"note","key":\#(Value.text(key).jsonText),"#
            + #""same":\#(Value.text(same).jsonText),"#
            + #""other":\#(other.map { Value.text($0).jsonText } ?? "null"),"#
            + #""at":"2024-03-01T09:00:\#(second)Z"}"#
    }

    private static func lines(_ count: Int, _ random: inout SplitMix) -> [String] {
        (0..<count).map { number in
            line(
                random.pick(texts), random.chance(1, in: 4) ? nil : random.pick(texts),
                number % 60, same: random.pick(texts))
        }
    }

    /// How many of the events a condition counts, with columns and with structs.
    private static func count(
        _ condition: Condition<Note>, _ lines: [String]
    ) throws -> [Value] {
        let view = View("counts") {
            Events(Note.self)
                .grouped(as: "all") { _ in 0 }
                .aggregate(.count().as("every"), .count().where(condition).as("some"))
        }
        let filtered = View("filtered") {
            Events(Note.self).filter(condition).grouped(as: "all") { _ in 0 }
                .aggregate(.count().as("n"))
        }
        return try [false, true].flatMap { forbidColumns in
            var way = EventsWay.whole(lines.count)
            way.forbidColumns = forbidColumns
            let counted = try way.run(view, lines).tables[0].first?[2] ?? .null
            let left = try way.run(filtered, lines).tables[0].first?[1] ?? .integer(0)
            return [counted, left]
        }
    }

    @Test("conditions on text hold by bytes", arguments: Seeds.random(3))
    func conditions(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let lines = Self.lines(60, &random)
        let notes = try lines.map {
            try ValueDecoder(JSONValue(parsing: $0)).decode(Note.self)
        }
        for constant in Self.texts {
            let bytes = Array(constant.utf8)
            func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool { a.lexicographicallyPrecedes(b) }
            let cases: [(String, Condition<Note>, (Note) -> Bool)] = [
                ("==", \.key == constant, { Array($0.key.utf8) == bytes }),
                ("!=", \.key != constant, { Array($0.key.utf8) != bytes }),
                ("<", \.key < constant, { precedes(Array($0.key.utf8), bytes) }),
                (">=", \.key >= constant, { !precedes(Array($0.key.utf8), bytes) }),
                (">", \.key > constant, { precedes(bytes, Array($0.key.utf8)) }),
                ("<=", \.key <= constant, { !precedes(bytes, Array($0.key.utf8)) }),
                ("optional", \.other == constant, { $0.other.map { Array($0.utf8) } == bytes }),
                (
                    "two properties", \.same == \.key && !(\.key == constant),
                    { Array($0.same.utf8) == Array($0.key.utf8) && Array($0.key.utf8) != bytes }
                ),
                (
                    "order of two", \.same < \.key || \.other != constant,
                    {
                        precedes(Array($0.same.utf8), Array($0.key.utf8))
                            || $0.other.map { Array($0.utf8) } != bytes
                    }
                ),
            ]
            for (name, condition, holds) in cases {
                let expected = Value.integer(Int64(notes.count(where: holds)))
                let found = try Self.count(condition, lines)
                #expect(
                    found.allSatisfy { $0 == expected },
                    "\(name) \(constant.unicodeScalars.map(\.value)), seed \(seed): \(found)")
            }
        }
    }

    @Test("groups, distinct counts, minimum and maximum are by bytes")
    func groups() throws {
        let lines = Self.texts.enumerated().map { Self.line($0.element, nil, $0.offset) }
        let sorted = Self.texts.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let byKey = View("by_key") {
            Events(Note.self).grouped(by: \.key).aggregate(.count().as("n"))
        }
        let all = View("all_notes") {
            Events(Note.self).grouped(as: "all") { _ in 0 }
                .aggregate(
                    .countDistinct(\.key).as("keys"), .min(\.key).as("least"),
                    .max(\.key).as("largest"), .median(\.key).as("middle"))
        }
        for forbidColumns in [false, true] {
            var way = EventsWay.whole(lines.count)
            way.forbidColumns = forbidColumns
            #expect(
                try way.run(byKey, lines).tables[0] == sorted.map { [.text($0), .integer(1)] })
            #expect(
                try way.run(all, lines).tables[0] == [
                    [
                        .integer(0), .integer(Int64(sorted.count)), .text(sorted[0]),
                        .text(sorted[sorted.count - 1]), .text(sorted[sorted.count / 2 - 1]),
                    ]
                ])
        }
    }

    struct Composed: Event {
        static let eventType: String? = "caf\u{E9}"
        var n: Int
        static let upcasters = [Upcaster(from: Decomposed.self) { Composed(n: $0.m * 100) }]
    }
    struct Decomposed: Event {
        static let eventType: String? = "cafe\u{301}"
        var m: Int
    }

    @Test("event types are distinguished by their bytes")
    func eventTypes() throws {
        let view = View("types") {
            Events(Composed.self).grouped(as: "all") { _ in 0 }.aggregate(.sum(\.n).as("n"))
        }
        try Scenario(view)
            .given("{\"event_type\":\"caf\u{E9}\",\"n\":1}")
            .given("{\"event_type\":\"cafe\u{301}\",\"m\":2}")
            .expect("n", "201")
    }

    @Test("a scenario compares rows by bytes")
    func scenarios() throws {
        let view = View("by_key") {
            Events(Note.self).grouped(by: \.key).aggregate(.count().as("n"))
        }
        let scenario = Scenario(view).given(Self.line("caf\u{E9}", nil, 0))
        try scenario.expect("key,n", "caf\u{E9},1")
        #expect(throws: Mismatch.self) { try scenario.expect("key,n", "cafe\u{301},1") }
    }
}
