import KappaTesting
import Testing

@testable import KappaCore

@Suite("Several keys") struct SeveralKeysTests {
    private static let second: Int64 = 1_000_000

    private static func readings(_ event: JSONValue) throws -> [(Reading, Timestamp)]? {
        guard event["event_type"] == .string("reading") else { return nil }
        let reading = try ValueDecoder(event).decode(Reading.self)
        return [(reading, reading.at)]
    }
    private static var properties: [(Reading) throws -> Value] {
        [{ $0.user.cell }, { $0.place.cell }, { $0.isGood.cell }, { $0.count.cell }]
    }
    private static var events: [([Reading]) -> Value] {
        [{ $0.count.cell }, { $0[$0.count - 1].note.cell }]
    }

    private static let keyed = View("keyed") {
        Events(Reading.self, at: \.at)
            .grouped(by: \.user, \.place, \.isGood, \.count)
            .aggregate(.count().as("events"), .last(\.note).as("last_note"))
    }
    private static let windowed = View("windowed") {
        Events(Reading.self, at: \.at)
            .window(.tumbling(.seconds(9)), lateness: .seconds(2))
            .grouped(by: \.place, \.user, \.isGood, as: "whole") {
                $0.at.start(ofWindow: .seconds(3))
            }
            .aggregate(.count().as("events"), .last(\.note).as("last_note"))
    }
    private static let sessions = View("sessions") {
        Events(Reading.self, at: \.at)
            .grouped(by: \.place, as: "letters") { $0.user.utf8.count }
            .window(.session(gap: .seconds(3)), lateness: .seconds(1))
            .aggregate(.count().as("events"), .last(\.note).as("last_note"))
    }

    @Test("make the groups that the reference makes", arguments: Seeds.random(6))
    func reference(seed: UInt64) throws {
        try EventsReference<Reading>(
            elements: Self.readings, keys: Self.properties, clock: Reading.time,
            aggregates: Self.events
        ).check(Self.keyed, seed: seed, ways: 2)
        try EventsReference<Reading>(
            elements: Self.readings,
            keys: [
                { $0.place.cell }, { $0.user.cell }, { $0.isGood.cell },
                { $0.at.start(ofWindow: .seconds(3)).cell },
            ],
            cut: .tumbling(9 * Self.second), lateness: 2 * Self.second, clock: Reading.time,
            aggregates: Self.events
        ).check(Self.windowed, seed: seed, ways: 2)
        try EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.place.cell }, { $0.user.utf8.count.cell }],
            cut: .session(3 * Self.second), lateness: Self.second, clock: Reading.time,
            windowFirst: false, aggregates: Self.events
        ).check(Self.sessions, seed: seed, ways: 2)
    }

    struct Count: ViewRow {
        var user: String
        var place: Int
        var isGood: Bool
        var count: Int
        var events: Int
    }

    private static func bytes(_ cells: [Value]) -> [UInt8] {
        Array(cells.map(\.jsonText).joined(separator: ",").utf8)
    }

    @Test("group the rows of a table again")
    func derived() throws {
        let view = View("derived") {
            Events(Reading.self, at: \.at)
                .grouped(by: \.user, \.place, \.isGood, \.count)
                .aggregate(.count().as("events"))
                .rows(as: Count.self)
                .grouped(by: \.isGood, \.place, \.user, as: "is_negative") { $0.count < 0 }
                .aggregate(.sum(\.events).as("events"))
        }
        for seed in Seeds.random(2) {
            var maker = ReadingMaker(SplitMix(state: seed))
            let lines = maker.lines(120)
            // By bytes: some texts are equal in Swift but not in SQL.
            var expected: [[UInt8]: Int64] = [:]
            for line in lines {
                let event = try JSONValue(parsing: line)
                guard let (reading, _) = try? Self.readings(event)?.first else { continue }
                let cells: [Value] = [
                    reading.isGood.cell, reading.place.cell, reading.user.cell,
                    (reading.count < 0).cell,
                ]
                expected[Self.bytes(cells), default: 0] += 1
            }
            let rows = try EventsWay.whole(lines.count).run(view, lines).tables[0]
            let found = rows.map { (Self.bytes(Array($0.dropLast())), $0[4]) }
            #expect(found.count == expected.count, "seed \(seed)")
            for (key, events) in found {
                #expect(events == expected[key].map { .integer($0) }, "seed \(seed), \(key)")
            }
        }
    }
}
