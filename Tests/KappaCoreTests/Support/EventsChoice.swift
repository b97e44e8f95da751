import KappaTesting
import Testing

@testable import KappaCore

/// Some aggregates of ``Reading``, and their expected values, as functions of a group in log order.
struct EventsChoice: Sendable, CustomStringConvertible {
    var name: String
    var aggregates: [Aggregate<Reading, Columns>]
    var expected: @Sendable () -> [([Reading]) -> Value]

    init(
        _ name: String, _ aggregates: [Aggregate<Reading, Columns>],
        expected: @escaping @Sendable () -> [([Reading]) -> Value]
    ) {
        self.name = name
        self.aggregates = aggregates
        self.expected = expected
    }

    var description: String { name }

    private static func readings(_ event: JSONValue) throws -> [(Reading, Timestamp)]? {
        guard event["event_type"] == .string("reading") else { return nil }
        let reading = try ValueDecoder(event).decode(Reading.self)
        return [(reading, reading.at)]
    }

    /// Groups by key over random events, brought forward in random ways.
    func checkByKey(seed: UInt64) throws {
        let view = View("by_key") {
            Aggregation(
                Events(Reading.self, at: \.at).grouped(by: \.user).grouping,
                NamedAggregates(aggregates))
        }
        let reference = EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.user.cell }], aggregates: expected())
        try check(view, reference, seed: seed)
    }

    /// The same in sessions that merge, with lateness for every other seed.
    func checkSessions(seed: UInt64) throws {
        let lateness: Int64? = seed % 2 == 0 ? nil : 4
        let view = View("sessions") {
            Aggregation(
                Events(Reading.self, at: \.at)
                    .grouped(by: \.isGood)
                    .window(.session(gap: .seconds(3)), lateness: lateness.map { .seconds($0) }),
                NamedAggregates(aggregates))
        }
        let reference = EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.isGood.cell }], cut: .session(3_000_000),
            lateness: lateness.map { $0 * 1_000_000 }, clock: Reading.time, windowFirst: false,
            aggregates: expected())
        try check(view, reference, seed: seed)
    }

    /// Doubles may differ from the reference by rounding, but not between ways.
    private func check(
        _ view: any AnyView, _ reference: EventsReference<Reading>, seed: UInt64
    ) throws {
        var random = SplitMix(state: seed)
        var maker = ReadingMaker(random)
        let lines = maker.lines(40 + random.below(160))
        let expected = try reference.run(lines)
        var first: EventsOutcome?
        for number in 0..<3 {
            var way = number == 0 ? .whole(lines.count) : EventsWay.random(lines.count, &random)
            if number == 0 { way.forbidColumns = seed % 2 == 0 }
            let found = try way.run(view, lines)
            let difference = found.difference(from: expected, tolerance: 1e-9)
            #expect(difference == nil, "\(name), seed \(seed), \(way)")
            if let first {
                #expect(found.difference(from: first) == nil, "\(name), seed \(seed), \(way)")
            }
            first = first ?? found
        }
    }
}
