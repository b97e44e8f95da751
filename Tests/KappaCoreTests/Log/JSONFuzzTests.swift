// This file tests names in another style.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CKappaJSON
import KappaTesting
import Testing

@testable import KappaCore

/// Random and corrupted lines, to compare the fast validator, the slow one, the extractor and the reference
/// with each other. `make test-fuzz SECONDS=60 SEED=1` runs it for longer.
@Suite("Fuzzing of JSON") struct JSONFuzzTests {
    /// The kinds of fields that a view may read, each in its own type, so that a refusal of one hides no
    /// other.
    struct Integers: Event, Equatable {
        static let eventType: String? = nil
        var a: Int?
        var aB: Int?
        var inner: Inner?
        struct Inner: Decodable, Equatable, Sendable {
            var a: Int?
            var aB: String?
        }
    }
    struct Doubles: Event, Equatable {
        static let eventType: String? = nil
        var a: Double?
    }
    struct Decimals: Event, Equatable {
        static let eventType: String? = nil
        var a: ExactDecimal?
    }
    struct Texts: Event, Equatable {
        static let eventType: String? = nil
        var a: String?
        var text: String?
    }
    struct Times: Event, Equatable {
        static let eventType: String? = nil
        var a: Timestamp?
        @Seconds var n: Timestamp?
    }
    struct Bools: Event, Equatable {
        static let eventType: String? = nil
        var a: Bool?
        var a_b: Bool?
    }
    struct Trees: Event, Equatable {
        static let eventType: String? = nil
        var a: Kinds.Anything?
        var inner: [String: Kinds.Anything]?
        var list: [Kinds.Anything]?
    }

    private static let types: [any Event.Type] = [
        Integers.self, Doubles.self, Decimals.self, Texts.self, Times.self, Bools.self, Trees.self,
    ]

    @Test("both validators, the extractor and the reference agree")
    func fuzz() throws {
        let seconds = Seeds.environment("KAPPA_FUZZ_SECONDS").flatMap { Double($0) }
        let seed = Seeds.one()
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds ?? 0)
        var (rounds, lines) = (0, 0)
        repeat {
            var maker = JSONMaker(SplitMix(state: seed &+ UInt64(rounds)))
            lines += try Self.round(&maker, "seed \(seed &+ UInt64(rounds))")
            rounds += 1
        } while seconds == nil ? rounds < 25 : clock.now < end
        if seconds != nil { print("fuzz: seed \(seed), \(rounds) rounds, \(lines) lines") }
    }

    private static func round(_ maker: inout JSONMaker, _ seed: String) throws -> Int {
        var good: [String] = []
        let count = 40
        for _ in 0..<count {
            let line = maker.line()
            let shown =
                "\(seed): \(String(decoding: line.prefix(300), as: UTF8.self)) \(line.prefix(80))"
            let isFast = fast(line)
            let (isSlow, isBlank) = line.withUnsafeBytes {
                (JSONValidator.flaw(in: $0) == nil, EventLines.isBlank($0))
            }
            if isBlank { continue }
            #expect(!isFast || isSlow, "simdjson takes what the slow validator refuses: \(shown)")
            #expect(isFast || !isSlow || mayBePassedOn(line), "simdjson refuses: \(shown)")
            let taken = line.withUnsafeBytes { try? EventLines($0) }
            #expect((taken != nil) == isSlow, "append and the validator differ: \(shown)")
            let reference = line.withUnsafeBytes { try? JSONValue(parsing: $0) }
            var isObject = false
            if case .object? = reference { isObject = true }
            #expect(isObject == isSlow, "the reference differs: \(shown)")
            // Whatever the line is, the extractor does not read past its end.
            if !isSlow { _ = readable(line) }
            if taken != nil, isObject {
                #expect(readable(line), "the extractor cannot read: \(shown)")
                good.append(String(decoding: line, as: UTF8.self))
            }
        }
        if good.isEmpty { return count }
        for checksAgain in [false, true] {
            let plan = ExtractionPlan(checksAgain: checksAgain)
            // One plan for all, as the views of one scan have; it has all fields before the first batch.
            func register<E: Event>(_ type: E.Type) throws {
                _ = try EventReader<E>(plan: plan, clocks: TimeZoneDatabase.clock)
            }
            for type in Self.types { try register(type) }
            try compare(Integers.self, good, plan, seed)
            try compare(Doubles.self, good, plan, seed)
            try compare(Decimals.self, good, plan, seed)
            try compare(Texts.self, good, plan, seed)
            try compare(Times.self, good, plan, seed)
            try compare(Bools.self, good, plan, seed)
            try compare(Trees.self, good, plan, seed)
        }
        return count
    }

    private static func compare<E: Event & Equatable>(
        _ type: E.Type, _ lines: [String], _ plan: ExtractionPlan, _ seed: String
    ) throws {
        // Twice, so that shapes are known.
        let found = try EventsBlock.read(E.self, lines + lines, plan: plan)
        for (index, result) in found.enumerated() {
            let line = lines[index % lines.count]
            let slow = EventsBlock.readSlowly(E.self, line)
            guard let result else {
                // The line has a field event_type, so it is of another type.
                continue
            }
            #expect(result == slow, "\(seed), \(E.self): \(line.prefix(400))")
        }
    }

    private static func padded<R>(_ line: [UInt8], _ body: (UnsafePointer<CChar>?) -> R) -> R {
        // After the line come bytes that would be read as a part of it.
        let bytes = line + [UInt8](repeating: 0x22, count: Int(KJ_PADDING))
        return bytes.withUnsafeBytes { body($0.baseAddress?.assumingMemoryBound(to: CChar.self)) }
    }

    private static func fast(_ line: [UInt8]) -> Bool {
        padded(line) { kj_validate_ndjson($0, line.count) == line.count }
    }

    private static func readable(_ line: [UInt8]) -> Bool {
        padded(line) { kj_is_readable($0, line.count) }
    }

    /// simdjson passes a valid line on to the slow validator if it has a very large number; some versions
    /// also do if its nesting is close to the limit.
    private static func mayBePassedOn(_ line: [UInt8]) -> Bool {
        let digits = line.split { !(0x30...0x39).contains($0) }.map(\.count).max() ?? 0
        let opened = line.count { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "{") }
        return digits >= 3 || opened >= 1_000
    }
}

/// Writes JSON of every kind, and corrupts some of it.
struct JSONMaker {
    var random: SplitMix
    init(_ random: SplitMix) { self.random = random }

    mutating func line() -> [UInt8] {
        var line = Array(object(depth: 0).utf8)
        // Up to the boundaries of blocks of 64 bytes.
        if random.chance(1, in: 4) {
            let length = 64 * (1 + random.below(4)) + random.below(5) - 2
            while line.count < length { line.insert(0x20, at: random.pick([0, line.count])) }
        }
        if random.chance(1, in: 3) { corrupt(&line) }
        line.removeAll { $0 == 0x0A }
        return line
    }

    private static let keys = [
        "a", "a", "a_b", "aB", "ab", "inner", "inner", "text", "n", "list", "", "\\u0061",
        "a\\u005fb",
        "\\u0000", "x\\\"y", "\u{E9}", "e\u{301}",
        "a very long key that does not fit into three words",
    ]

    private mutating func object(depth: Int) -> String {
        let members = (0..<random.below(depth == 0 ? 7 : 4)).map { _ in
            "\"\(random.pick(Self.keys))\"\(space()):\(space())\(value(depth: depth + 1))"
        }
        return "{\(space())\(members.joined(separator: "\(space()),\(space())"))\(space())}"
    }

    private mutating func value(depth: Int) -> String {
        switch random.below(depth > 4 ? 7 : 10) {
        case 0: random.pick(["true", "false", "null"])
        case 1, 2: random.pick(Self.numbers)
        case 3: "\(Int64(bitPattern: random.next()) >> random.below(64))"
        case 4: "\"\(random.pick(Self.times))\""
        case 5, 6: "\"\(text())\""
        case 7:
            "[\((0..<random.below(4)).map { _ in value(depth: depth + 1) }.joined(separator: ","))]"
        case 8 where random.chance(1, in: 20): deep()
        default: object(depth: depth)
        }
    }

    private mutating func deep() -> String {
        let depth = random.pick([10, 1_000, 1_021, 1_022, 1_023, 1_024, 1_025, 2_000])
        return String(repeating: "[", count: depth) + "1" + String(repeating: "]", count: depth)
    }

    private mutating func text() -> String {
        var text = ""
        for _ in 0..<random.below(random.pick([2, 5, 40])) {
            text += random.pick(Self.pieces)
        }
        return text
    }

    private mutating func space() -> String {
        random.pick(["", "", "", "", "", " ", "\t", "\r", "  \t "])
    }

    static let numbers = [
        "0", "-0", "1", "-1", "1.5", "1e400", "-1e400", "1e-400", "0.1e1", "1E+2",
        "9223372036854775807",
        "9223372036854775808", "-9223372036854775808", "18446744073709551615",
        "18446744073709551616", String(repeating: "9", count: 400), "1709284200", "1709284200.5",
        "1709284200000", "0.000000000000000001", "1.7976931348623157e308", "5e-324", "-0.0",
        "123456789012345678901234567890.123456789", "12345678", "1234567.8",
    ]
    static let times = [
        "2024-03-01T09:10:00Z", "2024-03-01T09:10:00.123+01:00", "2024-03-01T09:10:00",
        "9999-12-31T23:59:60Z", "2024-03-01T09:10:00+01", "1709284200", "2024-03-01", "12.50",
    ]
    static let pieces = [
        "a", "xyz", " ", "\\n", "\\\"", "\\\\", "\\/", "\\b\\f\\r\\t", "\\u0000", "\\u00e9",
        "\\ud83d\\ude00",
        "\u{E9}", "e\u{301}", "😀", "\u{FEFF}", "\\uFEFF", "{\\\"a\\\":1}", "[", "}", ",", ":",
        "\u{7F}",
        "\u{FFFF}", "\u{10FFFF}", "0123456789abcdef",
    ]
    private static let spice =
        Array("{}[]\",:\\u019eE+-. \t\r\0ntf/d8aA'".utf8)
        + [
            0x80, 0xBF, 0xC0, 0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF, 0x01, 0x1F, 0x7F,
            0x0B, 0x0C,
        ]
    private static let pieceBytes: [[UInt8]] = [
        [0xEF, 0xBB, 0xBF], [0xED, 0xA0, 0x80], [0xC0, 0xAF], [0xF4, 0x90, 0x80, 0x80],
        Array("\\ud800".utf8), Array("\\udc00".utf8), Array("\\ud800\\u0041".utf8),
        Array("NaN".utf8),
        Array("{}".utf8), Array("01".utf8), Array("+1".utf8), Array("1.".utf8), Array(".5".utf8),
        Array("tru".utf8), Array("//".utf8), Array("\\x".utf8), Array("\\u+123".utf8), [0, 0, 0],
    ]

    private mutating func corrupt(_ line: inout [UInt8]) {
        for _ in 0..<(1 + random.below(3)) {
            let at = random.below(line.count)
            switch random.below(8) {
            case 0: line[at] = random.pick(Self.spice)
            case 1: line.insert(random.pick(Self.spice), at: at)
            case 2 where line.count > 2: line.remove(at: at)
            case 3:
                line.insert(
                    contentsOf: line[at..<min(line.count, at + 1 + random.below(12))], at: at)
            case 4:
                line.insert(
                    contentsOf: random.pick(Self.pieceBytes), at: random.pick([0, at, line.count]))
            case 5 where line.count > 4: line.removeLast(1 + random.below(3))
            case 6: line.append(random.pick(Self.spice))
            default: line[at] ^= 1 << UInt8(random.below(8))
            }
        }
    }
}
