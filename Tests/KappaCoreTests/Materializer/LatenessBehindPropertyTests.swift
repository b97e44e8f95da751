import KappaTesting
import Testing

@testable import KappaCore

/// Windows with a lateness after joins, and before second steps, over random events with disorder.
@Suite("Lateness after joins and before second steps equals the reference")
struct LatenessBehindPropertyTests {
    typealias Sale = StreamsMarket.Sale
    typealias Offer = StreamsMarket.Offer
    private static let second: Int64 = 1_000_000

    struct Pair: ViewRow {
        var item: Int
        var weight: Double
        var limit: Int
    }

    /// Whether a pair of a join is late depends on its own time, the later one of the two.
    struct Model: StreamsModel {
        var join: JoinModel<Sale, Offer>
        let size: Int64
        let isSliding: Bool
        let lateness: Int64
        private var clock = SlowTime()
        private(set) var hasLate = false
        /// All pairs, with what all partitions had passed when they came.
        private var pairs: [(pair: Pair, time: Int64, passed: Int64)] = []

        init(
            _ join: JoinModel<Sale, Offer>, size: Int64, isSliding: Bool, lateness: Int64
        ) {
            (self.join, self.size, self.isSliding) = (join, size, isSliding)
            self.lateness = lateness
        }

        mutating func pass(_ time: SlowTime) {
            clock = time
            join.pass(time)
        }

        private func start(_ time: Int64) -> Int64 { time / size * size }
        /// Whether a window with that end was still open.
        private func isOpen(_ end: Int64, _ clock: Int64) -> Bool {
            isSliding ? end + lateness >= clock : end + lateness > clock
        }

        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            hasLate = false
            var made: [(pair: Pair, time: Int64)] = []
            try join.take(try StreamsMarket.sales(event), try StreamsMarket.offers(event)) {
                sale, offer, time in
                made.append(
                    (Pair(item: sale.item, weight: sale.weight, limit: offer.limit), time))
            }
            for (pair, time) in made {
                if isOpen(isSliding ? time + size : start(time) + size, clock.own) {
                    pairs.append((pair, time, clock.passed))
                } else {
                    hasLate = true
                }
            }
            return made.count
        }

        var rows: [[Value]] {
            var rows: [[Value]] = []
            for item in Set(pairs.map(\.pair.item)) {
                let mine = pairs.filter { $0.pair.item == item }
                let opened = isSliding ? mine.filter { isOpen($0.time, $0.passed) } : mine
                for end in Set(opened.map { isSliding ? $0.time : start($0.time) + size }) {
                    let inside = mine.filter {
                        isSliding
                            ? (end - size...end).contains($0.time) && isOpen(end, $0.passed)
                            : start($0.time) + size == end
                    }.map(\.pair)
                    rows.append([
                        item.cell, Timestamp(microseconds: end - size).cell,
                        Timestamp(microseconds: end).cell, inside.count.cell,
                        inside.map(\.weight).reduce(0, +).cell,
                        inside[inside.count - 1].limit.cell,
                    ])
                }
            }
            return rows.sorted { StreamsOrder.isLess($0, $1, keys: 2) }
        }
    }

    private static let bounds: [(JoinBound, JoinModel<Sale, Offer>.Bound)] = [
        (.anyTime, .none),
        (.within(.seconds(6), lateness: .seconds(9)), .within(6 * second, lateness: 9 * second)),
        (
            .sameWindow(.seconds(10), lateness: .seconds(3)),
            .sameWindow(10 * second, lateness: 3 * second)
        ),
    ]

    @Test("windows after a join", arguments: Seeds.random(18))
    func behindJoins(seed: UInt64) throws {
        let bound = Self.bounds[Int(seed % 3)]
        let isSliding = seed / 3 % 2 == 0
        let lateness = [0, 2, 8][Int(seed / 6 % 3)]
        let view = View("behind") {
            Events(Sale.self, at: \.at)
                .join(
                    Events(Offer.self, at: \.at), on: \.item, equals: \.item, bound.0
                ) { sale, offer in
                    Pair(item: sale.item, weight: sale.weight, limit: offer.limit)
                }
                .grouped(by: \.item)
                .window(
                    isSliding ? .sliding(.seconds(4)) : .tumbling(.seconds(4)),
                    lateness: .seconds(lateness)
                )
                .aggregate(
                    .count().as("pairs"), .sum(\.weight).as("weights"),
                    .last(\.limit).as("last_limit"))
        }
        let model = Model(
            JoinModel(bound.1) { $0.item == $1.item }, size: 4 * Self.second,
            isSliding: isSliding, lateness: Int64(lateness) * Self.second)
        try StreamsReference.check(view, model, seed: seed)
    }

    struct Counted: ViewRow {
        var windowStart: Timestamp
        var windowEnd: Timestamp
        var user: String
        var events: Int
    }

    @Test(
        "a second step over windows that close and are deleted",
        arguments: Seeds.random(18))
    func beforeSecondSteps(seed: UInt64) throws {
        let lateness = [0, 3, 9][Int(seed % 3)]
        let keep: Int64? = seed / 3 % 2 == 0 ? nil : 15
        let windows: [(Window, EventsReference<Reading>.Cut)] = [
            (.tumbling(.seconds(6)), .tumbling(6 * Self.second)),
            (.session(gap: .seconds(3)), .session(3 * Self.second)),
            (.sliding(.seconds(6)), .sliding(6 * Self.second)),
        ]
        let (window, cut) = windows[Int(seed / 6 % 3)]
        let view = View("before") {
            Events(Reading.self, at: \.at)
                .window(
                    window, lateness: .seconds(lateness), keep: keep.map { .seconds($0) }
                )
                .grouped(by: \.user)
                .aggregate(.count().as("events"))
                .rows(as: Counted.self)
                .grouped(by: \.user)
                .aggregate(
                    .count().as("windows"), .sum(\.events).as("events"),
                    .max(\.windowEnd).as("last_end"))
        }
        let reference = EventsReference<Reading>(
            elements: { event in
                guard event["event_type"] == .string("reading") else { return nil }
                let reading = try ValueDecoder(event).decode(Reading.self)
                return [(reading, reading.at)]
            },
            keys: [{ $0.user.cell }], cut: cut, lateness: Int64(lateness) * Self.second,
            keep: keep.map { $0 * Self.second }, clock: Reading.time,
            aggregates: [{ $0.count.cell }])
        try reference.check(view, seed: seed) { expected in
            // window_start, window_end, user, events
            let users = Dictionary(grouping: expected.tables[0]) { $0[2] }
            expected.tables[0] = users.map { user, rows in
                let ends = rows.map { $0[1] }.sorted { StreamsOrder.isLess([$0], [$1], keys: 1) }
                return [
                    user, rows.count.cell, Self.sum(rows.map { $0[3] }).cell,
                    ends[ends.count - 1],
                ]
            }.sorted { StreamsOrder.isLess($0, $1, keys: 1) }
        }
    }

    private static func sum(_ cells: [Value]) -> Int64 {
        cells.reduce(0) { if case .integer(let number) = $1 { $0 + number } else { $0 } }
    }
}
