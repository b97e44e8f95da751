import KappaTesting
import Testing

@testable import KappaCore

/// Every kind of aggregation over random events, brought forward in random ways, against a slow
/// reference: rows, counters and dead letters.
@Suite("Aggregations equal the reference") struct AggregationPropertyTests {
    private static let second: Int64 = 1_000_000

    /// An event as the views below take it.
    private static func reading(_ event: JSONValue) throws -> Reading? {
        guard event["event_type"] == .string("reading") else { return nil }
        return try ValueDecoder(event).decode(Reading.self)
    }
    private static func readings(_ event: JSONValue) throws -> [(Reading, Timestamp)]? {
        try reading(event).map { [($0, $0.at)] }
    }

    private func check(
        _ view: any AnyView, _ reference: EventsReference<some Any>, seed: UInt64, ways: Int = 3
    ) throws {
        try reference.check(view, seed: seed, ways: ways)
    }

    @Test("by key, every aggregate", arguments: Seeds.random(8))
    func byKey(seed: UInt64) throws {
        let view = View("by_key") {
            Events(Reading.self, at: \.at)
                .grouped(by: \.user)
                .aggregate(
                    .count().as("events"), .count(\.note).as("notes"), .sum(\.count).as("counts"),
                    .sum(\.extra).as("extras"), .sum(\.amount).as("amounts"),
                    .sum(\.price).as("prices"), .sum(\.weight).as("weights"),
                    .average(\.amount).as("mean_amount"), .average(\.ratio).as("mean_ratio"),
                    .min(\.amount).as("least_amount"), .max(\.price).as("largest_price"),
                    .min(\.note).as("least_note"), .max(\.at).as("latest"),
                    .min(\.ratio).as("least_ratio"), .max(\.extra).as("largest_extra"),
                    .first(\.note).as("first_note"), .last(\.amount).as("last_amount"),
                    .first(\.at).as("first_at"), .last(\.isGood).as("last_is_good"),
                    .countDistinct(\.note).as("different_notes"),
                    .countDistinct(\.price).as("different_prices"),
                    .countDistinct(\.weight).as("different_weights"))
        }
        try check(view, Self.all(keys: [{ $0.user.cell }]), seed: seed)
    }

    /// The reference for the view above, with any cut.
    private static func all(
        keys: [(Reading) throws -> Value]
    ) -> EventsReference<Reading> {
        typealias A = EventsAggregates
        return EventsReference(
            elements: readings, keys: keys,
            aggregates: [
                { $0.count.cell }, { A.there($0.map(\.note)).count.cell },
                { $0.map(\.count).reduce(0, +).cell },
                { A.there($0.map(\.extra)).reduce(0, +).cell },
                { $0.map(\.amount).reduce(0, +).cell },
                { A.there($0.map(\.price)).reduce(0, +).cell },
                { $0.map(\.weight).reduce(0, +).cell },
                { A.average($0.map(\.amount)) }, { A.average($0.map(\.ratio)) },
                { A.least($0.map(\.amount)) }, { A.largest($0.map(\.price)) },
                { A.leastText($0.map(\.note)) }, { A.largest($0.map(\.at)) },
                { A.least($0.map(\.ratio)) }, { A.largest($0.map(\.extra)) },
                { $0[0].note.cell }, { $0[$0.count - 1].amount.cell },
                { $0[0].at.cell }, { $0[$0.count - 1].isGood.cell },
                { A.distinct($0.map(\.note)) }, { A.distinct($0.map(\.price)) },
                { A.distinct($0.map(\.weight)) },
            ])
    }

    @Test("tumbling windows with lateness, by two keys", arguments: Seeds.random(8))
    func tumbling(seed: UInt64) throws {
        let view = View("tumbling") {
            Events(Reading.self, at: \.at)
                .window(.tumbling(.seconds(5)), lateness: .seconds(3))
                .grouped(by: \.place, \.user)
                .aggregate(
                    .count().as("events"), .sum(\.amount).as("amounts"),
                    .sum(\.weight).as("weights"), .last(\.note).as("last_note"))
        }
        let reference = EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.place.cell }, { $0.user.cell }],
            cut: .tumbling(5 * Self.second), lateness: 3 * Self.second, clock: Reading.time,
            aggregates: [
                { $0.count.cell }, { $0.map(\.amount).reduce(0, +).cell },
                { $0.map(\.weight).reduce(0, +).cell }, { $0[$0.count - 1].note.cell },
            ])
        try check(view, reference, seed: seed)
    }

    @Test("tumbling windows after the key, nothing late", arguments: Seeds.random(8))
    func keyedTumbling(seed: UInt64) throws {
        let view = View("keyed_tumbling") {
            Events(Reading.self, at: \.at)
                .grouped(by: \.isGood)
                .window(.tumbling(.seconds(7)))
                .aggregate(.average(\.count).as("mean"), .countDistinct(\.user).as("users"))
        }
        let reference = EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.isGood.cell }], cut: .tumbling(7 * Self.second),
            windowFirst: false,
            aggregates: [
                { EventsAggregates.average($0.map { ExactDecimal(Int64($0.count)) }) },
                { EventsAggregates.distinct($0.map(\.user)) },
            ])
        try check(view, reference, seed: seed)
    }

    @Test("sessions, with and without lateness", arguments: Seeds.random(15))
    func sessions(seed: UInt64) throws {
        let lateness: Int64? = [nil, 0, 4][Int(seed % 3)]
        let duration = lateness.map { Duration.seconds($0) }
        let view = View("sessions") {
            Events(Reading.self, at: \.at)
                .grouped(by: \.user)
                .window(.session(gap: .seconds(6)), lateness: duration)
                .aggregate(
                    .count().as("events"), .sum(\.amount).as("amounts"),
                    .sum(\.count).as("counts"), .average(\.price).as("mean_price"),
                    .min(\.at).as("first_at"), .max(\.note).as("largest_note"),
                    .first(\.note).as("first_note"), .last(\.place).as("last_place"),
                    .countDistinct(\.place).as("places"), .min(\.amount).as("least"))
        }
        typealias A = EventsAggregates
        let reference = EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.user.cell }], cut: .session(6 * Self.second),
            lateness: lateness.map { $0 * Self.second }, clock: Reading.time, windowFirst: false,
            aggregates: [
                { $0.count.cell }, { $0.map(\.amount).reduce(0, +).cell },
                { $0.map(\.count).reduce(0, +).cell }, { A.average($0.map(\.price)) },
                { A.least($0.map(\.at)) },
                {
                    A.there($0.map(\.note)).max {
                        Array($0.utf8).lexicographicallyPrecedes($1.utf8)
                    }.cell
                },
                { $0[0].note.cell }, { $0[$0.count - 1].place.cell },
                { A.distinct($0.map(\.place)) }, { A.least($0.map(\.amount)) },
            ])
        try check(view, reference, seed: seed)
    }

    @Test("sessions before the key", arguments: Seeds.random(8))
    func sessionsFirst(seed: UInt64) throws {
        let view = View("sessions_first") {
            Events(Reading.self, at: \.at)
                .window(.session(gap: .seconds(2)), lateness: .seconds(10))
                .grouped(by: \.place)
                .aggregate(.count().as("events"), .last(\.user).as("last_user"))
        }
        let reference = EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.place.cell }], cut: .session(2 * Self.second),
            lateness: 10 * Self.second, clock: Reading.time,
            aggregates: [{ $0.count.cell }, { $0[$0.count - 1].user.cell }])
        try check(view, reference, seed: seed)
    }

    private struct Part: Sendable {
        var user: String
        var number: Int
        var share: Double
    }
    private struct Refusal: Error, CustomStringConvertible {
        let description: String
    }
    @Sendable private static func parts(_ reading: Reading) throws -> [Part] {
        if reading.count == 13 { throw Refusal(description: "thirteen") }
        return (0..<(abs(reading.count) % 4)).map {
            Part(user: reading.user, number: $0, share: reading.weight / 3)
        }
    }
    @Sendable private static func key(_ part: Part) throws -> String {
        if part.number == 2, part.share > 300 { throw Refusal(description: "too large a share") }
        return "\(part.user)#\(part.number)"
    }

    @Test(
        "filter, map, compactMap and flatMap, computed keys and sums, closures that throw",
        arguments: Seeds.random(8))
    func transforms(seed: UInt64) throws {
        let view = View("transforms") {
            Events(Reading.self, at: \.at)
                .filter { $0.isGood }
                .compactMap { $0.note == "x" ? nil : $0 }
                .flatMap(Self.parts)
                .map { Part(user: $0.user, number: $0.number, share: $0.share + 1) }
                .window(.tumbling(.seconds(8)), lateness: .seconds(1))
                .grouped(as: "part", by: Self.key)
                .aggregate(
                    .count().as("events"), .sum(\.share).as("shares"),
                    .sum(of: { $0.number * 2 }).as("numbers"))
        }
        let reference = EventsReference<Part>(
            elements: { event in
                guard let reading = try Self.reading(event), reading.isGood, reading.note != "x"
                else { return nil }
                return try Self.parts(reading).map {
                    (Part(user: $0.user, number: $0.number, share: $0.share + 1), reading.at)
                }
            },
            keys: [{ try Self.key($0).cell }], cut: .tumbling(8 * Self.second),
            lateness: Self.second, clock: Reading.time,
            aggregates: [
                { $0.count.cell }, { $0.map(\.share).reduce(0, +).cell },
                { $0.map { $0.number * 2 }.reduce(0, +).cell },
            ])
        try check(view, reference, seed: seed)
    }

    @Test("one row for each window, without keys", arguments: Seeds.random(4))
    func noKey(seed: UInt64) throws {
        let view = View("no_key") {
            Events(Reading.self, at: \.at)
                .window(.tumbling(.seconds(20)), lateness: .zero)
                .aggregate(.count().as("events"), .sum(\.ratio).as("ratios"))
        }
        let reference = EventsReference<Reading>(
            elements: Self.readings, cut: .tumbling(20 * Self.second), lateness: 0,
            clock: Reading.time,
            aggregates: [
                { $0.count.cell }, { EventsAggregates.there($0.map(\.ratio)).reduce(0, +).cell },
            ])
        try check(view, reference, seed: seed)
    }

    /// Reads the same events with other types.
    struct LooseReading: Event {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = "reading"
        var user: String?
        var place: Double
        var amount: String?
    }

    @Test("views that share one scan do not affect each other", arguments: Seeds.random(6))
    func sharedScan(seed: UInt64) throws {
        let views: [any AnyView] = [
            View("places") {
                Events(Reading.self).grouped(by: \.place).aggregate(.sum(\.amount).as("amounts"))
            },
            View("loose") {
                Events(LooseReading.self)
                    .grouped(as: "user") { $0.user ?? "" }
                    .aggregate(.max(\.place).as("place"), .last(\.amount).as("amount"))
            },
            EventsShop.view,
        ]
        var random = SplitMix(state: seed)
        var maker = ReadingMaker(random)
        let lines = (0..<150).map { _ in
            random.chance(1, in: 3) ? EventsShop.line(&random) : maker.lines(1)[0]
        }
        let folder = try TemporaryFolder(inMemory: true)
        let versions = try views.map { try EventsVersion($0, in: folder.path) }
        let writer = try LogWriter(versions[0].log)
        for (index, line) in lines.enumerated() {
            _ = try writer.append(try EventLines(event: line))
            // The versions get ahead of each other in turn.
            if index == 40 { try versions[0].scan() }
            if index == 90 { try versions[2].scan() }
        }
        for version in versions { version.close() }
        try EventsVersion.scan(versions)
        for (view, version) in zip(views, versions) {
            let alone = try EventsWay.whole(lines.count).run(view, lines)
            let difference = try version.outcome().difference(from: alone)
            #expect(difference == nil, "seed \(seed), \(view.name)")
        }
    }
}
