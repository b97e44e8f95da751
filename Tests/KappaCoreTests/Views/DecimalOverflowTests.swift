import KappaTesting
import Testing

@testable import KappaCore

/// Arithmetic of decimals that do not fit, in the closures of views: never the end of the program,
/// never a wrong row, and the same event is dead however the log is cut.
@Suite("Decimals that do not fit, in views") struct DecimalOverflowTests {
    struct Sale: Event {
        var shop: String
        var amount: ExactDecimal
        var doubled: ExactDecimal { amount * 2 }
    }
    struct Total: Codable, Equatable, Sendable {
        var total: ExactDecimal = 0
        var sales = 0
    }
    struct Priced: Codable, Equatable, Sendable {
        var shop: String
        var price: ExactDecimal
    }

    /// The second overflows when it is squared, and when it is multiplied by a thousand.
    private static let lines = ["1", "1e36", "2.5", "3"].map {
        #"{"event_type":"sale","shop":"a","amount":\#($0)}"#
    }

    private static func check(_ view: any AnyView, _ rows: String...) throws {
        for way in [
            EventsWay(appends: [4]), EventsWay(appends: [1, 1, 1, 1], restarts: 50),
            EventsWay(appends: [2, 2], forbidColumns: true),
        ] {
            // A mark that other code has left on this thread does not concern these events.
            _ = ExactDecimal.greatest + 1
            let run = try way.run(view, lines)
            let found = run.tables[0].map { $0.map(\.plainText).joined(separator: ",") }
            #expect(found == rows, "\(way)")
            #expect(run.dead.map(\.offset.rawValue) == [1], "\(way)")
            #expect(
                run.dead.first?.reason.hasSuffix("it needs more than 38 digits") == true, "\(way)")
        }
    }

    @Test("a fold's handler: the event is dead, and the row as it was")
    func fold() throws {
        try Self.check(
            View("totals", initially: Total(), digest: "1") {
                On(Sale.self, key: \.shop) { sale, row in
                    row.sales += 1
                    row.total += sale.amount * 1_000
                }
            }, "a,6500,3")
    }

    @Test("a fold's handler that looks at other rows")
    func foldWithTables() throws {
        try Self.check(
            View("totals", row: Total.self, digest: "1") {
                On(Sale.self, key: \.shop) { sale, row, tables in
                    var total = row ?? Total()
                    total.sales += 1
                    total.total += sale.amount * sale.amount
                    row = total
                }
            }, "a,16.25,3")
    }

    @Test("filter, map and computed aggregates")
    func streams() throws {
        try Self.check(
            View("filtered", digest: "1") {
                Events(Sale.self).filter { $0.amount * 1_000 > 1_000 }.grouped(by: \.shop)
                    .aggregate(.count().as("sales"))
            }, "a,2")
        try Self.check(
            View("mapped", digest: "1") {
                Events(Sale.self).map { Priced(shop: $0.shop, price: $0.amount * $0.amount) }
                    .grouped(by: \.shop).aggregate(.sum(\.price).as("price"))
            }, "a,16.25")
        try Self.check(
            View("computed", digest: "1") {
                Events(Sale.self).grouped(by: \.shop)
                    .aggregate(.sum(of: { $0.amount * $0.amount }).as("squares"))
            }, "a,16.25")
        try Self.check(
            View("conditional", digest: "1") {
                Events(Sale.self).grouped(by: \.shop)
                    .aggregate(.count().where({ $0.amount * 1_000 > 1_000 }).as("n"))
            }, "a,2")
    }

    @Test("a computed key, and what a view keeps")
    func keysAndRankings() throws {
        try Self.check(
            View("keyed", digest: "1") {
                Events(Sale.self).grouped(as: "large") { $0.amount * $0.amount > 5 }
                    .aggregate(.count().as("sales"))
            }, "false,1", "true,2")
        try Self.check(
            View("kept", digest: "1") {
                Events(Sale.self).map { Priced(shop: $0.shop, price: $0.amount) }
                    .grouped(by: \.shop)
                    .keep { kept, new in
                        let sum = kept.map(\.price).reduce(0, +)
                        kept = [Priced(shop: new.shop, price: sum + new.price * 1_000)]
                    }
            }, "a,6500,1")
    }

    @Test("columns of a sum that the engine itself adds up")
    func engine() throws {
        // A computed property is read from the struct.
        let view = View("doubled", digest: "1") {
            Events(Sale.self).grouped(by: \.shop).aggregate(.sum(\.doubled).as("doubled"))
        }
        let wide = #"{"event_type":"sale","shop":"a","amount":1.7e38}"#
        let run = try EventsWay(appends: [1, 1]).run(view, [Self.lines[0], wide])
        #expect(run.tables[0].map { $0.map(\.plainText) } == [["a", "2"]])
        #expect(run.dead.count == 1)
    }
}
