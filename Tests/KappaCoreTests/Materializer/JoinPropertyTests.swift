import KappaTesting
import Testing

@testable import KappaCore

/// Joins over random events, brought forward in random ways, compared with nested loops: rows, counters and
/// dead letters; and joins keep no more state than needed.
@Suite("Joins equal the reference") struct JoinPropertyTests {
    typealias Sale = StreamsMarket.Sale
    typealias Offer = StreamsMarket.Offer
    private static let second: Int64 = 1_000_000

    struct Pair: ViewRow {
        var user: String
        var item: Int
        var price: ExactDecimal
        var weight: Double
        var note: String?
        var limit: Int

        static let combine: @Sendable (Sale, Offer) throws -> Pair = { sale, offer in
            if sale.item == 1, offer.limit == 6 { throw StreamsMarket.Refusal("one and six") }
            return Pair(
                user: offer.user, item: sale.item, price: sale.price, weight: sale.weight,
                note: sale.note, limit: offer.limit)
        }
        static let isJoined: @Sendable (Sale, Offer) throws -> Bool = { sale, offer in
            if sale.weight == 0.7, offer.limit == 2 { throw StreamsMarket.Refusal("refused") }
            return offer.limit != 5
        }
        var cells: [Value] {
            [user.cell, item.cell, price.cell, weight.cell, note.cell, limit.cell]
        }
    }

    /// Pairs, and the rows made from them.
    struct Model: StreamsModel {
        var join: JoinModel<Sale, Offer>
        var seenSales: Set<Int>?
        var seenOffers: Set<Int>?
        var takesSale: (Sale) throws -> Bool = { _ in true }
        var takesOffer: (Offer) throws -> Bool = { _ in true }
        var made: [(offset: Int64, part: Int64, pair: Pair)] = []
        var makesRows: ([(offset: Int64, part: Int64, pair: Pair)]) -> [[Value]] = { made in
            made.map { [$0.offset.cell, $0.part.cell] + $0.pair.cells }
        }

        var rows: [[Value]] { makesRows(made) }

        mutating func pass(_ time: SlowTime) { join.pass(time) }

        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            var part: Int64 = 0
            let sales = try StreamsMarket.sales(event).filter {
                seenSales?.insert($0.0.item).inserted ?? true
            }.filter { try takesSale($0.0) }
            let offers = try StreamsMarket.offers(event).filter {
                seenOffers?.insert($0.0.item).inserted ?? true
            }.filter { try takesOffer($0.0) }
            try join.take(sales, offers) { sale, offer, _ in
                guard try Pair.isJoined(sale, offer) else { return }
                made.append((offset, part, try Pair.combine(sale, offer)))
                part += 1
            }
            return Int(part)
        }
    }

    private static let bounds: [(JoinBound, JoinModel<Sale, Offer>.Bound)] = [
        (.anyTime, .none),
        (.within(.seconds(3)), .within(3 * second, lateness: nil)),
        (.within(.seconds(5), lateness: .seconds(2)), .within(5 * second, lateness: 2 * second)),
        (.within(.zero, lateness: .seconds(4)), .within(0, lateness: 4 * second)),
        (.sameWindow(.seconds(10)), .sameWindow(10 * second, lateness: nil)),
        (
            .sameWindow(.seconds(8), lateness: .seconds(1)),
            .sameWindow(8 * second, lateness: second)
        ),
    ]

    private static func joined(_ seed: UInt64, _ bound: JoinBound) -> MappedStream<Pair> {
        let sales = Events(Sale.self, at: \.at)
        let offers = Events(Offer.self, at: \.at)
        return switch seed / 6 % 4 {
        case 0:
            sales.join(
                offers, on: \.user, equals: \.user, bound, where: Pair.isJoined, Pair.combine)
        case 1:
            sales.join(
                offers, on: \.item, equals: \.item, bound, where: Pair.isJoined, Pair.combine)
        case 2:
            sales.join(
                offers, on: \.isGood, equals: \.isGood, bound, where: Pair.isJoined,
                Pair.combine)
        default:
            sales.join(
                offers, on: \.day, equals: \.day, bound, where: Pair.isJoined, Pair.combine)
        }
    }

    private static func areEqual(_ seed: UInt64) -> (Sale, Offer) -> Bool {
        switch seed / 6 % 4 {
        case 0: { $0.user.cell == $1.user.cell }
        case 1: { $0.item == $1.item }
        case 2: { $0.isGood == $1.isGood }
        default: { $0.day == $1.day }
        }
    }

    @Test(
        "pairs by keys of every kind within every bound, with closures that throw",
        arguments: Seeds.random(24))
    func pairs(seed: UInt64) throws {
        let bound = Self.bounds[Int(seed % 6)]
        let view = View("pairs") { Self.joined(seed, bound.0).rows() }
        let model = Model(join: JoinModel(bound.1, where: Self.areEqual(seed)))
        try StreamsReference.check(view, model, seed: seed)
    }

    @Test(
        "pairs that are aggregated, late ones counted as late", arguments: Seeds.random(12))
    func aggregated(seed: UInt64) throws {
        let bound = Self.bounds[Int(seed % 6)]
        let view = View("aggregated") {
            Self.joined(seed, bound.0).grouped(by: \.item, \.user)
                .aggregate(
                    .count().as("pairs"), .sum(\.price).as("prices"),
                    .sum(\.weight).as("weights"), .last(\.note).as("last_note"))
        }
        var model = Model(join: JoinModel(bound.1, where: Self.areEqual(seed)))
        model.makesRows = { made in
            let groups = Dictionary(grouping: made.map(\.pair)) {
                [$0.item.cell, $0.user.cell]
            }
            return groups.map { key, pairs in
                key + [
                    pairs.count.cell, pairs.map(\.price).reduce(0, +).cell,
                    pairs.map(\.weight).reduce(0, +).cell, pairs[pairs.count - 1].note.cell,
                ]
            }.sorted { StreamsOrder.isLess($0, $1, keys: 2) }
        }
        try StreamsReference.check(view, model, seed: seed)
    }

    private static let isHeavy: Condition<Sale> =
        (\.weight > 0 || \.note == "x") && !(\.price == 1 && \.ratio != nil)
    @Sendable private static func isLow(_ offer: Offer) throws -> Bool {
        if offer.limit == 7, offer.isGood { throw StreamsMarket.Refusal("seven") }
        return offer.limit < 4
    }

    @Test(
        "elements that a filter leaves out of a side, within every bound",
        arguments: Seeds.random(24))
    func filtered(seed: UInt64) throws {
        let bound = Self.bounds[Int(seed % 6)]
        let (left, right) = [(true, false), (false, true), (true, true), (false, false)][
            Int(seed / 6 % 4)]
        let (sales, offers) = (Events(Sale.self, at: \.at), Events(Offer.self, at: \.at))
        let view = View("filtered") {
            (left ? sales.unique(by: \.item).filter(Self.isHeavy) : sales.filter(Self.isHeavy))
                .join(
                    (right ? offers.unique(by: \.item) : offers.filter { _ in true })
                        .filter(Self.isLow).filter(\.limit != 1),
                    on: \.item, equals: \.item, bound.0, where: Pair.isJoined, Pair.combine
                )
                .rows()
        }
        var model = Model(join: JoinModel(bound.1) { $0.item == $1.item })
        if left { model.seenSales = [] }
        if right { model.seenOffers = [] }
        model.takesSale = { try Self.isHeavy.holds(for: $0) }
        model.takesOffer = { try Self.isLow($0) && $0.limit != 1 }
        try StreamsReference.check(view, model, seed: seed)
    }

    @Test(
        "if keys are unique on a side, only elements that may still find a partner are kept",
        arguments: Seeds.random(16))
    func unique(seed: UInt64) throws {
        let (left, right) = [(true, false), (false, true), (true, true)][Int(seed % 3)]
        let isFiltered = seed / 3 % 2 == 0
        func isIn<E: EventStream>(
            _ stream: E, _ condition: Condition<E.Element>
        ) -> MappedStream<E.Element> {
            isFiltered ? stream.filter(condition) : stream.filter { _ in true }
        }
        let (sales, offers) = (Events(Sale.self, at: \.at), Events(Offer.self, at: \.at))
        let view = View("unique") {
            isIn(left ? sales.unique(by: \.item) : sales.filter { _ in true }, \.weight > 0)
                .join(
                    isIn(
                        right ? offers.unique(by: \.item) : offers.filter { _ in true }, \.limit < 4
                    ),
                    on: \.item, equals: \.item, where: Pair.isJoined, Pair.combine
                )
                .rows()
        }
        var model = Model(join: JoinModel { $0.item == $1.item })
        if left { model.seenSales = [] }
        if right { model.seenOffers = [] }
        if isFiltered {
            model.takesSale = { $0.weight > 0 }
            model.takesOffer = { $0.limit < 4 }
        }
        try StreamsReference.check(view, model, seed: seed)

        // The elements that are kept of each side.
        let lines = MarketMaker.lines(100, seed: seed)
        _ = try StreamsReference.run(lines, [], &model)
        let (keptSales, keptOffers) = (model.join.lefts, model.join.rights)
        let folder = try TemporaryFolder(inMemory: true)
        let version = try EventsVersion(view, in: folder.path)
        let writer = try LogWriter(version.log)
        for line in lines { _ = try writer.append(try EventLines(event: line)) }
        try version.scan()
        // An element of a side is dropped once it has met the only partner of the other side, whether or not
        // a filter let that partner through.
        let (seenSales, seenOffers) = (model.seenSales, model.seenOffers)
        let waitingSales = keptSales.count { seenOffers?.contains($0.0.item) != true }
        let waitingOffers = keptOffers.count { seenSales?.contains($0.0.item) != true }
        let seen = [seenSales?.count, seenOffers?.count].compactMap { $0 }
        let refused = [
            seenSales.map { $0.count - keptSales.count },
            seenOffers.map { $0.count - keptOffers.count },
        ].compactMap { $0 }
        #expect(
            try version.stateRows() == seen + [waitingSales, waitingOffers] + refused,
            "seed \(seed)")
    }
}

/// The key order of rows.
enum StreamsOrder {
    static func isLess(_ a: [Value], _ b: [Value], keys: Int) -> Bool {
        for (x, y) in zip(a, b).prefix(keys) where x != y {
            switch (x, y) {
            case (.integer(let i), .integer(let j)): return i < j
            case (.timestamp(let i), .timestamp(let j)): return i < j
            case (.bool(let i), .bool(let j)): return !i && j
            case (.text(let i), .text(let j)):
                return Array(i.utf8).lexicographicallyPrecedes(Array(j.utf8))
            default: return false
            }
        }
        return false
    }
}
