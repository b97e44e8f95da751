import KappaTesting
import Testing

@testable import KappaCore

/// Windows of every kind over random events with disorder, brought forward in random ways, against a
/// slow reference.
@Suite("Windows equal the reference") struct WindowPropertyTests {
    private static let second: Int64 = 1_000_000

    private static func readings(_ event: JSONValue) throws -> [(Reading, Timestamp)]? {
        guard event["event_type"] == .string("reading") else { return nil }
        let reading = try ValueDecoder(event).decode(Reading.self)
        return [(reading, reading.at)]
    }

    private func check(
        _ view: any AnyView, _ reference: EventsReference<some Any>, seed: UInt64
    ) throws {
        var random = SplitMix(state: seed)
        var maker = ReadingMaker(random)
        let lines = maker.lines(40 + random.below(160))
        let expected = try reference.run(lines)
        for number in 0..<3 {
            var way = number == 0 ? .whole(lines.count) : EventsWay.random(lines.count, &random)
            if number == 0 { way.forbidColumns = seed % 2 == 0 }
            let found = try way.run(view, lines)
            #expect(found.difference(from: expected) == nil, "seed \(seed), \(way)")
        }
    }

    @Test("hopping windows: gaps, offsets, lateness", arguments: EventsSeeds.random(16))
    func hopping(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let every = 1 + random.below(9)
        let size = random.pick([every, 2 * every, 5 * every, 7, 10, 1, 30])
        let offset = random.pick([0, 0, 1, -3, 100])
        let lateness = random.pick([nil, 0, 4, 20])
        let view = View("hopping") {
            Events(Reading.self, at: \.at)
                .window(
                    .hopping(.seconds(size), every: .seconds(every), offset: .seconds(offset)),
                    lateness: lateness.map { .seconds($0) }
                )
                .grouped(by: \.user)
                .aggregate(
                    .count(as: "events"), .count(as: "good", where: \.isGood == true),
                    .sum(\.weight, as: "weights"), .first(\.note, as: "first_note"),
                    .last(\.place, as: "last_place"), .countDistinct(\.place, as: "places"))
        }
        let reference = EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.user.cell }],
            cut: .hopping(
                Int64(size) * Self.second, every: Int64(every) * Self.second,
                offset: Int64(offset) * Self.second),
            lateness: lateness.map { Int64($0) * Self.second },
            aggregates: [
                { $0.count.cell }, { $0.count(where: \.isGood).cell },
                { $0.map(\.weight).reduce(0, +).cell }, { $0[0].note.cell },
                { $0[$0.count - 1].place.cell }, { EventsAggregates.distinct($0.map(\.place)) },
            ])
        try check(view, reference, seed: seed)
    }

    @Test("times that are computed move only by the view's own events")
    func computedTimes() throws {
        for seed in EventsSeeds.random(4) {
            let view = View("computed") {
                Events(Reading.self, at: \.wholeSecond)
                    .filter { $0.isGood }
                    .window(.tumbling(.seconds(4)), lateness: .seconds(1))
                    .grouped(by: \.user)
                    .aggregate(.count(as: "events"))
            }
            let reference = EventsReference<Reading>(
                elements: { event in
                    try Self.readings(event)?.filter { $0.0.isGood }.map { reading, _ in
                        (reading, reading.wholeSecond)
                    }
                },
                time: { _ in nil }, keys: [{ $0.user.cell }], cut: .tumbling(4 * Self.second),
                lateness: Self.second, aggregates: [{ $0.count.cell }])
            try check(view, reference, seed: seed)
        }
    }

    @Test("tumbling windows with an offset, behind the key", arguments: EventsSeeds.random(4))
    func offset(seed: UInt64) throws {
        let view = View("offset") {
            Events(Reading.self, at: \.at)
                .grouped(by: \.place)
                .window(.tumbling(.seconds(10), offset: .seconds(-3)), lateness: .seconds(2))
                .aggregate(.count(as: "events"), .last(\.user, as: "last_user"))
        }
        let reference = EventsReference<Reading>(
            elements: Self.readings, keys: [{ $0.place.cell }],
            cut: .hopping(10 * Self.second, every: 10 * Self.second, offset: 7 * Self.second),
            lateness: 2 * Self.second, windowFirst: false,
            aggregates: [{ $0.count.cell }, { $0[$0.count - 1].user.cell }])
        try check(view, reference, seed: seed)
    }
}

extension Reading {
    fileprivate var wholeSecond: Timestamp { at.start(ofWindow: .seconds(1)) }
}

@Suite("Windows") struct WindowTests {
    @Test("the way a window without an offset is written into digests stays as it was")
    func printedForm() {
        func text(_ window: Window) -> String { "\(window.kind)" }
        #expect(text(.tumbling(.seconds(10))) == "tumbling(microseconds: 10000000)")
        #expect(
            text(.tumbling(.seconds(10), offset: .seconds(20))) == text(.tumbling(.seconds(10))))
        #expect(
            text(.tumbling(.seconds(10), offset: .seconds(-1)))
                == "hopping(microseconds: 10000000, every: 10000000, offset: 9000000)")
        #expect(
            text(.hopping(.seconds(10), every: .seconds(2)))
                == "hopping(microseconds: 10000000, every: 2000000, offset: 0)")
        #expect(text(.session(gap: .seconds(1))) == "session(gapMicroseconds: 1000000)")
    }
}
