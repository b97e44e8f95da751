import KappaTesting
import Testing

@testable import KappaCore

@Suite("Stream time") struct StreamTimeTests {
    struct Entry: Event {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = nil
        var key: String
        var at: Timestamp
        var computedAt: Timestamp { at + .zero }
    }

    private static let view = View("two") {
        Events(Entry.self, at: \.at)
            .filter { $0.key == "a" }
            .window(.tumbling(.seconds(10)), lateness: .zero)
            .aggregate(.count().as("events"))
        Events(Entry.self, at: \.at)
            .window(.tumbling(.seconds(10)), lateness: .zero)
            .aggregate(.count().as("events"))
            .into("all")
        Events(Entry.self, at: \.at)
            .grouped(by: \.key)
            .window(.session(gap: .seconds(10)), lateness: .zero)
            .aggregate(.count().as("events"))
            .into("sessions")
        Events(Entry.self, at: \.computedAt)
            .filter { $0.key == "a" }
            .window(.tumbling(.seconds(10)), lateness: .zero)
            .aggregate(.count().as("events"))
            .into("computed")
    }

    private static let lines = [
        #"{"key":"a","at":5000}"#,
        #"{"event_type":"tick","at":20000}"#,
        #"{"key":"a","at":9000}"#,
        #"{"key":"a","at":15000}"#,
        #"{"key":"b","at":60000}"#,
        #"{"key":"a","at":30000}"#,
        // Dead, but it has a time.
        #"{"at":90000}"#,
        #"{"key":"a","at":65000}"#,
        #"{"key":"a","at":"x"}"#,
        #"{"key":"a","at":95000}"#,
    ]

    @Test("is that of the partition: every event with the time field advances it")
    func partition() throws {
        for appends in [[lines.count], lines.map { _ in 1 }, [2, 3, 1, 4]] {
            let outcome = try EventsWay(appends: appends, restarts: 50).run(Self.view, Self.lines)
            let rows = outcome.tables.map { table in
                table.map { $0.map(\.plainText).joined(separator: " ") }
            }
            #expect(rows[0] == [Self.window(0, 1), Self.window(90, 1)])
            #expect(rows[1] == [Self.window(0, 1), Self.window(60, 1), Self.window(90, 1)])
            // Computed times: only those of the step's own events are known.
            #expect(
                rows[3] == [
                    Self.window(0, 2), Self.window(10, 1), Self.window(30, 1), Self.window(60, 1),
                    Self.window(90, 1),
                ])
            // Each event counts once: dead before late before applied.
            #expect(outcome.counters.applied == 3)
            #expect(outcome.counters.late == 4)
            #expect(outcome.counters.dead == 2)
            #expect(outcome.counters.filtered == 1)
        }
    }

    private var lines: [String] { Self.lines }

    private static func window(_ second: Int64, _ count: Int) -> String {
        let start = Timestamp(microseconds: second * 1_000_000)
        return "\(start) \(start + .seconds(10)) \(count)"
    }

    // MARK: Joins

    struct Left: Event, ViewRow {
        static let allowsTimesBefore1990 = true
        var key: Int
        var number: Int
        var at: Timestamp
    }
    struct Right: Event, ViewRow {
        static let allowsTimesBefore1990 = true
        var key: Int
        var number: Int
        var at: Timestamp
    }

    private static func line(_ random: inout SplitMix, _ number: Int, _ clock: inout Int) -> String
    {
        clock += random.below(2_000)
        let type = random.pick(["left", "right", "other"])
        let at = clock - random.below(random.chance(1, in: 5) ? 12_000 : 2_000)
        let key = random.chance(1, in: 20) ? "null" : "\(random.below(3))"
        return #"{"event_type":"\#(type)","key":\#(key),"number":\#(number),"at":\#(at)}"#
    }

    /// Pairs by key that are at most 3 s apart, with a lateness of 2 s; slow and obvious.
    private static func pairs(_ lines: [String]) throws -> (rows: Set<[Int64]>, late: UInt64) {
        var left: [Left] = []
        var right: [Left] = []
        var streamTime = Int64.min
        var rows: Set<[Int64]> = []
        var late: UInt64 = 0
        func isPast(_ at: Timestamp) -> Bool { at.microseconds + 5_000_000 <= streamTime }
        for line in lines {
            let event = try JSONValue(parsing: line)
            guard case .number(let at)? = event["at"], let millis = Int64(at) else { continue }
            streamTime = max(streamTime, millis * 1_000)
            guard let new = try? ValueDecoder(event).decode(Left.self),
                event["event_type"] != .string("other")
            else { continue }
            if isPast(new.at) {
                late += 1
                continue
            }
            let isLeft = event["event_type"] == .string("left")
            for other in isLeft ? right : left
            where other.key == new.key && !isPast(other.at)
                && abs(other.at.microseconds - new.at.microseconds) <= 3_000_000
            {
                let (a, b) = isLeft ? (new, other) : (other, new)
                rows.insert([Int64(a.number), Int64(b.number)])
            }
            if isLeft { left.append(new) } else { right.append(new) }
        }
        return (rows, late)
    }

    @Test("decides what is late in a join, too", arguments: Seeds.random(6))
    func join(seed: UInt64) throws {
        let view = View("pairs") {
            Events(Left.self, at: \.at)
                .join(
                    Events(Right.self, at: \.at).filter { $0.number > 0 }, on: \.key,
                    equals: \.key, .within(.seconds(3), lateness: .seconds(2))
                ) { ($0.number, $1.number) }
                .grouped(as: "pair") { "\($0.0) \($0.1)" }
                .aggregate(.count().as("times"))
        }
        var random = SplitMix(state: seed)
        var clock = 1_000_000
        let lines = (1..<200).map { Self.line(&random, $0, &clock) }
        let expected = try Self.pairs(lines)
        let keys = expected.rows.map { "\($0[0]) \($0[1])" }.sorted()
        for _ in 0..<3 {
            let way = EventsWay.random(lines.count, &random)
            let outcome = try way.run(view, lines)
            #expect(outcome.tables[0].map { $0[0].plainText } == keys, "seed \(seed), \(way)")
            #expect(outcome.tables[0].allSatisfy { $0[1] == .integer(1) })
            #expect(outcome.counters.late == expected.late, "seed \(seed), \(way)")
            #expect(!keys.isEmpty && expected.late > 0)
        }
    }
}
