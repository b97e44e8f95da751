import KappaTesting
import Testing

@testable import KappaCore

/// Windows over random events with disorder, brought forward in random ways, compared with a slow reference.
@Suite("Windows equal the reference") struct WindowPropertyTests {
    private static let second: Int64 = 1_000_000

    private static func readings(_ event: JSONValue) throws -> [(Reading, Timestamp)]? {
        guard event["event_type"] == .string("reading") else { return nil }
        let reading = try ValueDecoder(event).decode(Reading.self)
        return [(reading, reading.at)]
    }

    /// One way to cut time, in milliseconds.
    struct Cut: CustomStringConvertible {
        var size: Int64
        var every: Int64
        var offset: Int64
        var lateness: Int64?

        init(_ random: inout SplitMix) {
            every = random.pick([1_000, 2_000, 3_500, 7_000])
            size = every * random.pick([1, 2, 5, 9]) + random.pick([0, 0, 500, every - 1])
            offset = random.pick([0, 0, 250, -1_000, 100_000_001])
            lateness = random.pick([nil, 0, 1_000, 6_500])
        }

        var window: Window {
            let offset = Duration.milliseconds(offset)
            return size == every
                ? .tumbling(.milliseconds(size), offset: offset)
                : .hopping(.milliseconds(size), every: .milliseconds(every), offset: offset)
        }
        var duration: Duration? { lateness.map { .milliseconds($0) } }
        var description: String { "\(size) every \(every) + \(offset), late by \(lateness ?? -1)" }

        func reference(
            keys: [(Reading) throws -> Value], windowFirst: Bool,
            _ aggregates: [([Reading]) -> Value]
        ) -> EventsReference<Reading> {
            EventsReference(
                elements: WindowPropertyTests.readings, keys: keys,
                cut: .hopping(size * 1_000, every * 1_000, offset * 1_000),
                lateness: lateness.map { $0 * 1_000 }, clock: Reading.time,
                windowFirst: windowFirst, aggregates: aggregates)
        }
    }

    @Test("windows that overlap or have an offset, before the key", arguments: Seeds.random(16))
    func hopping(seed: UInt64) throws {
        var random = SplitMix(state: seed ^ 1)
        let cut = Cut(&random)
        let view = View("hopping") {
            Events(Reading.self, at: \.at)
                .window(cut.window, lateness: cut.duration)
                .grouped(by: \.user)
                .aggregate(
                    .count().as("events"), .sum(\.weight).as("weights"),
                    .first(\.note).as("first_note"), .last(\.amount).as("last_amount"),
                    .countDistinct(\.place).as("places"),
                    .sum(\.count).where(\.isGood == true).as("good"))
        }
        try cut.reference(
            keys: [{ $0.user.cell }], windowFirst: true,
            [
                { $0.count.cell }, { $0.map(\.weight).reduce(0, +).cell }, { $0[0].note.cell },
                { $0[$0.count - 1].amount.cell }, { EventsAggregates.distinct($0.map(\.place)) },
                { $0.filter(\.isGood).map(\.count).reduce(0, +).cell },
            ]
        ).check(view, seed: seed)
    }

    @Test(
        "windows that overlap or have an offset, after two keys or without",
        arguments: Seeds.random(12))
    func hoppingBehindKeys(seed: UInt64) throws {
        var random = SplitMix(state: seed ^ 2)
        let cut = Cut(&random)
        let keyed = View("hopping") {
            Events(Reading.self, at: \.at)
                .grouped(by: \.isGood, \.place)
                .window(cut.window, lateness: cut.duration)
                .aggregate(.count().as("events"), .max(\.ratio).as("ratio"))
        }
        try cut.reference(
            keys: [{ $0.isGood.cell }, { $0.place.cell }], windowFirst: false,
            [{ $0.count.cell }, { EventsAggregates.largest($0.map(\.ratio)) }]
        ).check(keyed, seed: seed, ways: 2)
        let unkeyed = View("hopping") {
            Events(Reading.self, at: \.at)
                .filter { $0.isGood }
                .window(cut.window, lateness: cut.duration)
                .aggregate(.count().as("events"))
        }
        var reference = cut.reference(keys: [], windowFirst: true, [{ $0.count.cell }])
        reference.elements = { try Self.readings($0)?.filter(\.0.isGood) }
        try reference.check(unkeyed, seed: seed, ways: 2)
    }

    @Test("sessions of few keys, with many late events", arguments: Seeds.random(16))
    func lateSessions(seed: UInt64) throws {
        let gap: Int64 = [1, 3, 8][Int(seed % 3)]
        let lateness: Int64 = [0, 1, 5][Int(seed / 3 % 3)]
        let view = View("late_sessions") {
            Events(Reading.self, at: \.at)
                .grouped(by: \.isGood)
                .window(.session(gap: .seconds(gap)), lateness: .seconds(lateness))
                .aggregate(
                    .count().as("events"), .min(\.at).as("first_at"), .max(\.at).as("last_at"),
                    .first(\.user).as("first_user"), .collect(\.count, limit: 4).as("counts"))
        }
        try EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.isGood.cell }],
            cut: .session(gap * Self.second), lateness: lateness * Self.second,
            clock: Reading.time, windowFirst: false,
            aggregates: [
                { $0.count.cell }, { EventsAggregates.least($0.map(\.at)) },
                { EventsAggregates.largest($0.map(\.at)) }, { $0[0].user.cell },
                { EventsAggregates.collected($0.map { Optional($0.count) }, limit: 4) },
            ]
        ).check(view, seed: seed)
    }

    /// A reading whose time is computed: no column holds it.
    struct ShiftedReading: Event {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = "reading"
        var user: String
        var at: Timestamp
        var shifted: Timestamp { at + .seconds(5) }
    }

    @Test(
        "if the time is computed, only the step's own events advance the stream time",
        arguments: Seeds.random(4))
    func computedTime(seed: UInt64) throws {
        let view = View("computed_time") {
            Events(ShiftedReading.self, at: \.shifted)
                .window(.tumbling(.seconds(4)), lateness: .seconds(1))
                .grouped(by: \.user)
                .aggregate(.count().as("events"))
        }
        try EventsReference<ShiftedReading>(
            elements: { event in
                guard event["event_type"] == .string("reading") else { return nil }
                let reading = try ValueDecoder(event).decode(ShiftedReading.self)
                return [(reading, reading.shifted)]
            },
            keys: [{ $0.user.cell }], cut: .tumbling(4 * Self.second), lateness: Self.second,
            aggregates: [{ $0.count.cell }]
        ).check(view, seed: seed)
    }

    @Test("many keys, properties and computed ones", arguments: Seeds.random(4))
    func manyKeys(seed: UInt64) throws {
        let view = View("many_keys") {
            Events(Reading.self, at: \.at)
                .grouped(by: \.user, \.place, \.isGood, \.at, as: "is_large") { $0.count > 0 }
                .window(.hopping(.seconds(3), every: .seconds(2)), lateness: .seconds(60))
                .aggregate(.count().as("events"))
        }
        try EventsReference<Reading>(
            elements: Self.readings,
            keys: [
                { $0.user.cell }, { $0.place.cell }, { $0.isGood.cell }, { $0.at.cell },
                { ($0.count > 0).cell },
            ],
            cut: .hopping(3 * Self.second, 2 * Self.second, 0), lateness: 60 * Self.second,
            clock: Reading.time, windowFirst: false, aggregates: [{ $0.count.cell }]
        ).check(view, seed: seed)
        let behind = View("behind") {
            Events(Reading.self, at: \.at)
                .window(.tumbling(.seconds(9)))
                .grouped(by: \.place, \.user, as: "is_large") { $0.count > 0 }
                .aggregate(.count().as("events"))
        }
        try EventsReference<Reading>(
            elements: Self.readings,
            keys: [{ $0.place.cell }, { $0.user.cell }, { ($0.count > 0).cell }],
            cut: .tumbling(9 * Self.second), aggregates: [{ $0.count.cell }]
        ).check(behind, seed: seed, ways: 2)
    }

    @Test("late events are dead letters if the view asks for it", arguments: Seeds.random(6))
    func lateDeadLetters(seed: UInt64) throws {
        let isSession = seed % 2 == 0
        let view = View("late_letters") {
            Events(Reading.self, at: \.at)
                .window(
                    isSession ? .session(gap: .seconds(2)) : .tumbling(.seconds(3)),
                    lateness: .seconds(1), late: .deadLetters
                )
                .grouped(by: \.isGood)
                .aggregate(.count().as("events"))
        }
        var reference = EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.isGood.cell }],
            cut: isSession ? .session(2 * Self.second) : .tumbling(3 * Self.second),
            lateness: Self.second, clock: Reading.time, aggregates: [{ $0.count.cell }])
        reference.lateAreDead = true
        try reference.check(view, seed: seed)
    }

    @Test(
        "rows of old windows are deleted, the same ones however the log is cut",
        arguments: Seeds.random(12))
    func retention(seed: UInt64) throws {
        var random = SplitMix(state: seed ^ 3)
        let keep = Int64(2 + random.below(20))
        let lateness = random.pick([nil, 0, min(keep, 3)])
        let (window, cut) = random.pick(
            [
                (Window.tumbling(.seconds(3)), .tumbling(3 * Self.second)),
                (
                    .hopping(.seconds(5), every: .seconds(2)),
                    .hopping(5 * Self.second, 2 * Self.second, 0)
                ),
                (.session(gap: .seconds(2)), .session(2 * Self.second)),
            ] as [(Window, EventsReference<Reading>.Cut)])
        let view = View("retention") {
            Events(Reading.self, at: \.at)
                .grouped(by: \.user)
                .window(
                    window, lateness: lateness.map { .seconds($0) }, keep: .seconds(keep)
                )
                .aggregate(.count().as("events"), .countDistinct(\.note).as("notes"))
        }
        try EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.user.cell }], cut: cut,
            lateness: lateness.map { $0 * Self.second }, keep: keep * Self.second,
            clock: Reading.time, windowFirst: false,
            aggregates: [{ $0.count.cell }, { EventsAggregates.distinct($0.map(\.note)) }]
        ).check(view, seed: seed, ways: 4)
    }
}
