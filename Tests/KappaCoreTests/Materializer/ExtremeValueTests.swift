import KappaTesting
import Testing

@testable import KappaCore

/// Values at the bounds of a column's type, in every operator that calculates with them. Nothing traps: an
/// event is dead, or the version stops with an error that says where, or the rows do not depend on how the
/// log is cut.
@Suite("Extreme values") struct ExtremeValueTests {
    struct Item: Event, ViewRow {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = nil
        var key: String
        var whole: Int
        var exact: ExactDecimal
        var real: Double
        var maybe: Int?
        var at: Timestamp
    }
    struct Best: ViewRow {
        var key: String
        var sum: Int
        var total: ExactDecimal
    }
    struct Fold: ViewRow {
        var total: ExactDecimal = 0
        var real = 0.0
        var last = Timestamp(microseconds: 0)
    }

    private static let wholes: [Int] = [.min, .min + 1, -1, 0, 1, .max - 1, .max]
    private static let exacts = [
        "99999999999999999999999999999999999999", "-99999999999999999999999999999999999999",
        "0.0000000000000000000000000001", "9999999999.9999999999999999999999999999", "0", "-1.5",
    ]
    private static let reals = [
        "1.7976931348623157e308", "-1.7976931348623157e308", "5e-324", "-0.0", "0.1",
    ]
    private static let times = [
        "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z", "2024-02-29T12:00:00Z", "2024-10-27T00:59:59.999999Z",
    ]

    private static func line(_ random: inout SplitMix) -> String {
        let maybe = random.chance(1, in: 3) ? "null" : "\(random.pick(wholes))"
        return """
            {"key":"\(random.pick(["a", "b"]))","whole":\(random.pick(wholes)),\
            "exact":\(random.pick(exacts)),"real":\(random.pick(reals)),"maybe":\(maybe),\
            "at":"\(random.pick(times))"}
            """
    }

    private static let items = Events(Item.self, at: \.at)

    private static let sums: [Aggregate<Item, Columns>] = [
        .count().as("n"), .sum(\.real).as("real"), .average(\.real).as("real_mean"),
        .average(\.whole).as("mean"), .average(\.whole, rounding: .up).as("whole_mean"),
        .variance(\.whole, .population).as("spread"),
        .standardDeviation(\.real, .sample).as("deviation"),
        .min(\.whole).as("least"), .max(\.exact).as("most"), .median(\.whole).as("middle"),
        .quantile(\.exact, 0.9).as("high"), .approximateQuantile(\.real, 0.5).as("about"),
        .approximateQuantile(\.whole, 0.1).as("low"), .countDistinct(\.exact).as("kinds"),
        .approximateDistinct(\.whole).as("about_kinds"), .argMax(\.at, by: \.real).as("when"),
        .collect(\.maybe, limit: 4).as("some"), .top(2, \.exact).as("best"),
        .sum(\.whole).where(\.whole == 1).as("ones"),
    ]

    private static func aggregated(_ name: String, _ window: Window?, keep: Bool) -> View<Columns> {
        View(name, digest: "1") {
            Aggregation(
                Grouping(
                    source: items.source,
                    keys: [GroupKey(name: nil, expression: Expression(\Item.key))], window: window,
                    latenessMicroseconds: keep ? .max / 2 : nil,
                    keepMicroseconds: keep ? .max / 2 : nil), NamedAggregates(sums))
        }
    }

    private static let views: [any AnyView] = {
        let longest = Duration.seconds(9_000_000_000_000)
        let windows: [(String, Window)] = [
            ("tumbling", .tumbling(.microseconds(1))), ("tumbling_long", .tumbling(longest)),
            ("hopping", .hopping(longest, every: .seconds(4_000_000_000_000))),
            ("hopping_offset", .tumbling(.days(7), offset: .seconds(-9_000_000_000_000))),
            ("session", .session(gap: .microseconds(1))), ("session_long", .session(gap: longest)),
            ("sliding", .sliding(.microseconds(1))), ("sliding_long", .sliding(longest)),
            ("daily", .daily(in: "Europe/Berlin", dateColumn: "day")),
            ("weekly", .weekly(in: "Pacific/Apia")), ("monthly", .monthly()),
        ]
        var views: [any AnyView] = [aggregated("plain", nil, keep: false)]
        for (name, window) in windows {
            views.append(aggregated(name, window, keep: false))
            views.append(aggregated("\(name)_kept", window, keep: true))
        }
        for bound in [JoinBound.within(longest), .sameWindow(longest), .sameWindow(.days(1))] {
            views.append(
                View("joined", digest: "1") {
                    items.join(items, on: \.key, equals: \.key, bound) {
                        Best(key: $0.key, sum: $0.whole &+ $1.whole, total: $0.exact + $1.exact)
                    }
                    .rows()
                })
        }
        views += [
            View("sums", digest: "1") {
                items.grouped(by: \.key).aggregate(
                    .sum(\.whole).as("sum"), .sum(\.exact).as("total"))
            },
            View("seconds", digest: "1") {
                items.grouped(by: \.key).aggregate(
                    .sum(\.whole).where(\.whole == 1).as("sum"),
                    .max(\.exact).as("total")
                )
                .rows(as: Best.self)
                .aggregate(.sum(\.sum).as("sum"), .sum(\.total).as("total"))
            },
            View("ranked", digest: "1") {
                items.grouped(by: \.key).top(2, by: .descending(\.exact), .ascending(\.real))
            },
            View("fold", initially: Fold(), digest: "1") {
                On(Item.self, key: \.key) { item, row in
                    row.total = row.total * 3 - item.exact
                    row.real = row.real * item.real
                    row.last = item.at
                }
            },
            View("local", digest: "1") {
                items.grouped(as: "day", by: .localDate(of: \.at, in: "Asia/Kathmandu"))
                    .aggregate(.count().as("n"))
            },
        ]
        return views
    }()

    @Test(
        "no operator traps on them, and rows do not depend on how the log is cut", arguments: 0..<3)
    func sweep(round: Int) throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let lines = (0..<40).map { _ in Self.line(&random) }
        var succeeded = 0
        for view in Self.views {
            var outcomes: [EventsOutcome] = []
            for way in [
                EventsWay.whole(lines.count), EventsWay.random(lines.count, &random),
            ] {
                do { outcomes.append(try way.run(view, lines)) } catch let error as KappaError {
                    #expect(error.code != .bug, "\(view.name) \(error), seed \(seed)")
                    #expect(error.place != nil, "\(view.name) \(error), seed \(seed)")
                    #expect(error.reason != nil, "\(view.name) \(error), seed \(seed)")
                }
            }
            guard outcomes.count == 2 else { continue }
            succeeded += 1
            let difference = outcomes[1].difference(from: outcomes[0])
            #expect(difference == nil, "\(view.name), seed \(seed)")
        }
        #expect(succeeded > 10, "seed \(seed)")
    }
}
