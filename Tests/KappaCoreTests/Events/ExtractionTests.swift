import KappaTesting
import Testing

@testable import KappaCore

/// Compares columns with the slow parser: the same values, or the same reason.
@Suite("Extraction") struct ExtractionTests {
    struct Inner: Decodable, Equatable, Sendable {
        var x: Int
        var firstName: String?
        var deep: Deep
        struct Deep: Decodable, Equatable, Sendable { var isOK: Bool? }
    }
    enum Level: String, Decodable { case low, high }
    enum Code: Int, Decodable {
        case one = 1
        case two
    }

    struct Everything: Event, Equatable {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = nil
        var text: String
        var isOn: Bool
        var number: Int
        var tiny: Int8
        var unsigned: UInt64
        var real: Double
        var single: Float
        var amount: ExactDecimal
        var at: Timestamp
        var level: Level
        var code: Code
        var inner: Inner
        var maybeInner: Inner?
        var tags: [String]
        var points: [Inner]?
        var prices: [String: ExactDecimal]
        var holes: [Int?]
        var maybeText: String?
        var maybeNumber: Int?
        var maybeAmount: ExactDecimal?
        var maybeAt: Timestamp?
        var maybeLevel: Level?
    }

    /// Writes JSON of ``Everything``, in good and in bad shape.
    private struct Writer {
        enum Kind {
            case text, bool, integer, small, real, decimal, time, level, code, inner, deep
            case texts, inners, decimals, holes, anything
        }

        /// Which keys an event has, in what order, and its white space.
        var shape: SplitMix
        /// The values.
        var random: SplitMix
        /// How many fields in a thousand are corrupted.
        var corruptPermille = 30

        mutating func line() -> String {
            object([
                ("text", .text), ("isOn", .bool), ("number", .integer), ("tiny", .small),
                ("unsigned", .small), ("real", .real), ("single", .real), ("amount", .decimal),
                ("at", .time), ("level", .level), ("code", .code), ("inner", .inner),
                ("maybeInner", .inner), ("tags", .texts), ("points", .inners),
                ("prices", .decimals), ("holes", .holes), ("maybeText", .text),
                ("maybeNumber", .integer),
                ("maybeAmount", .decimal), ("maybeAt", .time), ("maybeLevel", .level),
                ("unknown", .anything),
            ])
        }

        private mutating func object(_ fields: [(String, Kind)]) -> String {
            var members: [String] = []
            for (name, kind) in fields {
                let isOptional = name.hasPrefix("maybe") || name == "points" || name == "unknown"
                if isOptional, shape.chance(1, in: 4) { continue }
                if shape.chance(corruptPermille, in: 3_000) { continue }
                for _ in 0..<(shape.chance(1, in: 25) ? 2 : 1) {
                    let text = value(random.chance(corruptPermille, in: 1_000) ? .anything : kind)
                    members.append("\(key(name))\(space()):\(space())\(text)\(space())")
                }
            }
            if shape.chance(1, in: 3) { members.shuffle(using: &shape) }
            return "{\(space())\(members.joined(separator: ",\(space())"))}"
        }

        private mutating func key(_ name: String) -> String {
            let name = shape.pick([name, FieldName.snakeCase(name), FieldName.camelCase(name)])
            if shape.chance(1, in: 20), let first = name.unicodeScalars.first {
                return "\"\\u00\(String(first.value, radix: 16))\(name.dropFirst())\""
            }
            return "\"\(name)\""
        }

        private mutating func space() -> String { shape.pick(["", "", "", " ", "\t", "  "]) }

        private mutating func list(_ kind: Kind) -> String {
            let elements = (0..<random.below(3)).map { _ in value(kind) }
            return "[\(elements.joined(separator: ",\(space())"))]"
        }

        private mutating func value(_ kind: Kind) -> String {
            switch kind {
            case .bool: random.pick(["true", "false"])
            case .small: "\(random.below(128))"
            case .integer:
                random.pick([
                    "0", "-0", "7", "-1", "9223372036854775807", "-9223372036854775808",
                    "\(random.next() >> 12)",
                ])
            case .level: random.pick([#""low""#, #""high""#, #""l\u006fw""#])
            case .code: random.pick(["1", "2"])
            case .inner: object([("x", .integer), ("firstName", .text), ("deep", .deep)])
            case .deep: object([("isOK", .bool)])
            case .texts: list(.text)
            case .inners: list(.inner)
            case .decimals: random.pick(["{}", #"{"a":1.5}"#, #"{"a":1,"b\n":"2.50"}"#])
            case .holes: random.pick(["[]", "[null]", "[1,null,2]"])
            case .text:
                random.pick(
                    Self.texts + ["\"\(String(repeating: "a b", count: random.below(30)))\""])
            case .real: random.pick(Self.reals)
            case .decimal: random.pick(Self.decimals)
            case .time: random.pick(Self.times)
            case .anything: random.pick(Self.oddities)
            }
        }

        static let texts = [
            #""""#, #""plain""#, "\"\u{E9}\"", #""e\u0301""#, #""\ud83d\ude00""#, "\"😀\"",
            #""\"\\\/\b\f\n\r\t""#, #""\u0000""#, #""\u00e9\u20ac""#, #""{\"a\":[1]}""#,
        ]
        static let reals = [
            "0", "-0.0", "1.5", "1e10", "2E-3", "0.1", "1.7976931348623157e308", "5e-324",
            "1e-400", "123456789012345678901234567890", "3.4028234663852886e38",
        ]
        static let decimals = [
            "0", "1.50", "-12.345", "\"7.25\"", "1e3", "1E-5", #""1\u0030""#,
            "12345678901234567890.123", "99999999999999999999999999999999999999",
            "123456789012345678", "0.123456789012345678", "1234567890123456789",
        ]
        static let times = [
            #""2024-01-15T14:30:00.25Z""#, #""2024-01-15T14:30:00\u002B01:00""#,
            "1705329000250", "1705329000250000", "-1000", #""1969-12-31t23:59:59z""#,
        ]
        static let oddities = [
            "null", "true", "0", "-7", "300", "1.5", "1e400", "-1e400", #""text""#, #""""#,
            "[]", "{}", "[null]", "[[[{}]]]", #"{"x":{"x":[1]}}"#, "9223372036854775808",
            #""2024-02-30T00:00:00Z""#, "1700000000000000000", "\".5\"", "\"5.\"", "\"-\"",
            #""0000-01-01T00:00:00+01:00""#, "1e-50", "\" 1\"", "\"007\"",
            #"{"a":1,"a":{"b":2}}"#, "123456789012345678901234567890123456789012345",
        ]
    }

    @Test(
        "columns and the slow decoder agree on every event, whether its shape is new or known",
        arguments: Seeds.random(60))
    func agree(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let corruptPermille = random.pick([0, 10, 60])
        // Few shapes, which are learned; or a new one each time.
        let shapes: UInt64 = random.pick([1, 3, 1_000_000])
        var writer = Writer(
            shape: random, random: SplitMix(state: seed ^ 1), corruptPermille: corruptPermille)
        let lines = (0..<60).map { _ in
            writer.shape = SplitMix(state: seed &+ UInt64(random.below(Int(shapes))))
            return writer.line()
        }
        for line in lines { _ = try EventLines(event: line) }
        var taken = 0
        let found = try EventsBlock.read(Everything.self, lines)
        let plan = ExtractionPlan(checksAgain: true)
        #expect(try EventsBlock.read(Everything.self, lines, plan: plan) == found, "seed \(seed)")
        for (line, found) in zip(lines, found) {
            let expected = EventsBlock.readSlowly(Everything.self, line)
            #expect(found == expected, "seed \(seed): \(line)")
            if case .success = found { taken += 1 }
        }
        if corruptPermille == 0 {
            #expect(taken > 0, "seed \(seed): the test writes no good event")
        }
    }

    @Test("numbers and times of every length, well-formed or not", arguments: [true, false])
    func scalars(checksAgain: Bool) throws {
        struct Scalars: Event, Equatable {
            static let allowsTimesBefore1990 = true
            static let eventType: String? = nil
            var i: Int?
            var d: ExactDecimal?
            var t: Timestamp?
            var s: String?
        }
        let numbers = [
            "0", "-0", "5", "0.5", "-0.5", "12345678", "-12345678", "1234567.8", "0.123456",
            "123456789", "12345678.9", "1e2", "1.5e1", "-7", "99999999", "0.0000001", "1E-2",
        ]
        let texts =
            numbers.map { "\"\($0)\"" } + [
                #"".5""#, #""5.""#, #"".""#, #""-""#, #""1.2.3""#, #""1..2""#, #""--1""#, #""+1""#,
                #""1 ""#, #"" 1""#, #""""#, #""12a""#, #""0x10""#, #""1,5""#, #""-.5""#,
                #""1234567.""#,
            ]
        let times = [
            "00:00:00.000Z", "23:59:59.999Z", "24:00:00.000Z", "12:60:00.000Z", "12:00:61.000Z",
            "12:00:60.5Z", "12:00:00Z", "12:00:00z", "12:00:00.1234567Z", "12:00:00+01:30",
            "12:00:00.25-00:01", "1a:00:00.000Z", "12-00:00.000Z", "12:00:00.0:0Z", "12:00:0:.000Z",
            "12:00:00.000X", "12:00:00,000Z", "12:00:00.00", "12:00:00.", "12::0:00.000Z",
        ].flatMap { time in ["2024-02-29T", "2023-02-29T", "0000-01-01 "].map { $0 + time } }
        let strings = (0..<70).flatMap { count in
            ["", "\\\\", "\\\"", "\\n"].flatMap { escape in
                [
                    String(repeating: "x", count: count) + escape,
                    escape + String(repeating: "y", count: count),
                    String(repeating: escape, count: count),
                ]
            }
        }
        var lines = (numbers + texts).map { #"{"i":\#($0),"d":\#($0),"s":"a"}"# }
        lines += times.map { #"{"t":"\#($0)","s":"b"}"# }
        lines += strings.map { #"{"unknown":"\#($0)","s":"\#($0)","i":1}"# }
        for line in lines { _ = try EventLines(event: line) }
        // More than once, so that every shape is known.
        lines = lines + lines
        let plan = ExtractionPlan(checksAgain: checksAgain)
        for (line, found) in zip(lines, try EventsBlock.read(Scalars.self, lines, plan: plan)) {
            #expect(found == EventsBlock.readSlowly(Scalars.self, line), "\(line)")
        }
    }

    struct Plain: Event, Equatable {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = nil
        var a: Int?
        var inner: Inner?
        struct Inner: Decodable, Equatable, Sendable {
            var x: Int?
            var y: Int?
        }
    }

    private func read(_ line: String) throws -> Plain {
        try #require(try EventsBlock.read(Plain.self, [line])[0]).get()
    }

    @Test("elements that may be null keep their values")
    func holes() throws {
        struct Holes: Event, Equatable {
            static let allowsTimesBefore1990 = true
            static let eventType: String? = nil
            var numbers: [Int?]
            var times: [String: Timestamp?]
        }
        let found = try EventsBlock.read(Holes.self, [#"{"numbers":[1,null,3],"times":{"a":1}}"#])
        let time = Timestamp(microseconds: 1_000)
        #expect(try found[0]?.get() == Holes(numbers: [1, nil, 3], times: ["a": time]))
    }

    @Test("if a key occurs twice, the last one counts, as a whole")
    func duplicates() throws {
        #expect(try read(#"{"a":1,"a":2}"#).a == 2)
        #expect(try read(#"{"a":1,"a":null}"#).a == nil)
        #expect(
            try read(#"{"inner":{"x":1},"inner":{"y":2}}"#).inner == Plain.Inner(x: nil, y: 2))
        #expect(try read(#"{"inner":{"x":1},"inner":null}"#).inner == nil)
        #expect(try read(#"{"inner":7,"inner":{"x":1}}"#).inner == Plain.Inner(x: 1, y: nil))
    }

    @Test("an empty object is not a missing one")
    func emptyObject() throws {
        #expect(try read(#"{"inner":{}}"#).inner == Plain.Inner(x: nil, y: nil))
        #expect(try read("{}").inner == nil)
    }

    @Test("a dead letter's event is its own line, whatever white space is between events")
    func eventText() throws {
        let plan = ExtractionPlan()
        let block = try EventsBlock([#"{"a":1} "#, #"  {"a":2}"#, "\t{}\r"], plan: plan)
        #expect((0..<3).map(block.batch.event) == [#"{"a":1}"#, #"{"a":2}"#, "{}"])
    }

    @Test("a payload that does not match its block's header is damage")
    func damage() throws {
        for lines in [["{}{}"], ["[]"], ["{", "}"], ["{\"a\":1"], ["1"]] {
            #expect(throws: KappaError.self) {
                try EventsBlock(lines, plan: ExtractionPlan())
            }
        }
    }
}
