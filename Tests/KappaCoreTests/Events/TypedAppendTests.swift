import Foundation
import KappaTesting
import Testing

@testable import KappaCore

private enum Color: String, Codable, CaseIterable, CodingKeyRepresentable { case red, darkBlue }
private enum Suit: String, Codable, CaseIterable { case clubs, blackSpades }
private enum Shape: Codable, Equatable, Sendable {
    case bigCircle(radiusMM: Double)
    case textBox(String, lineCount: Int?)
    case noShape
}
private struct Inner: Codable, Hashable, Sendable {
    var userID: Int
    // swift-format-ignore: AlwaysUseLowerCamelCase
    var HTTPCode: String?
    // swift-format-ignore: AlwaysUseLowerCamelCase
    var snake_name: [String]
    var maybe: Double?
}
private struct Named: Codable, Hashable, Sendable {
    var a: Int
    var b: String
    var c: Int?
    enum CodingKeys: String, CodingKey {
        case a = "userID"
        case b = "en-US"
        case c = "$ref"
    }
}

private struct Everything: Event, Encodable, Equatable {
    var id: Int
    var flag: Bool
    var i8: Int8
    var i16: Int16
    var i32: Int32
    var i64: Int64
    var u8: UInt8
    var u16: UInt16
    var u32: UInt32
    var u64: UInt64
    var double: Double
    var float: Float
    var decimal: ExactDecimal
    var time: Timestamp
    var text: String
    var maybeText: String?
    var maybeDouble: Double?
    var maybeTime: Timestamp?
    var maybeDecimal: ExactDecimal?
    var suit: Suit
    var doubles: [[Double?]]
    var whole: [UInt64]
    var times: [Timestamp]
    var decimals: [ExactDecimal]
    var byText: [String: Int]
    var byNumber: [Int: String]
    var byColor: [Color: Inner]
    var bySuit: [Suit: [String: Double]]
    var texts: Set<String>
    var inners: Set<Inner>
    var shapes: [Shape]
    var innerObject: Inner
    var maybeInner: Inner?
    var namedOnes: [Named]
    var ids: [UUID]
}

private struct Seen: ViewRow { var n = 0 }

@Suite("Typed appends read back equal, or nothing is appended")
struct TypedAppendTests {
    private static let texts = [
        "", "a", "é", "e\u{301}", "\u{0}", "\u{1F}\u{7F}", "\"\\/", "\u{2028}\n\r\t", "😀", "a.b",
        "userID",
        "user_id", "userId", "en-US", String(repeating: "7", count: 5_000), "null", "event_type",
        "_0",
    ]
    private static let doubles = [
        0, -0.0, 1, 0.1, Double.leastNonzeroMagnitude, Double.leastNormalMagnitude / 3, 1e23,
        1.7976931348623157e308, 9_007_199_254_740_992,
        -1e-7,
    ]
    private static let times = [
        0, -1, -62_167_219_200_000_000, 253_402_300_799_999_999, 1_700_000_000_123_456, 1_000_000,
    ].map { Timestamp(microseconds: $0) }
    private static let decimals = [
        "0", "-0.5", "99999999999999999999999999999999999999",
        "0.00000000000000000000000000000000000001",
        "-12345678901234567890.123456789012345678", "1e30",
        "170141183460469231731687303715884105727",
    ].compactMap { ExactDecimal($0) }

    private func pick<T>(_ values: [T], _ random: inout SplitMix) -> T {
        values[random.below(values.count)]
    }
    private func some<T>(_ random: inout SplitMix, _ make: (inout SplitMix) -> T) -> [T] {
        (0..<random.below(4)).map { _ in make(&random) }
    }
    private func inner(_ random: inout SplitMix) -> Inner {
        Inner(
            userID: Int(truncatingIfNeeded: random.next()),
            HTTPCode: random.chance(1, in: 2) ? nil : pick(Self.texts, &random),
            snake_name: some(&random) { pick(Self.texts, &$0) },
            maybe: random.chance(1, in: 2) ? nil : pick(Self.doubles, &random))
    }
    private func double(_ random: inout SplitMix) -> Double {
        if random.chance(1, in: 2) { return pick(Self.doubles, &random) }
        let double = Double(bitPattern: random.next())
        return double.isFinite ? double : 3
    }
    private func shape(_ random: inout SplitMix) -> Shape {
        switch random.below(3) {
        case 0: .bigCircle(radiusMM: double(&random))
        case 1:
            .textBox(
                pick(Self.texts, &random),
                lineCount: random.chance(1, in: 2) ? nil : random.below(9)
            )
        default: .noShape
        }
    }

    private func event(_ id: Int, _ random: inout SplitMix) -> Everything {
        func integer<I: FixedWidthInteger>(_ type: I.Type) -> I {
            pick([.min, .max, 0, I(truncatingIfNeeded: random.next())], &random)
        }
        return Everything(
            id: id, flag: random.chance(1, in: 2), i8: integer(Int8.self), i16: integer(Int16.self),
            i32: integer(Int32.self), i64: integer(Int64.self), u8: integer(UInt8.self),
            u16: integer(UInt16.self), u32: integer(UInt32.self), u64: integer(UInt64.self),
            double: double(&random),
            float: pick([0.1, -0.0, .leastNonzeroMagnitude, 3e38], &random),
            decimal: pick(Self.decimals, &random), time: pick(Self.times, &random),
            text: pick(Self.texts, &random),
            maybeText: random.chance(1, in: 2) ? nil : pick(Self.texts, &random),
            maybeDouble: random.chance(1, in: 2) ? nil : double(&random),
            maybeTime: random.chance(1, in: 2) ? nil : pick(Self.times, &random),
            maybeDecimal: random.chance(1, in: 2) ? nil : pick(Self.decimals, &random),
            suit: pick(Suit.allCases, &random),
            doubles: some(&random) { some(&$0) { $0.chance(1, in: 3) ? nil : double(&$0) } },
            whole: some(&random) { $0.next() }, times: some(&random) { pick(Self.times, &$0) },
            decimals: some(&random) { pick(Self.decimals, &$0) },
            byText: Dictionary(some(&random) { (pick(Self.texts, &$0), $0.below(9)) }) { $1 },
            byNumber: Dictionary(
                some(&random) { (Int(truncatingIfNeeded: $0.next()), pick(Self.texts, &$0)) }
            ) { $1 },
            byColor: Dictionary(some(&random) { (pick(Color.allCases, &$0), inner(&$0)) }) { $1 },
            bySuit: [
                pick(Suit.allCases, &random): Dictionary(
                    some(&random) { (pick(Self.texts, &$0), double(&$0)) }
                ) { $1 }
            ],
            texts: Set(some(&random) { pick(Self.texts, &$0) }),
            inners: Set(some(&random) { inner(&$0) }), shapes: some(&random) { shape(&$0) },
            innerObject: inner(&random), maybeInner: random.chance(1, in: 2) ? nil : inner(&random),
            namedOnes: some(&random) {
                Named(
                    a: $0.below(9), b: pick(Self.texts, &$0),
                    c: $0.chance(1, in: 2) ? nil : $0.below(9))
            },
            ids: some(&random) { _ in UUID() })
    }

    /// Changes one value of an event to one that no reader accepts.
    private func corrupt(_ event: inout Everything, _ random: inout SplitMix) {
        let beyond = [
            Timestamp(microseconds: .max), Timestamp(microseconds: 253_402_300_800_000_000),
        ]
        let notFinite = [Double.nan, .infinity, -.infinity]
        switch random.below(9) {
        case 0: event.double = pick(notFinite, &random)
        case 1: event.float = .nan
        case 2: event.maybeDouble = pick(notFinite, &random)
        case 3: event.time = pick(beyond, &random)
        case 4: event.maybeTime = pick(beyond, &random)
        case 5: event.doubles.append([pick(notFinite, &random)])
        case 6: event.times.append(pick(beyond, &random))
        case 7: event.bySuit = [.clubs: ["x": pick(notFinite, &random)]]
        default: event.shapes.append(.bigCircle(radiusMM: .nan))
        }
    }

    /// Appends events and reads them back through a view.
    private func readBack<E: Event & Encodable>(
        _ kappa: Kappa, _ type: E.Type, _ key: KeyPath<E, Int> & Sendable
    ) async throws -> [E] {
        let caught = Monitor<[E]>([])
        let view = View("caught", initially: Seen(), digest: "\(UInt64.random(in: 0...(.max)))") {
            On(E.self, key: key) { event, row in
                row.n += 1
                caught.withLock { $0.append(event) }
            }
        }
        let reader = try await Kappa.open(kappa.folder, views: ViewSet([view]))
        try await reader.catchUp()
        await reader.close()
        return caught.withLock { $0 }
    }

    @Test("events of every kind of value")
    func everything() async throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let folder = try TemporaryFolder(inMemory: true)
        let kappa = try await Kappa.open(folder.path, views: .empty)
        var appended: [Everything] = []
        for id in 0..<120 {
            var fact = event(id, &random)
            let isCorrupted = random.chance(1, in: 3)
            if isCorrupted { corrupt(&fact, &random) }
            let end = try LogReader(kappa.data.log).durableEnd()
            do {
                try await kappa.append([fact])
                #expect(!isCorrupted, "seed \(seed): \(fact)")
                appended.append(fact)
            } catch let error as KappaError {
                #expect(isCorrupted && error.code == .badInput, "seed \(seed): \(error)")
                #expect(error.place?.contains("property") == true, "\(error)")
                #expect(try LogReader(kappa.data.log).durableEnd() == end)
            }
        }
        let read = try await readBack(kappa, Everything.self, \.id)
        #expect(read.count == appended.count)
        for (was, now) in zip(appended, read) where was != now {
            for (a, b) in zip(
                Swift.Mirror(reflecting: was).children, Swift.Mirror(reflecting: now).children)
            {
                #expect("\(a.value)" == "\(b.value)", "seed \(seed): \(a.label ?? "")")
            }
        }
        #expect(read == appended, "seed \(seed)")
        #expect(
            read.map { "\($0.double) \($0.float)" } == appended.map { "\($0.double) \($0.float)" })
        // Equal events have equal bytes, whatever the history of their sets.
        for event in appended { #expect(try Kappa.json(of: event) == Kappa.json(of: event)) }
        await kappa.close()
    }

    private struct Holding<Value: Codable & Equatable & Sendable>: Event, Encodable, Equatable {
        var n = 1
        var value: Value
        var list: [Value]
        static var eventType: String? { "holding" }
    }

    /// Appends an event and reads it back; nil if it is refused, or if no view can use the type.
    private func passed<Value>(_ value: Value) async throws -> Bool?
    where Value: Codable & Equatable & Sendable {
        let folder = try TemporaryFolder(inMemory: true)
        let kappa = try await Kappa.open(folder.path, views: .empty)
        let event = Holding(value: value, list: [value])
        do { _ = try EventShape(of: Holding<Value>.self) } catch { return nil }
        do { try await kappa.append(event) } catch is KappaError { return nil }
        let read = try await readBack(kappa, Holding<Value>.self, \.n)
        await kappa.close()
        return read == [event]
    }

    @Test("Foundation's types are read back equal, or refused when they are appended")
    func foundation() async throws {
        #expect(try await passed(Date(timeIntervalSince1970: 1_700_000_000.25)) != false)
        #expect(try await passed(Data([1, 2, 255])) != false)
        #expect(try await passed(UUID()) != false)
        #expect(try await passed(URL(fileURLWithPath: "/a b/ü")) != false)
        #expect(try await passed(Foundation.Decimal(string: "12.5")) != false)
        #expect(try await passed(IndexSet([1, 2, 9])) != false)
    }

    private struct Labelled: Event, Encodable, Equatable {
        var n: Int
        var userLabels: [String: Int]
    }

    @Test("keys of dictionaries stay as they are, property names become snake_case")
    func keys() async throws {
        let folder = try TemporaryFolder(inMemory: true)
        let kappa = try await Kappa.open(folder.path, views: .empty)
        let event = Labelled(n: 1, userLabels: ["userID": 1, "user_id": 3, "en-US": 2])
        #expect(
            try Kappa.json(of: event)
                == #"{"event_type":"labelled","n":1,"user_labels":{"en-US":2,"userID":1,"user_id":3}}"#
        )
        try await kappa.append(event)
        #expect(try await readBack(kappa, Labelled.self, \.n) == [event])
        await kappa.close()
    }

    private struct Clash: Event, Encodable {
        var userID = 1
        // swift-format-ignore: AlwaysUseLowerCamelCase
        var user_id = 2
    }
    private struct Underscored: Event, Encodable {
        var _id = 1
        var id = 2
    }
    private struct Typed: Event, Encodable { var eventType = "other" }
    private struct Untyped: Event, Encodable {
        var eventType = "other"
        static let eventType: String? = nil
    }
    private struct Throwing: Event, Encodable {
        struct Refusal: Error, CustomStringConvertible {
            var description: String { "not on a Sunday" }
        }
        var inner = Inner()
        struct Inner: Codable {
            init() {}
            init(from decoder: any Decoder) throws {}
            func encode(to encoder: any Encoder) throws { throw Refusal() }
        }
    }
    private struct Wide: Event, Encodable { var whole = [Int128.max] }
    private struct List: Event, Encodable {
        func encode(to encoder: any Encoder) throws {
            var list = encoder.unkeyedContainer()
            try list.encode(1)
        }
    }

    @Test(
        "values that cannot be read back are refused by name; an author's own error is the reason"
    )
    func refusals() async throws {
        let folder = try TemporaryFolder(inMemory: true)
        let kappa = try await Kappa.open(folder.path, views: .empty)
        func refusal(_ event: some Event & Encodable) async -> KappaError? {
            await #expect(throws: KappaError.self) { try await kappa.append([event]) }
        }
        #expect(await refusal(Clash())?.reason == "userID and user_id are both written as user_id")
        #expect(await refusal(Underscored())?.reason == "readers take id for _id, too")
        #expect(
            await refusal(Typed())?.reason
                == #"it says "other", and events of this type say "typed""#)
        #expect(
            await refusal(Untyped())?.reason
                == #"it says "other", and events of this type have no such field"#)
        let own = await refusal(Throwing())
        #expect(own?.code == .badInput)
        #expect(own?.reason == "not on a Sunday")
        #expect(own?.place == "Throwing, property inner")
        #expect(own?.advice?.hasPrefix("Nothing was appended.") == true)
        #expect(await refusal(Wide())?.place == "Wide, property whole.0")
        #expect(await refusal(List())?.what == "List does not encode as an object")
        // All or none, even though the first one is valid.
        let both = await #expect(throws: KappaError.self) {
            try await kappa.append([
                Measured(value: 1), Measured(value: .infinity),
            ])
        }
        #expect(both?.reason == "it is inf, and JSON has finite numbers only")
        #expect(try LogReader(kappa.data.log).durableEnd() == .zero)
        await kappa.close()
    }

    private struct Measured: Event, Encodable { var value: Double }
}
