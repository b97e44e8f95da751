import KappaTesting
import Testing

@testable import KappaCore

/// Sliding windows over random events with disorder, brought forward in random ways, compared with a slow
/// reference that adds each event to all of its windows at once.
@Suite("Sliding windows equal the reference") struct SlidingPropertyTests {
    private static let second: Int64 = 1_000_000

    private static func readings(_ event: JSONValue) throws -> [(Reading, Timestamp)]? {
        guard event["event_type"] == .string("reading") else { return nil }
        let reading = try ValueDecoder(event).decode(Reading.self)
        return [(reading, reading.at)]
    }

    /// A size, a lateness and a retention, in seconds.
    private struct Shape {
        var size: Int64
        var lateness: Int64?
        var keep: Int64?

        init(_ random: inout SplitMix) {
            size = random.pick([1, 3, 10, 40])
            lateness = random.pick([nil, 0, 1, 4, 12])
            keep = random.pick([nil, nil, max(lateness ?? 0, Int64(random.below(20)))])
        }

        func reference(
            _ elements: @escaping (JSONValue) throws -> [(Reading, Timestamp)]?,
            keys: [(Reading) throws -> Value], windowFirst: Bool,
            _ aggregates: [([Reading]) -> Value]
        ) -> EventsReference<Reading> {
            EventsReference(
                elements: elements, keys: keys, cut: .sliding(size * second),
                lateness: lateness.map { $0 * second }, keep: keep.map { $0 * second },
                clock: Reading.time, windowFirst: windowFirst, aggregates: aggregates)
        }
    }

    @Test("aggregates of every kind, before the key", arguments: Seeds.random(16))
    func aggregates(seed: UInt64) throws {
        var random = SplitMix(state: seed ^ 21)
        let shape = Shape(&random)
        let view = View("sliding") {
            Events(Reading.self, at: \.at)
                .window(
                    .sliding(.seconds(shape.size)), lateness: shape.lateness.map { .seconds($0) },
                    keep: shape.keep.map { .seconds($0) }
                )
                .grouped(by: \.user)
                .aggregate(
                    .count().as("events"), .sum(\.weight).as("weights"),
                    .first(\.note).as("first_note"), .last(\.amount).as("last_amount"),
                    .sum(\.amount).as("amounts"), .average(\.weight).as("mean_weight"),
                    .min(\.at).as("first_at"), .min(\.note).as("least_note"),
                    .countDistinct(\.place).as("places"),
                    .collect(\.count, limit: 4).as("counts"),
                    .sum(\.count).where(\.isGood == true).as("good"))
        }
        try shape.reference(
            Self.readings, keys: [{ $0.user.cell }], windowFirst: true,
            [
                { $0.count.cell }, { $0.map(\.weight).reduce(0, +).cell }, { $0[0].note.cell },
                { $0[$0.count - 1].amount.cell }, { $0.map(\.amount).reduce(0, +).cell },
                { EventsAggregates.average($0.map { Optional($0.weight) }) },
                { EventsAggregates.least($0.map(\.at)) },
                { EventsAggregates.leastText($0.map(\.note)) },
                { EventsAggregates.distinct($0.map(\.place)) },
                { EventsAggregates.collected($0.map { Optional($0.count) }, limit: 4) },
                { $0.filter(\.isGood).map(\.count).reduce(0, +).cell },
            ]
        ).check(view, seed: seed)
    }

    @Test("after two keys or without any, few keys", arguments: Seeds.random(16))
    func fewKeys(seed: UInt64) throws {
        var random = SplitMix(state: seed ^ 22)
        let shape = Shape(&random)
        let keyed = View("sliding") {
            Events(Reading.self, at: \.at)
                .grouped(by: \.isGood, \.place)
                .window(
                    .sliding(.seconds(shape.size)), lateness: shape.lateness.map { .seconds($0) },
                    keep: shape.keep.map { .seconds($0) }
                )
                .aggregate(
                    .count().as("events"), .max(\.ratio).as("ratio"),
                    .argMax(\.user, by: \.count).as("best"))
        }
        try shape.reference(
            Self.readings, keys: [{ $0.isGood.cell }, { $0.place.cell }], windowFirst: false,
            [
                { $0.count.cell }, { EventsAggregates.largest($0.map(\.ratio)) },
                {
                    EventsAggregates.arg(
                        $0, value: \.user, key: { Optional($0.count) }, beats: >)
                },
            ]
        ).check(keyed, seed: seed)
        let unkeyed = View("sliding") {
            Events(Reading.self, at: \.at)
                .filter { $0.isGood }
                .window(
                    .sliding(.seconds(shape.size)), lateness: shape.lateness.map { .seconds($0) },
                    late: .deadLetters, keep: shape.keep.map { .seconds($0) }
                )
                .aggregate(.count().as("events"), .last(\.user).as("user"))
        }
        var reference = shape.reference(
            { try Self.readings($0)?.filter(\.0.isGood) }, keys: [], windowFirst: true,
            [{ $0.count.cell }, { $0[$0.count - 1].user.cell }])
        reference.lateAreDead = true
        try reference.check(unkeyed, seed: seed)
    }

    @Test("aggregates computed in one sweep, by window and by key", arguments: Seeds.random(16))
    func swept(seed: UInt64) throws {
        var random = SplitMix(state: seed ^ 25)
        let shape = Shape(&random)
        let isWindowFirst = seed % 2 == 0
        let window = Window.sliding(.seconds(shape.size))
        let lateness: Duration? = shape.lateness.map { .seconds($0) }
        let keep: Duration? = shape.keep.map { .seconds($0) }
        let events = Events(Reading.self, at: \.at)
        let grouping =
            isWindowFirst
            ? events.window(window, lateness: lateness, keep: keep).grouped(by: \.isGood)
            : events.grouped(by: \.isGood).window(window, lateness: lateness, keep: keep)
        let view = View("sliding") {
            grouping.aggregate(
                .count().as("events"), .sum(\.count).as("counts"), .sum(\.amount).as("amounts"),
                .average(\.price).as("mean_price"), .min(\.at).as("first_at"),
                .max(\.ratio).as("ratio"), .count(\.note).where(\.count > 0).as("notes"))
        }
        try shape.reference(
            Self.readings, keys: [{ $0.isGood.cell }], windowFirst: isWindowFirst,
            [
                { $0.count.cell }, { $0.map(\.count).reduce(0, +).cell },
                { $0.map(\.amount).reduce(0, +).cell },
                { EventsAggregates.average($0.map(\.price)) },
                { EventsAggregates.least($0.map(\.at)) },
                { EventsAggregates.largest($0.map(\.ratio)) },
                { $0.count { $0.count > 0 && $0.note != nil }.cell },
            ]
        ).check(view, seed: seed, ways: 4)
    }

    struct Amount: Event {
        static let allowsTimesBefore1990 = true
        var at: Timestamp
        var amount: Int
    }

    @Test("a sum is correct even if only a partial sum does not fit")
    func partialSums() throws {
        let view = View("sliding") {
            Events(Amount.self, at: \.at)
                .window(.sliding(.seconds(2)))
                .aggregate(.sum(\.amount).as("amount"))
        }
        let most = Int.max
        let amounts = [5, -most, most, most]
        // Among the last three, the sum of the last two does not fit.
        try Scenario(view).given(
            lines: amounts.enumerated().map { second, amount in
                #"{"event_type":"amount","at":\#(second * 1_000),"amount":\#(amount)}"#
            }
        ).expect(
            "amount", "5", "\(5 - most)", "5", "\(most)")
    }

    @Test("several elements of one event", arguments: Seeds.random(6))
    func fannedOut(seed: UInt64) throws {
        var random = SplitMix(state: seed ^ 23)
        let shape = Shape(&random)
        let twice: @Sendable (Reading) -> [Reading] = { reading in
            var other = reading
            other.count = -reading.count
            return [reading, other]
        }
        let view = View("sliding") {
            Events(Reading.self, at: \.at)
                .flatMap(twice)
                .grouped(by: \.place)
                .window(
                    .sliding(.seconds(shape.size)), lateness: shape.lateness.map { .seconds($0) },
                    keep: shape.keep.map { .seconds($0) }
                )
                .aggregate(
                    .first(\.count).as("first"), .last(\.count).as("last"),
                    .collect(\.count, limit: 5).as("counts"))
        }
        try shape.reference(
            { try Self.readings($0)?.flatMap { read in twice(read.0).map { ($0, read.1) } } },
            keys: [{ $0.place.cell }], windowFirst: false,
            [
                { $0[0].count.cell }, { $0[$0.count - 1].count.cell },
                { EventsAggregates.collected($0.map { Optional($0.count) }, limit: 5) },
            ]
        ).check(view, seed: seed)
    }

    /// A reading with one of a few times.
    struct TiedReading: Event {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = "reading"
        var user: String
        var weight: Double
        var at: Timestamp
        var tied: Timestamp { at.start(ofWindow: .seconds(3)) }
    }

    @Test("many events with the same time", arguments: Seeds.random(8))
    func ties(seed: UInt64) throws {
        var random = SplitMix(state: seed ^ 24)
        let shape = Shape(&random)
        let view = View("sliding") {
            Events(TiedReading.self, at: \.tied)
                .window(
                    .sliding(.seconds(3 * shape.size)),
                    lateness: shape.lateness.map { .seconds($0) }
                )
                .aggregate(
                    .count().as("events"), .sum(\.weight).as("weights"),
                    .last(\.user).as("last_user"))
        }
        try EventsReference<TiedReading>(
            elements: { event in
                guard event["event_type"] == .string("reading") else { return nil }
                let reading = try ValueDecoder(event).decode(TiedReading.self)
                return [(reading, reading.tied)]
            },
            cut: .sliding(3 * shape.size * Self.second),
            lateness: shape.lateness.map { $0 * Self.second },
            aggregates: [
                { $0.count.cell }, { $0.map(\.weight).reduce(0, +).cell },
                { $0[$0.count - 1].user.cell },
            ]
        ).check(view, seed: seed)
    }

    struct Tick: Event {
        static let allowsTimesBefore1990 = true
        var at: Timestamp
    }

    @Test("only state that an open window may still need is kept", arguments: [0, 3] as [Int64])
    func state(lateness: Int64) throws {
        let view = View("sliding") {
            Events(Tick.self, at: \.at)
                .window(.sliding(.seconds(5)), lateness: .seconds(lateness))
                .aggregate(.count().as("events"))
        }
        let folder = try TemporaryFolder(inMemory: true)
        let version = try EventsVersion(view, in: folder.path)
        let writer = try LogWriter(version.log)
        var times: [Int64] = []
        for second in 0..<40 {
            times.append(Int64(second))
            _ = try writer.append(
                try EventLines(
                    event: #"{"event_type":"tick","at":\#(second * 1_000)}"#))
            try version.scan()
            if second % 7 == 0 { version.close() }
            let needed = times.count { $0 + 5 + lateness >= Int64(second) }
            #expect(try version.stateRows() == [needed])
        }
    }
}
