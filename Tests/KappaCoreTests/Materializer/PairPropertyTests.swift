import KappaTesting
import Testing

@testable import KappaCore

/// Joins that make pairs of their elements' properties, and conditions on two properties, over random
/// events: against nested loops, and against the same views with closures.
@Suite("Pairs of properties equal the reference") struct PairPropertyTests {
    typealias Sale = StreamsMarket.Sale
    typealias Offer = StreamsMarket.Offer
    private static let second: Int64 = 1_000_000

    /// A property that both elements have is taken from the sale by default.
    struct Named: ViewRow {
        var user: String
        var offerUser: String
        var item: Int
        var isGood: Bool
        var offerIsGood: Bool
        var price: ExactDecimal
        var weight: Double
        var note: String?
        var ratio: Double?
        var limit: Int?
        var at: Timestamp
        var offeredAt: Timestamp

        static let combine: @Sendable (Sale, Offer) throws -> Named = { sale, offer in
            Named(
                user: sale.user, offerUser: offer.user, item: sale.item, isGood: sale.isGood,
                offerIsGood: offer.isGood, price: sale.price, weight: sale.weight,
                note: sale.note, ratio: sale.ratio, limit: offer.limit, at: sale.at,
                offeredAt: offer.at)
        }
        var cells: [Value] {
            [
                user.cell, offerUser.cell, item.cell, isGood.cell, offerIsGood.cell, price.cell,
                weight.cell, note.cell, ratio.cell, limit.cell, at.cell, offeredAt.cell,
            ]
        }
    }

    private static let conditions: [(Condition<Named>, @Sendable (Named) -> Bool)] = [
        (\.at <= \.offeredAt, { $0.at <= $0.offeredAt }),
        (\.user != \.offerUser, { !$0.user.utf8.elementsEqual($0.offerUser.utf8) }),
        (
            \.user < \.offerUser || \.limit == 2,
            { $0.user.utf8.lexicographicallyPrecedes($0.offerUser.utf8) || $0.limit == 2 }
        ),
        (\.isGood == \.offerIsGood, { $0.isGood == $0.offerIsGood }),
        (\.ratio >= \.ratio, { $0.ratio != nil }),
        (\.ratio == \.ratio && !(\.price > \.price), { _ in true }),
        (\.at > \.offeredAt && \.weight > 0, { $0.at > $0.offeredAt && $0.weight > 0 }),
    ]

    private struct Model: StreamsModel {
        var join: JoinModel<Sale, Offer>
        var seen: Set<Int>?
        let isIncluded: (Named) -> Bool
        var rows: [[Value]] = []

        mutating func pass(_ time: SlowTime) { join.pass(time) }

        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            let offers = try StreamsMarket.offers(event).filter {
                seen?.insert($0.0.item).inserted ?? true
            }
            var part: Int64 = 0
            try join.take(try StreamsMarket.sales(event), offers) { sale, offer, _ in
                let pair = try Named.combine(sale, offer)
                guard isIncluded(pair) else { return }
                rows.append([offset.cell, part.cell] + pair.cells)
                part += 1
            }
            return Int(part)
        }
    }

    /// - Parameters:
    ///   - closures: Whether closures make the elements that are joined, so that they have no columns.
    ///   - pairs: Whether a closure makes the pairs.
    private static func joined(
        _ seed: UInt64, _ bound: JoinBound, unique: Bool, closures: Bool, pairs: Bool
    ) -> MappedStream<Named> {
        let sales = Events(Sale.self, at: \.at)
        let offers = Events(Offer.self, at: \.at)
        let left = closures ? sales.map { $0 } : sales.filter { _ in true }
        let right = unique ? offers.unique(by: \.item) : offers.filter { _ in true }
        if pairs { return left.join(right, on: \.item, equals: \.item, bound, Named.combine) }
        return left.join(
            right, on: \.item, equals: \.item, bound, as: Named.self,
            .right(\.user, as: \.offerUser), .right(\.isGood, as: \.offerIsGood),
            .left(\.at, as: \.at), .right(\.at, as: \.offeredAt))
    }

    @Test("rows of pairs that meet a condition, within a bound", arguments: Seeds.random(28))
    func rows(seed: UInt64) throws {
        let (condition, isIncluded) = Self.conditions[Int(seed % 7)]
        let (unique, closures) = (seed / 7 % 2 == 0, seed / 14 % 3 == 0)
        let isBound = seed / 3 % 2 == 0
        let bound: JoinBound = isBound ? .within(.seconds(5), lateness: .seconds(2)) : .anyTime
        let view = View("pairs") {
            Self.joined(seed, bound, unique: unique, closures: closures, pairs: false)
                .filter(condition).rows()
        }
        let join = JoinModel<Sale, Offer>(
            isBound ? .within(5 * Self.second, lateness: 2 * Self.second) : .none
        ) { $0.item == $1.item }
        let model = Model(join: join, seen: unique ? [] : nil, isIncluded: isIncluded)
        try StreamsReference.check(view, model, seed: seed)
    }

    struct Further: ViewRow {
        var user: String
        var note: String?
        var price: ExactDecimal
        var ratio: Double?
        var newLimit: Int
        var day: Timestamp
    }

    /// The steps that may follow a join.
    private static func step(
        _ kind: UInt64, _ pairs: MappedStream<Named>, pairing: Bool
    ) -> any TableStep {
        switch kind {
        case 0:
            return pairs.grouped(by: \.user, \.item)
                .aggregate(
                    .count().where(\.at < \.offeredAt).as("pairs"), .sum(\.price).as("price"),
                    .sum(\.weight).as("weight"), .last(\.note).as("note"),
                    .max(\.ratio).as("ratio"))
        case 1: return pairs.grouped(by: \.item).top(3, by: .descending(\.price))
        case 2: return pairs.grouped(by: \.user).last(by: \.offeredAt)
        case 3:
            return pairs.window(.tumbling(.seconds(10)), lateness: .seconds(3)).grouped(by: \.user)
                .aggregate(.count().as("pairs"), .first(\.note).as("note"))
        default:
            let offers = Events(Offer.self, at: \.at)
            if pairing {
                return pairs.join(offers, on: \.offerUser, equals: \.user) { pair, offer in
                    Further(
                        user: pair.user, note: pair.note, price: pair.price, ratio: pair.ratio,
                        newLimit: offer.limit, day: offer.day)
                }.rows()
            }
            return pairs.join(
                offers, on: \.offerUser, equals: \.user, as: Further.self,
                .right(\.limit, as: \.newLimit)
            ).rows()
        }
    }

    @Test(
        "steps after pairs give the same as steps after closures", arguments: Seeds.random(20)
    )
    func behind(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let lines = MarketMaker.lines(20 + random.below(100), seed: seed)
        let (unique, closures) = (seed / 5 % 2 == 0, seed / 10 % 2 == 0)
        func view(pairing: Bool) -> any AnyView {
            let pairs = Self.joined(
                seed, .anyTime, unique: unique, closures: closures, pairs: pairing)
            return View("behind") { BoxedStep(Self.step(seed % 5, pairs, pairing: pairing)) }
        }
        let expected = try EventsWay.whole(lines.count).run(view(pairing: true), lines)
        for _ in 0..<3 {
            let way = EventsWay.random(lines.count, &random)
            let found = try way.run(view(pairing: false), lines)
            #expect(
                found.difference(from: expected) == nil, "seed \(seed), KAPPA_SEED, \(way)")
        }
    }
}
