import KappaTesting
import Testing

@testable import KappaCore

/// Joins, rankings and second steps that cannot be valid: reported when the view is defined, in four parts.
@Suite("Definitions of streams") struct StreamDefinitionTests {
    typealias Sale = StreamsMarket.Sale
    typealias Offer = StreamsMarket.Offer

    struct Pair: ViewRow {
        var item: Int
        var limit: Int
    }
    struct Secret: Event, ViewRow {
        var item: Int
        @Hidden var kept: Int
    }
    private static let pair: @Sendable (Sale, Offer) -> Pair = {
        Pair(item: $0.item, limit: $1.limit)
    }

    private func refusal(_ step: any ViewStep) throws -> KappaError {
        let view = View("v") { BoxedStep(step) }
        let error = try #require(throws: KappaError.self) {
            try ViewSet([view]).definitions(allowUndigested: true)
        }
        #expect(error.code == .usage)
        #expect(error.place?.isEmpty == false)
        #expect(error.reason?.isEmpty == false)
        #expect(error.advice?.isEmpty == false)
        return error
    }

    @Test("a time bound needs the event times of both sides, wherever the join is")
    func boundWithoutTimes() throws {
        let what = "a join has a bound in time, but its events have no time"
        let (timed, untimed) = (Events(Sale.self, at: \.at), Events(Sale.self))
        for bound in [JoinBound.within(.seconds(1)), .sameWindow(.seconds(1))] {
            let join = untimed.join(
                Events(Offer.self, at: \.at), on: \.item, equals: \.item, bound, Self.pair)
            let other = timed.join(
                Events(Offer.self), on: \.item, equals: \.item, bound, Self.pair)
            #expect(try refusal(join.rows()).what == what)
            #expect(try refusal(other.rows()).what == what)
            #expect(try refusal(join.grouped(by: \.item).last()).what == what)
            #expect(
                try refusal(join.grouped(by: \.item).aggregate(.count().as("n"))).what == what)
            let behind = join.filter { _ in true }.unique(by: \.limit)
            #expect(try refusal(behind.rows()).what == what)
            let again = timed.join(join, on: \.item, equals: \.item) { _, pair in pair }
            let error = try refusal(
                again.rows().rows(as: Pair.self).grouped(by: \.item)
                    .aggregate(.count().as("n")))
            #expect(error.what == what)
            #expect(error.place == "join of Sale and Offer")
        }
        let free = untimed.join(
            Events(Offer.self), on: \.item, equals: \.item, .anyTime, Self.pair)
        _ = try free.rows().define(view: "v")
    }

    @Test("elements of joins and of rows have no hidden properties")
    func hidden() throws {
        let secrets = Events(Secret.self)
        let join = secrets.join(Events(Offer.self), on: \.item, equals: \.item) {
            Pair(item: $0.item, limit: $1.limit)
        }
        for step: any ViewStep in [
            secrets.rows(), secrets.grouped(by: \.item).last(), join.rows(),
            Events(Sale.self).rows().rows(as: Secret.self).grouped(by: \.item)
                .aggregate(.count().as("n")),
        ] {
            #expect(try refusal(step).what == "Secret hides kept")
        }
    }

    struct Total: ViewRow {
        var item: Int
        var total: ExactDecimal
    }
    struct Misnamed: ViewRow {
        var item: Int
        var sum: ExactDecimal
    }
    struct Mistyped: ViewRow {
        var item: Int
        var total: Double
    }

    @Test("a property that the previous step does not make is refused, with those that it makes")
    func rowsAs() throws {
        let totals = Events(Sale.self).grouped(by: \.item).aggregate(.sum(\.price).as("total"))
        let good = totals.rows(as: Total.self).grouped(by: \.item).aggregate(.count().as("n"))
        _ = try good.define(view: "v")
        let error = try refusal(
            totals.rows(as: Misnamed.self).grouped(by: \.item).top(1, by: .ascending(\.sum)))
        #expect(error.what == "Misnamed has sum (decimal), which the step before does not make")
        #expect(error.reason == "its columns are item (integer), total (decimal)")
        let other = try refusal(
            totals.rows(as: Mistyped.self).grouped(by: \.item).aggregate(.count().as("n")))
        #expect(other.what == "Mistyped has total (double), which the step before does not make")
    }

    @Test("two steps with one table name are refused, even if one is derived")
    func names() throws {
        let rows = Events(Sale.self).rows()
        let view = View("v") {
            rows
            rows.rows(as: Total2.self).grouped(by: \.item).aggregate(.count().as("n"))
        }
        let error = try #require(throws: KappaError.self) {
            try ViewSet([view]).definitions(allowUndigested: true)
        }
        #expect(error.what == "view v has two tables named v")
        #expect(error.advice?.isEmpty == false)
        let good = View("v") {
            rows
            rows.rows(as: Total2.self).grouped(by: \.item).aggregate(.count().as("n")).into("w")
        }
        let definition = try ViewSet([good]).definitions(allowUndigested: true)[0]
        #expect(definition.tables.map(\.name) == ["v", "w", "_kappa_state_0"])
    }
    struct Total2: ViewRow { var item: Int }

    @Test("ranking the elements of windows, and two columns with one name, are refused")
    func columns() throws {
        #expect(
            try refusal(Events(Sale.self).grouped(as: "user", by: { $0.item }).last()).what
                == "table v has two columns named user")
        #expect(
            try refusal(
                Events(Sale.self).rows().rows(as: Total2.self).grouped(as: "n") { $0.item }
                    .aggregate(.count().as("n"))
            ).what == "table v has two columns named n")
    }

    struct Wider: ViewRow {
        var item: Int
        var limit: Int
        var colour: String
    }
    struct Renamed: ViewRow {
        var item: String
        var limit: Int
    }

    @Test("each property of a pair needs a source of the same name and type, or a named one")
    func pairsWithoutSource() throws {
        let (sales, offers) = (Events(Sale.self), Events(Offer.self))
        let wider = sales.join(offers, on: \.item, equals: \.item, as: Wider.self)
        #expect(
            try refusal(wider.rows()).what == "a join cannot make Wider: nothing provides colour")
        let renamed = sales.join(offers, on: \.item, equals: \.item, as: Renamed.self)
        #expect(
            try refusal(renamed.rows()).what == "a join cannot make Renamed: nothing provides item")
        let computed = sales.join(
            offers, on: \.item, equals: \.item, as: Renamed.self,
            .left(\.user.localized, as: \.item))
        #expect(
            try refusal(computed.rows()).reason
                == "it, or the property it comes from, is not read from a column")
        let named = sales.join(
            offers, on: \.item, equals: \.item, as: Renamed.self, .right(\.user, as: \.item))
        let table = try named.rows().define(view: "v").tables[0]
        #expect(table.columns.map(\.name) == ["offset", "part", "item", "limit"])
    }
}

extension String {
    fileprivate var localized: String { self + "!" }
}
