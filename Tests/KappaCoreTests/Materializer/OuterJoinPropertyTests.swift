import KappaTesting
import Testing

@testable import KappaCore

/// Outer joins over random events, brought forward in random ways, compared with nested loops over all of
/// them: rows, counters, dead letters and the change feed.
@Suite("Outer joins equal the reference") struct OuterJoinPropertyTests {
    typealias Sale = StreamsMarket.Sale
    typealias Offer = StreamsMarket.Offer
    private static let second: Int64 = 1_000_000

    struct Pair: ViewRow {
        var item: Int?
        var price: ExactDecimal?
        var note: String?
        var limit: Int?

        static let combine: @Sendable (Sale?, Offer?) throws -> Pair = { sale, offer in
            if sale?.item == 1, offer?.limit == 6 { throw StreamsMarket.Refusal("one and six") }
            if sale == nil, offer?.limit == 7 { throw StreamsMarket.Refusal("seven alone") }
            if offer == nil, sale?.weight == 1e15 { throw StreamsMarket.Refusal("too heavy") }
            return Pair(
                item: sale?.item, price: sale?.price, note: sale?.note, limit: offer?.limit)
        }
        static let isJoined: @Sendable (Sale, Offer) throws -> Bool = { sale, offer in
            if sale.weight == 0.7, offer.limit == 2 { throw StreamsMarket.Refusal("refused") }
            return offer.limit != 5
        }
        var cells: [Value] { [item.cell, price.cell, note.cell, limit.cell] }
    }

    enum Kind: CaseIterable {
        case left, right, full
    }

    /// How far apart the elements of a pair may be, in microseconds.
    enum Bound {
        case none
        case within(Int64, lateness: Int64?)
        case sameWindow(Int64, lateness: Int64?)

        func isPast(_ time: Int64, _ clock: Int64) -> Bool {
            switch self {
            case .within(let span, let lateness?): time + span + lateness <= clock
            case .sameWindow(let size, let lateness?): end(time, size) + lateness <= clock
            case .none, .within, .sameWindow: false
            }
        }
        func allows(_ a: Int64, _ b: Int64) -> Bool {
            switch self {
            case .none: true
            case .within(let span, _): abs(a - b) <= span
            case .sameWindow(let size, _): end(a, size) == end(b, size)
            }
        }
        private func end(_ time: Int64, _ size: Int64) -> Int64 { (time / size + 1) * size }
    }

    /// An accepted element, with the time of its arrival.
    struct Came<Element> {
        var element: Element
        var time: Int64
        var offset: Int64
        /// What all partitions had passed.
        var passed: Int64
    }

    /// Keeps all accepted elements, and computes the rows from scratch.
    struct Model: StreamsModel {
        let kind: Kind
        let bound: Bound
        let areEqual: (Sale, Offer) -> Bool
        private var clock = SlowTime()
        private(set) var sales: [Came<Sale>] = []
        private(set) var offers: [Came<Offer>] = []

        init(_ kind: Kind, _ bound: Bound, where areEqual: @escaping (Sale, Offer) -> Bool) {
            (self.kind, self.bound, self.areEqual) = (kind, bound, areEqual)
        }

        mutating func pass(_ time: SlowTime) { clock = time }

        /// Whether two met: the later one arrived before the earlier one expired.
        private func haveMet(_ sale: Came<Sale>, _ offer: Came<Offer>) throws -> Bool {
            guard areEqual(sale.element, offer.element), bound.allows(sale.time, offer.time) else {
                return false
            }
            let isPast =
                sale.offset < offer.offset
                ? bound.isPast(sale.time, offer.passed) : bound.isPast(offer.time, sale.passed)
            return try !isPast && Pair.isJoined(sale.element, offer.element)
        }

        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            for (sale, time) in try StreamsMarket.sales(event) {
                let new = Came(element: sale, time: time, offset: offset, passed: clock.passed)
                if bound.isPast(time, clock.own) { throw StreamsLate() }
                var isAlone = true
                for offer in offers where try haveMet(new, offer) {
                    isAlone = false
                    _ = try Pair.combine(sale, offer.element)
                }
                if isAlone, kind != .right { _ = try Pair.combine(sale, nil) }
                sales.append(new)
                return 1
            }
            for (offer, time) in try StreamsMarket.offers(event) {
                let new = Came(element: offer, time: time, offset: offset, passed: clock.passed)
                if bound.isPast(time, clock.own) { throw StreamsLate() }
                var isAlone = true
                for sale in sales where try haveMet(sale, new) {
                    isAlone = false
                    _ = try Pair.combine(sale.element, offer)
                }
                if isAlone, kind != .left { _ = try Pair.combine(nil, offer) }
                offers.append(new)
                return 1
            }
            return 0
        }

        var rows: [[Value]] {
            var rows: [[Value]] = []
            func add(_ sale: Came<Sale>?, _ offer: Came<Offer>?) {
                let key = [(sale?.offset ?? -1).cell, (offer?.offset ?? -1).cell]
                // An element for which this throws was not accepted.
                guard let pair = try? Pair.combine(sale?.element, offer?.element) else { return }
                rows.append(key + pair.cells)
            }
            func met(_ sale: Came<Sale>, _ offer: Came<Offer>) -> Bool {
                (try? haveMet(sale, offer)) ?? false
            }
            for sale in sales {
                for offer in offers where met(sale, offer) { add(sale, offer) }
                if kind != .right, !offers.contains(where: { met(sale, $0) }) { add(sale, nil) }
            }
            for offer in offers where kind != .left && !sales.contains(where: { met($0, offer) }) {
                add(nil, offer)
            }
            return rows.sorted { StreamsOrder.isLess($0, $1, keys: 2) }
        }
    }

    private static let bounds: [(JoinBound, Bound)] = [
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

    private static func joined<L: EventStream<Sale>, R: EventStream<Offer>>(
        _ kind: Kind, _ sales: L, _ offers: R, _ bound: JoinBound
    ) -> JoinedRows {
        switch kind {
        case .left:
            sales.leftJoin(
                offers, on: \.item, equals: \.item, bound, where: Pair.isJoined
            ) { try Pair.combine($0, $1) }
        case .right:
            sales.rightJoin(
                offers, on: \.item, equals: \.item, bound, where: Pair.isJoined
            ) { try Pair.combine($0, $1) }
        case .full:
            sales.fullJoin(
                offers, on: \.item, equals: \.item, bound, where: Pair.isJoined, Pair.combine)
        }
    }

    @Test(
        "of every kind within every bound, with closures that throw",
        arguments: Seeds.random(24))
    func bounds(seed: UInt64) throws {
        let kind = Kind.allCases[Int(seed % 3)]
        let bound = Self.bounds[Int(seed / 3 % 6)]
        let view = View("outer") {
            Self.joined(
                kind, Events(Sale.self, at: \.at), Events(Offer.self, at: \.at), bound.0)
        }
        try StreamsReference.check(
            view, Model(kind, bound.1) { $0.item == $1.item }, seed: seed, ways: 4)
    }

    @Test("by a text, of streams without times", arguments: Seeds.random(6))
    func texts(seed: UInt64) throws {
        let view = View("outer") {
            Events(Sale.self).fullJoin(
                Events(Offer.self), on: \.user, equals: \.user, where: Pair.isJoined,
                Pair.combine)
        }
        try StreamsReference.check(
            view, Model(.full, .none) { $0.user.cell == $1.user.cell }, seed: seed)
    }

    /// Lets the first element of each item through, if it passes a filter.
    struct UniqueModel: StreamsModel {
        var model: Model
        var left: Bool
        var right: Bool
        var seenSales: Set<Int> = []
        var seenOffers: Set<Int> = []
        var rows: [[Value]] { model.rows }
        mutating func pass(_ time: SlowTime) { model.pass(time) }
        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            for (sale, _) in try StreamsMarket.sales(event) where left {
                if !seenSales.insert(sale.item).inserted || sale.weight < 0 { return 0 }
            }
            for (offer, _) in try StreamsMarket.offers(event) where right {
                if !seenOffers.insert(offer.item).inserted || offer.limit == 3 { return 0 }
            }
            return try model.take(event, offset: offset)
        }
    }

    @Test(
        "with keys that are unique on a side, and a filter after that",
        arguments: Seeds.random(12))
    func unique(seed: UInt64) throws {
        let kind = Kind.allCases[Int(seed % 3)]
        let (left, right) = [(true, false), (false, true), (true, true)][Int(seed / 3 % 3)]
        let sales = Events(Sale.self, at: \.at)
        let offers = Events(Offer.self, at: \.at)
        let view = View("outer") {
            Self.joined(
                kind,
                left
                    ? sales.unique(by: \.item).filter(\.weight >= 0)
                    : sales.filter { _ in true },
                right
                    ? offers.unique(by: \.item).filter { $0.limit != 3 }
                    : offers.filter { _ in true }, .anyTime)
        }
        let model = Model(kind, .none) { $0.item == $1.item }
        try StreamsReference.check(
            view, UniqueModel(model: model, left: left, right: right), seed: seed)
    }

    @Test("an expired element is dropped, and its row stays")
    func expiry() throws {
        let view = View("outer") {
            Self.joined(
                .full, Events(Sale.self, at: \.at), Events(Offer.self, at: \.at),
                .within(.seconds(5), lateness: .seconds(2)))
        }
        let folder = try TemporaryFolder(inMemory: true)
        let version = try EventsVersion(view, in: folder.path)
        let writer = try LogWriter(version.log)
        for at in stride(from: 0, through: 60, by: 1) {
            let fields = #""user":"u","item":\#(at),"is_good":true,"day":0,"at":\#(at * 1_000)"#
            let line =
                at % 2 == 0
                ? #"{"event_type":"sale",\#(fields),"price":1,"weight":1}"#
                : #"{"event_type":"offer",\#(fields),"limit":1}"#
            _ = try writer.append(try EventLines(event: line))
            try version.scan()
            if at % 9 == 0 { version.close() }
            // Elements that had expired before this event were dropped when it arrived.
            let needed = max(0, at - 1 - 6)...at
            let held = try version.stateRows()
            #expect(
                held == [needed.count { $0 % 2 == 0 }, needed.count { $0 % 2 == 1 }], "at \(at)")
            #expect(try version.outcome().tables[0].count == at + 1)
        }
    }
}
