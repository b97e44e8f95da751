import KappaTesting
import Testing

@testable import KappaCore

/// Joins over joins, of a stream with itself, after `flatMap` and after `unique`.
@Suite("Joins over joins equal the reference") struct NestedJoinTests {
    typealias Sale = StreamsMarket.Sale
    typealias Offer = StreamsMarket.Offer
    private static let second: Int64 = 1_000_000

    struct Twins: ViewRow {
        var item: Int
        var left: ExactDecimal
        var right: ExactDecimal
        var limit: Int?
        var cells: [Value] { [item.cell, left.cell, right.cell, limit.cell] }
    }

    private static let twins: @Sendable (Sale, Sale) throws -> Twins = { a, b in
        if a.weight == 0.7, b.price == 1 { throw StreamsMarket.Refusal("no such twins") }
        return Twins(item: a.item, left: a.price, right: b.price)
    }
    private static let withLimit: @Sendable (Twins, Offer) throws -> Twins = { twins, offer in
        if offer.limit == 3, twins.left == twins.right { throw StreamsMarket.Refusal("equal") }
        return Twins(
            item: twins.item, left: twins.left, right: twins.right, limit: offer.limit)
    }

    private struct Model: StreamsModel {
        var inner: JoinModel<Sale, Sale>
        var outer: JoinModel<Twins, Offer>?
        var rows: [[Value]] = []

        mutating func pass(_ time: SlowTime) {
            inner.pass(time)
            outer?.pass(time)
        }

        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            let sales = try StreamsMarket.sales(event)
            let before = rows.count
            func row(_ twins: Twins, _ count: Int) -> [Value] {
                [offset.cell, (count - before).cell] + twins.cells
            }
            guard var outer else {
                try inner.take(sales, sales) { a, b, _ in
                    rows.append(row(try twins(a, b), rows.count))
                }
                return rows.count - before
            }
            defer { self.outer = outer }
            // The inner join makes all pairs of an event before the outer one sees any: if it cannot make
            // one, it does not matter that another would be late.
            var pairs: [(Twins, Int64)] = []
            try inner.take(sales, sales) { a, b, time in pairs.append((try twins(a, b), time)) }
            try outer.take(pairs, []) { pair, offer, _ in
                rows.append(row(try withLimit(pair, offer), rows.count))
            }
            try outer.take([], try StreamsMarket.offers(event)) { pair, offer, _ in
                rows.append(row(try withLimit(pair, offer), rows.count))
            }
            return rows.count - before
        }
    }

    private static func selfJoin(_ bound: JoinBound) -> MappedStream<Twins> {
        let sales = Events(Sale.self, at: \.at)
        return sales.join(sales, on: \.user, equals: \.user, bound, twins)
    }

    @Test("a stream joined with itself pairs an element with itself", arguments: Seeds.random(8))
    func withItself(seed: UInt64) throws {
        let isBound = seed % 2 == 0
        let view = View("with_itself") {
            Self.selfJoin(isBound ? .within(.seconds(4), lateness: .seconds(3)) : .anyTime).rows()
        }
        let bound: JoinModel<Sale, Sale>.Bound =
            isBound ? .within(4 * Self.second, lateness: 3 * Self.second) : .none
        let model = Model(inner: JoinModel(bound) { $0.user.cell == $1.user.cell })
        try StreamsReference.check(view, model, seed: seed)
    }

    @Test(
        "events that an outer join refuses or finds late leave no state in the inner join",
        arguments: Seeds.random(12))
    func ofJoin(seed: UInt64) throws {
        let isBound = seed % 2 == 0
        let view = View("of_join") {
            Self.selfJoin(.within(.seconds(6), lateness: .seconds(20)))
                .join(
                    Events(Offer.self, at: \.at), on: \.item, equals: \.item,
                    isBound ? .sameWindow(.seconds(5), lateness: .seconds(1)) : .anyTime,
                    Self.withLimit
                )
                .rows()
        }
        let inner = JoinModel<Sale, Sale>(
            .within(6 * Self.second, lateness: 20 * Self.second)
        ) { $0.user.cell == $1.user.cell }
        let outer = JoinModel<Twins, Offer>(
            isBound ? .sameWindow(5 * Self.second, lateness: Self.second) : .none
        ) { $0.item == $1.item }
        try StreamsReference.check(view, Model(inner: inner, outer: outer), seed: seed, events: 60)
    }

    // MARK: After flatMap and unique

    struct Piece: ViewRow {
        var item: Int
        var number: Int
    }
    struct Met: ViewRow {
        var item: Int
        var number: Int
        var limit: Int
    }
    private static let pieces: @Sendable (Sale) throws -> [Piece] = { sale in
        if sale.note == "X" { throw StreamsMarket.Refusal("X") }
        return (0..<(Int(sale.at.microseconds / second) % 4)).map {
            Piece(item: sale.item + $0 % 2, number: $0)
        }
    }
    private static let met: @Sendable (Piece, Offer) throws -> Met = { piece, offer in
        // The second piece of an event, when the first one has met its offers already.
        if piece.number == 1, offer.limit == 4 { throw StreamsMarket.Refusal("a second piece") }
        return Met(item: piece.item, number: piece.number, limit: offer.limit)
    }

    private struct PieceModel: StreamsModel {
        var join = JoinModel<Piece, Offer> { $0.item == $1.item }
        var seen: Set<Int>?
        var rows: [[Value]] = []

        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            var pieces: [(Piece, Int64)] = []
            for (sale, time) in try StreamsMarket.sales(event) {
                for piece in try NestedJoinTests.pieces(sale)
                where seen?.insert(piece.item).inserted ?? true {
                    pieces.append((piece, time))
                }
            }
            let before = rows.count
            try join.take(pieces, try StreamsMarket.offers(event)) { piece, offer, _ in
                let met = try NestedJoinTests.met(piece, offer)
                rows.append([
                    offset.cell, (rows.count - before).cell, met.item.cell, met.number.cell,
                    met.limit.cell,
                ])
            }
            return rows.count - before
        }
    }

    @Test(
        "several elements of one event: all of them are taken, or none",
        arguments: Seeds.random(10))
    func pieces(seed: UInt64) throws {
        let isUnique = seed % 2 == 0
        let stream = Events(Sale.self, at: \.at).flatMap(Self.pieces)
        let view = View("pieces") {
            (isUnique ? stream.unique(by: \.item) : stream)
                .join(Events(Offer.self), on: \.item, equals: \.item, .anyTime, Self.met)
                .rows()
        }
        var model = PieceModel()
        if isUnique { model.seen = [] }
        try StreamsReference.check(view, model, seed: seed)
    }

    private struct FirstModel: StreamsModel {
        var firsts: [Value: Sale] = [:]
        var order: [Value] = []

        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            for (sale, _) in try StreamsMarket.sales(event) where sale.isGood {
                if firsts[sale.user.cell] != nil { return 0 }
                if sale.weight == 0.7 { throw StreamsMarket.Refusal("0.7") }
                firsts[sale.user.cell] = sale
                order.append(sale.user.cell)
                return 1
            }
            return 0
        }

        var rows: [[Value]] {
            let sales = order.compactMap { firsts[$0] }
            return Dictionary(grouping: sales, by: \.item).map { item, sales in
                [
                    item.cell, sales.count.cell, sales.map(\.weight).reduce(0, +).cell,
                    sales[0].user.cell,
                ]
            }.sorted { StreamsOrder.isLess($0, $1, keys: 1) }
        }
    }

    @Test(
        "an aggregate over the first element of each key; a refused one is not the first",
        arguments: Seeds.random(8))
    func uniqueAggregate(seed: UInt64) throws {
        let view = View("unique_aggregate") {
            Events(Sale.self, at: \.at)
                .filter { $0.isGood }
                .unique(by: \.user)
                .map { sale in
                    if sale.weight == 0.7 { throw StreamsMarket.Refusal("0.7") }
                    return sale
                }
                .grouped(by: \.item)
                .aggregate(
                    .count().as("sales"), .sum(\.weight).as("weights"),
                    .first(\.user).as("first_user"))
        }
        try StreamsReference.check(view, FirstModel(), seed: seed)
    }
}
