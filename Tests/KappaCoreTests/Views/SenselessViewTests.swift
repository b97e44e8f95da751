import KappaTesting
import Testing

@testable import KappaCore

/// Numbers and names that make no sense in the definition of a view: only that view is invalid, with a
/// reason; nothing ends the program.
@Suite("Views defined with senseless arguments") struct SenselessViewTests {
    fileprivate struct Sale: Event, ViewRow {
        var k: String
        var v: Int
        var at: Timestamp
        static let eventType: String? = nil
    }

    private struct Count: ViewRow {
        var k: String
        var n: Int
    }

    private static let sales = Events(Sale.self, at: \.at)
    private static let byK = sales.grouped(by: \.k)
    private static let count: Aggregate<Sale, Columns> = .count().as("n")

    private static let spans: [Duration] = [
        .zero, .seconds(-1), .nanoseconds(1), .nanoseconds(-1), .seconds(Int64.min),
    ]
    private static let negative: [Duration] = [
        .seconds(-1), .nanoseconds(-1), .microseconds(-1), .seconds(Int64.min),
    ]
    private static let limits = [0, -1, Int.min]
    private static let fractions = [
        -0.1, 1.1, .nan, .infinity, -.infinity, -Double.leastNormalMagnitude,
    ]
    private static let names = [
        "", " ", "A", "1a", "a-b", "a b", "ä", "a\u{0}", "a\n", "a\"", "a'", "..", "/", "a/b",
        "_a", String(repeating: "a", count: 64), "\u{1B}[31m",
    ]

    private static func view(_ step: some ViewStep) -> any AnyView {
        View("senseless", digest: "1") { BoxedStep(step) }
    }

    /// Each kind of definition with each kind of nonsense.
    fileprivate static var all: [(what: String, view: any AnyView)] {
        var all: [(String, any AnyView)] = []
        func add(_ what: String, _ view: any AnyView) { all.append((what, view)) }
        for span in spans {
            add("tumbling \(span)", view(sales.window(.tumbling(span)).aggregate(count)))
            add(
                "hopping \(span)",
                view(sales.window(.hopping(span, every: .seconds(1))).aggregate(count)))
            add(
                "hop \(span)", view(sales.window(.hopping(.hours(1), every: span)).aggregate(count))
            )
            add("session \(span)", view(byK.window(.session(gap: span)).aggregate(count)))
            add("sliding \(span)", view(byK.window(.sliding(span)).aggregate(count)))
            add(
                "same window \(span)",
                view(
                    sales.join(sales.unique(by: \.v), on: \.v, equals: \.v, .sameWindow(span)) {
                        a, _ in a
                    }.rows()))
            add(
                "in windows \(span)",
                view(sales.map(inWindows: span, lateness: nil) { sale, _ in sale }.rows()))
        }
        add(
            "hop > size",
            view(sales.window(.hopping(.seconds(1), every: .seconds(2))).aggregate(count)))
        for span in negative {
            add(
                "lateness \(span)",
                view(sales.window(.tumbling(.hours(1)), lateness: span).aggregate(count)))
            add(
                "keyed lateness \(span)",
                view(byK.window(.tumbling(.hours(1)), lateness: span).aggregate(count)))
            add(
                "keep \(span)",
                view(sales.window(.tumbling(.hours(1)), keep: span).aggregate(count)))
            add(
                "within \(span)",
                view(
                    sales.join(sales.unique(by: \.v), on: \.v, equals: \.v, .within(span)) { a, _ in
                        a
                    }.rows()))
            add(
                "within, lateness \(span)",
                view(
                    sales.leftJoin(
                        sales.unique(by: \.v), on: \.v, equals: \.v,
                        .within(.hours(1), lateness: span)
                    ) { a, _ in a }))
            add("ahead \(span)", view(sales.ignoringTimes(furtherAheadThan: span).rows()))
            add(
                "in windows, lateness \(span)",
                view(
                    sales.flatMap(inWindows: .hours(1), lateness: span) { sale, _ in [sale] }.rows()
                ))
        }
        add(
            "keep < lateness",
            view(
                byK.window(.tumbling(.hours(1)), lateness: .hours(2), keep: .hours(1)).aggregate(
                    count)))
        for limit in limits {
            add("top \(limit)", view(byK.top(limit, by: .descending(\.v))))
            add("aggregate top \(limit)", view(byK.aggregate(.top(limit, \.v).as("n"))))
            add("top by \(limit)", view(byK.aggregate(.top(limit, \.k, by: \.v).as("n"))))
            add("bottom \(limit)", view(byK.aggregate(.bottom(limit, of: { $0.v }).as("n"))))
            add("collect \(limit)", view(byK.aggregate(.collect(\.k, limit: limit).as("n"))))
            add(
                "second top \(limit)",
                view(
                    byK.aggregate(count).rows(as: Count.self).grouped(by: \.n)
                        .top(limit, by: .descending(\.k))))
            add(
                "second collect \(limit)",
                view(
                    byK.aggregate(count).rows(as: Count.self).grouped(by: \.n)
                        .aggregate(.collect(\.k, limit: limit).as("list"))))
        }
        for fraction in fractions {
            add("quantile \(fraction)", view(byK.aggregate(.quantile(\.v, fraction).as("n"))))
            add(
                "about \(fraction)",
                view(byK.aggregate(.approximateQuantile(\.v, fraction).as("n"))))
            add(
                "second quantile \(fraction)",
                view(
                    byK.aggregate(count).rows(as: Count.self)
                        .aggregate(.quantile(\.n, fraction).as("q"))))
        }
        for name in names {
            add("as \(name)", view(byK.aggregate(.count().as(name))))
            add("key \(name)", view(sales.grouped(as: name) { $0.k }.aggregate(count)))
            add("into \(name)", view(byK.aggregate(count).into(name)))
            add("view \(name)", View(name, digest: "1") { byK.aggregate(count) })
            add("zone \(name)", view(byK.window(.daily(in: name)).aggregate(count)))
            add("date \(name)", view(byK.window(.daily(dateColumn: name)).aggregate(count)))
            add(
                "local \(name)",
                view(sales.grouped(as: "day", by: .localDate(of: \.at, in: name)).aggregate(count)))
            add(
                "table \(name)",
                View("senseless", row: Sale.self, digest: "1") {
                    On(Sale.self, key: \.k) { sale, row in row = sale }
                    Table(name, key: String.self, row: Sale.self)
                        .on(Sale.self, key: \.k) { sale, row in row = sale }
                })
            add(
                "fold key \(name)",
                View("senseless", row: Sale.self, digest: "1") {
                    On(Sale.self, key: \.k, as: name) { sale, row in row = sale }
                })
        }
        add("as twice", view(byK.aggregate(.count().as("n"), .sum(\.v).as("n"))))
        add("as the key", view(byK.aggregate(.count().as("k"))))
        add(
            "as a window",
            view(byK.window(.tumbling(.hours(1))).aggregate(.count().as("window_end"))))
        add("keys twice", view(sales.grouped(by: \.k, \.k).aggregate(count)))
        add(
            "date as a window",
            view(byK.window(.daily(dateColumn: "window_start")).aggregate(count)))
        add(
            "rank", view(Events(Ranked.self).grouped(by: \.k).top(1, by: .descending(\.rankNumber)))
        )
        add("part", view(Events(Ranked.self).grouped(by: \.k).keep { $0.append($1) }))
        add("offset", view(Events(Ranked.self).rows()))
        add("no step", View("senseless", digest: "1") {})
        add("no handler", View("senseless", row: Sale.self, digest: "1") {})
        add("no handler, a row", View("senseless", initially: Count(k: "", n: 0), digest: "1") {})
        add(
            "two tables",
            View("senseless", digest: "1") {
                byK.aggregate(count)
                byK.aggregate(count)
            })
        let sound = View("senseless", digest: "1") { byK.aggregate(count) }
        for amount in [-1, .nan, .infinity, -.infinity, -0.5] as [Double] {
            for allowance in [Allowance(amount), .percent(amount)] {
                for gate in [
                    .changedRows(atMost: allowance), .addedRows(atMost: allowance),
                    .removedRows(atMost: allowance), .differingRows(atMost: allowance),
                    .columnDrift("n", atMost: allowance), .deadLetters(atMost: allowance),
                    .lateEvents(atMost: allowance),
                ] as [Gate] {
                    add("gate \(gate)", sound.promote(when: gate))
                }
            }
        }
        for select in ["", " ", "\n\t"] { add("gate sql", sound.promote(when: .sql(select))) }
        for column in ["", "missing", "missing.n", "senseless.", ".n", "k", "a\u{0}"] {
            add("drift \(column)", sound.promote(when: .columnDrift(column, atMost: 1)))
        }
        for digest in ["=", "=0123456789abcdef", "=x"] {
            add("digest \(digest)", View("senseless", digest: digest) { byK.aggregate(count) })
        }
        return all
    }

    fileprivate struct Ranked: Event, ViewRow {
        var k: String
        var rankNumber: Int
        var part: Int
        var offset: Int
        static let eventType: String? = nil
    }

    @Test(
        "only the view itself is invalid, with a reason, in plan and in a run; the others are built"
    )
    func invalid() throws {
        let folder = try VersionsFolder()
        try folder.append(ticks: 5)
        try folder.catchUp([tally("a")])
        for (what, view) in Self.all {
            let views = ViewSet([view, tally("a")])
            let workedOut = views.workedOut()
            #expect(workedOut.sound.map(\.name) == ["tally"], "\(what)")
            let error = try #require(workedOut.error(of: view.name), "\(what)")
            #expect([.usage, .badInput, .notFound].contains(error.code), "\(what): \(error)")
            #expect(error.place != nil && error.reason != nil, "\(what): \(error)")
        }
        // Some of them in a real run.
        for (what, view) in Self.all.enumerated().filter({ $0.offset % 40 == 0 }).map(\.element) {
            let build = try RunningBuild(folder.data, [view, tally("a")]) { $0.follows = false }
            try build.wait()
            #expect(build.said.contains("invalid \(view.name)"), "\(what) \(build.said)")
            #expect(build.said.contains("started tally@1 keep"), "\(what) \(build.said)")
            let steps = try Plan.steps(folder.data, ViewSet([view, tally("a")]))
            #expect(steps.map(\.action) == [.keep, .invalid], "\(what)")
        }
    }

    @Test("odd but valid arguments work: the largest spans, limits, fractions and names")
    func odd() throws {
        let folder = try VersionsFolder()
        try folder.append(
            (0..<20).map { #"{"k":"k\#($0 % 3)","v":\#($0),"at":"1970-01-01T00:00:\#(10 + $0)Z"}"# }
        )
        let longest = Duration.seconds(Int64.max)
        let name = String(repeating: "a", count: 63)
        let steps: [any AnyView] = [
            Self.view(
                Self.byK.window(
                    .tumbling(longest, offset: longest), lateness: longest, keep: longest
                ).aggregate(Self.count)),
            Self.view(
                Self.byK.window(.tumbling(.microseconds(1), offset: .seconds(Int64.min))).aggregate(
                    Self.count)),
            Self.view(Self.byK.window(.hopping(longest, every: longest)).aggregate(Self.count)),
            Self.view(
                Self.byK.window(.session(gap: longest), lateness: longest).aggregate(Self.count)),
            Self.view(Self.byK.window(.session(gap: .microseconds(1))).aggregate(Self.count)),
            Self.view(Self.byK.window(.sliding(longest), lateness: longest).aggregate(Self.count)),
            Self.view(Self.byK.window(.sliding(.microseconds(1))).aggregate(Self.count)),
            Self.view(
                Self.sales.join(
                    Self.sales.unique(by: \.v), on: \.v, equals: \.v,
                    .within(longest, lateness: longest)
                ) { a, _ in a }.rows()),
            Self.view(
                Self.sales.join(Self.sales.unique(by: \.v), on: \.v, equals: \.v, .within(.zero)) {
                    a, _ in a
                }.rows()),
            Self.view(
                Self.sales.join(
                    Self.sales.unique(by: \.v), on: \.v, equals: \.v,
                    .sameWindow(longest, lateness: longest)
                ) { a, _ in a }.rows()),
            Self.view(Self.sales.ignoringTimes(furtherAheadThan: longest).rows()),
            Self.view(Self.sales.ignoringTimes(furtherAheadThan: .zero).rows()),
            Self.view(Self.byK.top(.max, by: .descending(\.v))),
            Self.view(Self.byK.top(.max, by: .descending(\.v), ties: .all)),
            Self.view(Self.byK.top(1)),
            Self.view(Self.byK.first()),
            Self.view(
                Self.byK.aggregate(
                    .top(.max, \.v).as("n"), .bottom(.max, \.v).as("m"),
                    .collect(\.v, limit: .max).as("o"))),
            Self.view(
                Self.byK.aggregate(
                    .quantile(\.v, 0).as("n"), .quantile(\.v, 1).as("m"),
                    .approximateQuantile(\.v, 1).as("o"), .approximateQuantile(\.v, 0).as("p"))),
            Self.view(Self.byK.aggregate(.count().as(name)).into(name)),
            Self.view(
                Self.byK.aggregate(
                    .count().as("select"), .count().as("rowid"), .count().as("order"))),
            Self.view(Self.byK.aggregate()),
            Self.view(Self.sales.aggregate()),
            Self.view(
                Self.byK.aggregate(Self.count).rows(as: Count.self).grouped(by: \.n).top(
                    .max, by: .ascending(\.k))),
        ]
        for view in steps {
            let what = "\(view.steps)".prefix(200)
            let workedOut = ViewSet([view]).workedOut()
            if let error = workedOut.error(of: view.name) {
                Issue.record("\(what): \(error)")
                continue
            }
            let own = try VersionsFolder()
            try own.append(
                (0..<20).map {
                    #"{"k":"k\#($0 % 3)","v":\#($0),"at":"1970-01-01T00:00:\#(10 + $0)Z"}"#
                })
            try own.catchUp([view])
            #expect(try own.catalog().live("senseless") != nil, "\(what)")
            #expect(try own.reader("senseless", 1).rowCount(table: 0) > 0, "\(what)")
            // It resumes from what it has written.
            try own.append(
                (20..<30).map {
                    #"{"k":"k\#($0 % 3)","v":\#($0),"at":"1970-01-01T00:00:\#(10 + $0)Z"}"#
                })
            try own.catchUp([view])
            #expect(try own.entry("senseless", 1)?.state == .live, "\(what)")
        }
    }
}
