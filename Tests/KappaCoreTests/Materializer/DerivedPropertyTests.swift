import KappaTesting
import Testing

@testable import KappaCore

/// Second steps over random events, brought forward in random ways, compared with the same computed from the
/// first step's final rows.
@Suite("Second steps equal the reference") struct DerivedPropertyTests {
    typealias Sale = StreamsMarket.Sale
    private static let second: Int64 = 1_000_000

    /// All sales in log order; the rows are a function of them.
    struct Model: StreamsModel {
        var sales: [(offset: Int64, sale: Sale)] = []
        let make: ([(offset: Int64, sale: Sale)]) -> [[Value]]

        init(_ make: @escaping ([(offset: Int64, sale: Sale)]) -> [[Value]]) { self.make = make }

        var rows: [[Value]] { make(sales) }
        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            for (sale, _) in try StreamsMarket.sales(event) {
                sales.append((offset, sale))
                return 1
            }
            return 0
        }
    }

    /// Groups in key order.
    static func grouped<E>(
        _ elements: [E], by key: (E) -> [Value]
    ) -> [(key: [Value], elements: [E])] {
        Dictionary(grouping: elements, by: key).map { ($0.key, $0.value) }
            .sorted { StreamsOrder.isLess($0.key, $1.key, keys: 9) }
    }

    // MARK: Average of maxima

    struct Best: ViewRow {
        var item: Int
        var user: String
        var best: ExactDecimal
        var weight: Double
        var note: String?
        var sales: Int
    }

    private static func bests(_ sales: [Sale]) -> [Best] {
        grouped(sales) { [$0.item.cell, $0.user.cell] }.map { _, sales in
            Best(
                item: sales[0].item, user: sales[0].user,
                best: sales.map(\.price).max() ?? 0, weight: sales.map(\.weight).reduce(0, +),
                note: sales[sales.count - 1].note, sales: sales.count)
        }
    }

    private static let firstStep = Events(Sale.self)
        .grouped(by: \.item, \.user)
        .aggregate(
            .max(\.price).as("best"), .sum(\.weight).as("weight"), .last(\.note).as("note"),
            .count().as("sales"))

    @Test(
        "aggregates of aggregates: old values of a row are taken back, sums agree bit for bit",
        arguments: Seeds.random(8))
    func averageOfMaxima(seed: UInt64) throws {
        let view = View("maxima") {
            Self.firstStep
                .rows(as: Best.self)
                .filter { $0.sales % 3 != 0 }
                .grouped(by: \.item)
                .aggregate(
                    .average(\.best).as("mean_best"), .sum(\.weight).as("weights"),
                    .first(\.user).as("first_user"), .max(\.note).as("largest_note"),
                    .countDistinct(\.note).as("notes"), .count().where(\.sales > 2).as("many"),
                    .sum(\.best).as("bests"))
        }
        typealias A = EventsAggregates
        let model = Model { sales in
            let rows = Self.bests(sales.map(\.sale)).filter { $0.sales % 3 != 0 }
            return Self.grouped(rows) { [$0.item.cell] }.map { key, rows in
                key + [
                    A.average(rows.map(\.best)), rows.map(\.weight).reduce(0, +).cell,
                    rows[0].user.cell,
                    A.there(rows.map(\.note)).max {
                        Array($0.utf8).lexicographicallyPrecedes($1.utf8)
                    }.cell,
                    A.distinct(rows.map(\.note)), rows.count { $0.sales > 2 }.cell,
                    rows.map(\.best).reduce(0, +).cell,
                ]
            }
        }
        try StreamsReference.check(view, model, seed: seed)
    }

    // MARK: The best of windowed counts

    struct Counted: ViewRow {
        var windowStart: Timestamp
        var item: Int
        var sales: Int
    }

    @Test("the largest counts of each window, with ties", arguments: Seeds.random(10))
    func topOfCounts(seed: UInt64) throws {
        let ties: Ties = seed % 2 == 0 ? .earliest : .all
        let limit = Int(1 + seed / 2 % 2)
        let view = View("top_counts") {
            Events(Sale.self, at: \.at)
                .window(.tumbling(.seconds(12)))
                .grouped(by: \.item)
                .aggregate(.count().as("sales"))
                .rows(as: Counted.self)
                .grouped(by: \.windowStart)
                .top(limit, by: .descending(\.sales), ties: ties)
        }
        let model = Model { sales in
            let counts = Self.grouped(sales.map(\.sale)) { sale in
                let start = sale.at.microseconds / (12 * Self.second) * 12 * Self.second
                return [Timestamp(microseconds: start).cell, sale.item.cell]
            }.map { key, sales in key + [sales.count.cell] }
            return Self.grouped(counts) { [$0[0]] }.flatMap { key, rows in
                // Among equals the one with the smaller key, since they are in key order.
                let sorted = rows.enumerated().sorted { a, b in
                    let (x, y) = (a.element[2], b.element[2])
                    return Value.order(x, y) > 0 || x == y && a.offset < b.offset
                }.map(\.element)
                let least = sorted[min(limit, sorted.count) - 1][2]
                let kept = sorted.enumerated().filter { index, row in
                    index < limit || ties == .all && row[2] == least
                }
                return kept.map { index, row in key + [(index + 1).cell, row[1], row[2]] }
            }
        }
        try StreamsReference.check(view, model, seed: seed)
    }

    // MARK: Rows, reduced

    struct Kept: ViewRow {
        var offset: Int
        var user: String
        var weight: Double
        var day: Timestamp
        var ratio: Double?
    }
    struct Running: ViewRow {
        var user: String
        var total: Double
        var day: Timestamp
    }
    private static let running: @Sendable ([Kept]) throws -> [Running] = { rows in
        // So that there are sometimes fewer rows than before.
        if rows.count % 4 == 3 { return [] }
        return rows.indices.map { index in
            Running(
                user: rows[index].user,
                total: rows[max(0, index - 2)...index].reduce(0) { $0 + $1.weight },
                day: rows[index].day)
        }
    }

    @Test(
        "reduce gets the rows in order and may make more or fewer", arguments: Seeds.random(8)
    )
    func reduce(seed: UInt64) throws {
        let view = View("running") {
            Events(Sale.self).rows()
                .rows(as: Kept.self)
                .grouped(by: \.user)
                .reduce(by: .descending(\.ratio), .ascending(\.weight), into: Self.running)
        }
        let model = Model { sales in
            Self.grouped(sales) { [$0.sale.user.cell] }.flatMap { key, sales in
                let sorted = sales.sorted { a, b in
                    let ratio = Value.order(a.sale.ratio.cell, b.sale.ratio.cell)
                    if ratio != 0 { return ratio > 0 }
                    if a.sale.weight != b.sale.weight { return a.sale.weight < b.sale.weight }
                    return a.offset < b.offset
                }.map {
                    Kept(
                        offset: Int($0.offset), user: $0.sale.user, weight: $0.sale.weight,
                        day: $0.sale.day)
                }
                return ((try? Self.running(sorted)) ?? []).enumerated().map { index, row in
                    key + [(index + 1).cell, row.total.cell, row.day.cell]
                }
            }
        }
        try StreamsReference.check(view, model, seed: seed)
    }

    // MARK: Sessions

    struct Session: ViewRow {
        var user: String
        var windowStart: Timestamp
        var windowEnd: Timestamp
        var sales: Int
    }

    @Test(
        "merged sessions are taken back from the groups in which they counted",
        arguments: Seeds.random(8))
    func sessions(seed: UInt64) throws {
        let view = View("lengths") {
            Events(Sale.self, at: \.at)
                .grouped(by: \.user)
                .window(.session(gap: .seconds(5)))
                .aggregate(.count().as("sales"))
                .rows(as: Session.self)
                .grouped(as: "length") { min($0.sales, 4) }
                .aggregate(
                    .count().as("sessions"), .min(\.windowStart).as("first"),
                    .max(\.windowEnd).as("last"), .last(\.user).as("last_user"))
        }
        let gap = 5 * Self.second
        let model = Model { sales in
            var sessions: [Session] = []
            for (_, sales) in Self.grouped(sales.map(\.sale), by: { [$0.user.cell] }) {
                let times = sales.map(\.at.microseconds).sorted()
                var first = 0
                for index in times.indices
                where index == times.count - 1 || times[index + 1] - times[index] > gap {
                    sessions.append(
                        Session(
                            user: sales[0].user,
                            windowStart: Timestamp(microseconds: times[first]),
                            windowEnd: Timestamp(microseconds: times[index] + gap),
                            sales: index - first + 1))
                    first = index + 1
                }
            }
            return Self.grouped(sessions) { [min($0.sales, 4).cell] }.map { key, sessions in
                key + [
                    sessions.count.cell, EventsAggregates.least(sessions.map(\.windowStart)),
                    EventsAggregates.largest(sessions.map(\.windowEnd)),
                    sessions[sessions.count - 1].user.cell,
                ]
            }
        }
        try StreamsReference.check(view, model, seed: seed)
    }

    // MARK: Chains

    struct Ranked: ViewRow {
        var user: String
        var weight: Double
        var day: Timestamp
    }
    struct DayTotal: ViewRow {
        var day: Timestamp
        var weights: Double
        var users: Int
    }

    @Test(
        "a ranking, grouped, and the groups ranked again: three steps in a chain",
        arguments: Seeds.random(8))
    func chain(seed: UInt64) throws {
        let view = View("chain") {
            Events(Sale.self)
                .grouped(by: \.user).top(2, by: .descending(\.weight), ties: .all)
                .rows(as: Ranked.self)
                .grouped(by: \.day)
                .aggregate(.sum(\.weight).as("weights"), .countDistinct(\.user).as("users"))
                .rows(as: DayTotal.self)
                .map { DayTotal(day: $0.day, weights: $0.weights * 2, users: $0.users) }
                .grouped(as: "parity") { $0.users % 2 == 0 }
                .top(2, by: .ascending(\.weights))
        }
        let model = Model { sales in
            let ranked = Self.grouped(sales.map(\.sale)) { [$0.user.cell] }.flatMap { _, sales in
                let sorted = sales.enumerated().sorted { a, b in
                    a.element.weight > b.element.weight
                        || a.element.weight == b.element.weight && a.offset < b.offset
                }.map(\.element)
                let least = sorted[min(2, sorted.count) - 1].weight
                return sorted.filter { $0.weight >= least }
            }
            let days = Self.grouped(ranked) { [$0.day.cell] }.map { _, sales in
                DayTotal(
                    day: sales[0].day, weights: sales.map(\.weight).reduce(0, +) * 2,
                    users: Set(sales.map(\.user.cell)).count)
            }
            return Self.grouped(days) { [($0.users % 2 == 0).cell] }.flatMap { key, days in
                let sorted = days.sorted { a, b in
                    a.weights < b.weights || a.weights == b.weights && a.day < b.day
                }
                return sorted.prefix(2).enumerated().map { index, day in
                    key + [
                        (index + 1).cell, day.day.cell, day.weights.cell, day.users.cell,
                    ]
                }
            }
        }
        try StreamsReference.check(view, model, seed: seed)
    }
}
