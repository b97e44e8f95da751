import KappaTesting
import Testing

@testable import KappaCore

/// Rankings over random events, brought forward in random ways, compared with sorting all of them.
@Suite("Rankings equal the reference") struct RankingPropertyTests {
    typealias Sale = StreamsMarket.Sale

    /// Sales by key in log order; a ranking's rows are a function of that list.
    private struct Model: StreamsModel {
        var groups: [[Value]: [Sale]] = [:]
        let key: (Sale) -> [Value]
        let ranked: ([Sale]) -> [Sale]
        let row: (Sale, _ rank: Int) -> [Value]
        var keys: Int

        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            for (sale, _) in try StreamsMarket.sales(event) {
                groups[key(sale), default: []].append(sale)
                return 1
            }
            return 0
        }

        /// The rows with their keys in front, in key order, then without them.
        var rows: [[Value]] {
            groups.sorted { StreamsOrder.isLess($0.key, $1.key, keys: keys) }.flatMap { _, sales in
                ranked(sales).enumerated().map { row($1, $0 + 1) }
            }
        }
    }

    static func cells(_ sale: Sale) -> [Value] {
        [
            sale.user.cell, sale.item.cell, sale.isGood.cell, sale.day.cell, sale.price.cell,
            sale.weight.cell, sale.note.cell, sale.ratio.cell, sale.at.cell,
        ]
    }

    private typealias Before = @Sendable (Sale, Sale) -> Int

    /// The best of a list; among equals, the one that came first.
    private static func best(
        _ sales: [Sale], _ limit: Int, ties: Ties, _ order: (Sale, Sale) -> Int
    ) -> [Sale] {
        let sorted = sales.enumerated().sorted { a, b in
            let result = order(a.element, b.element)
            return result < 0 || result == 0 && a.offset < b.offset
        }.map(\.element)
        guard ties == .all, sorted.count > limit else { return Array(sorted.prefix(limit)) }
        return sorted.filter { order($0, sorted[limit - 1]) <= 0 }
    }

    private static func order<V: Comparable>(_ a: V, _ b: V) -> Int { a < b ? -1 : a == b ? 0 : 1 }
    /// Nil is less than anything else.
    private static func order<V: Comparable>(_ a: V?, _ b: V?) -> Int {
        guard let a, let b else { return (a == nil ? 0 : 1) - (b == nil ? 0 : 1) }
        return order(a, b)
    }
    private static func order(_ a: String?, _ b: String?) -> Int {
        guard let a, let b else { return (a == nil ? 0 : 1) - (b == nil ? 0 : 1) }
        if a.utf8.lexicographicallyPrecedes(b.utf8) { return -1 }
        return a.utf8.elementsEqual(b.utf8) ? 0 : 1
    }

    private static let rules: [([Ordering<Sale>], Before)] = [
        ([.descending(\.price)], { order($1.price, $0.price) }),
        (
            [.ascending(\.note), .descending(\.weight)],
            { a, b in
                let first = order(a.note, b.note)
                return first != 0 ? first : order(b.weight, a.weight)
            }
        ),
        (
            [.descending(\.ratio), .ascending(\.user), .descending(\.at)],
            { a, b in
                let first = order(b.ratio, a.ratio)
                let second = order(a.user as String?, b.user as String?)
                return first != 0 ? first : second != 0 ? second : order(b.at, a.at)
            }
        ),
        ([.ascending(\.weight)], { order($0.weight, $1.weight) }),
        ([], { _, _ in 0 }),
    ]

    @Test(
        "the best of each group, by several orderings, with ties",
        arguments: Seeds.random(16))
    func top(seed: UInt64) throws {
        let (orderings, order) = Self.rules[Int(seed % 5)]
        let ties: Ties = seed / 5 % 2 == 0 ? .earliest : .all
        let limit = Int(1 + seed / 10 % 3)
        let stream = Events(Sale.self).grouped(by: \.item)
        let ranking =
            switch orderings.count {
            case 0: stream.top(limit, ties: ties)
            case 1: stream.top(limit, by: orderings[0], ties: ties)
            case 2: stream.top(limit, by: orderings[0], orderings[1], ties: ties)
            default:
                stream.top(limit, by: orderings[0], orderings[1], orderings[2], ties: ties)
            }
        let view = View("top") { ranking }
        let model = Model(
            key: { [$0.item.cell] }, ranked: { Self.best($0, limit, ties: ties, order) },
            row: { Self.cells($0) + [$1.cell] }, keys: 1)
        try StreamsReference.check(view, model, seed: seed)
    }

    @Test(
        "the first and the last of each group, by a computed key or by two properties",
        arguments: Seeds.random(12))
    func one(seed: UInt64) throws {
        let computed = Events(Sale.self).grouped(as: "name") { "\($0.item):\($0.user)" }
        let two = Events(Sale.self).grouped(by: \.user, \.isGood)
        let views: [(Ranking, (([Sale]) -> [Sale]))] = [
            (computed.first(), { [$0[0]] }),
            (computed.last(), { [$0[$0.count - 1]] }),
            (
                computed.first(by: .ascending(\.weight)),
                { Self.best($0, 1, ties: .earliest) { Self.order($0.weight, $1.weight) } }
            ),
            (
                computed.last(by: \.ratio),
                {
                    let largest = Self.best($0, 1, ties: .all) { Self.order($1.ratio, $0.ratio) }
                    return [largest[largest.count - 1]]
                }
            ),
            (two.last(), { [$0[$0.count - 1]] }),
            (
                two.first(by: .descending(\.price), .ascending(\.note)),
                {
                    Self.best($0, 1, ties: .earliest) { a, b in
                        let first = Self.order(b.price, a.price)
                        return first != 0 ? first : Self.order(a.note, b.note)
                    }
                }
            ),
        ]
        let index = Int(seed % 6)
        let view = View("one") { views[index].0 }
        let model =
            index < 4
            ? Model(
                key: { ["\($0.item):\($0.user)".cell] }, ranked: views[index].1,
                row: { sale, _ in ["\(sale.item):\(sale.user)".cell] + Self.cells(sale) }, keys: 1)
            : Model(
                key: { [$0.user.cell, $0.isGood.cell] }, ranked: views[index].1,
                row: { sale, _ in Self.cells(sale) }, keys: 2)
        try StreamsReference.check(view, model, seed: seed)
    }

    // MARK: A pattern

    struct Found: ViewRow {
        var item: Int
        var step: Int
        var price: ExactDecimal
    }

    /// Finds a good sale that is followed by a bad one of the same item at another price. An unfinished match
    /// is last, as step 0.
    private static let choose: @Sendable (inout [Found], Found) throws -> Void = { kept, new in
        if new.price == -7, kept.count % 3 == 2 { throw StreamsMarket.Refusal("minus seven") }
        let open = kept.last?.step == 0 ? kept.popLast() : nil
        if new.step == 0 {
            kept.append(new)
        } else if let open, open.price != new.price {
            kept.append(Found(item: new.item, step: kept.count + 1, price: open.price))
        } else if let open {
            kept.append(open)
        }
        // A fifth one starts over.
        if kept.count > 4 { kept.removeAll() }
    }

    /// Each sale makes one element or two, so that the second may be refused when the first was kept.
    private static let found: @Sendable (Sale) throws -> [Found] = { sale in
        let one = Found(item: sale.item, step: sale.isGood ? 0 : 1, price: sale.price)
        return sale.weight > 0.5
            ? [one, Found(item: sale.item % 2, step: 1, price: sale.price + 1)] : [one]
    }

    private struct PatternModel: StreamsModel {
        var kept: [Int: [Found]] = [:]

        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            var count = 0
            for (sale, _) in try StreamsMarket.sales(event) {
                for new in try found(sale) {
                    try choose(&kept[new.item, default: []], new)
                    count += 1
                }
            }
            return count
        }
        var rows: [[Value]] {
            kept.sorted { $0.key < $1.key }.flatMap { _, found in
                found.enumerated().map { index, one in
                    [one.item.cell, one.step.cell, one.price.cell, (index + 1).cell]
                }
            }
        }
    }

    @Test(
        "a pattern within each key; an event that is refused leaves no trace in any group",
        arguments: Seeds.random(12))
    func pattern(seed: UInt64) throws {
        let view = View("pattern") {
            Events(Sale.self).flatMap(Self.found).grouped(by: \.item).keep(Self.choose)
        }
        try StreamsReference.check(view, PatternModel(), seed: seed)
    }

    private struct JoinedPatternModel: StreamsModel {
        var seen: Set<String> = []
        var pattern = PatternModel()
        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            for (sale, _) in try StreamsMarket.sales(event)
            where !seen.insert("\(sale.day)\(sale.price)").inserted {
                return 0
            }
            return try pattern.take(event, offset: offset)
        }
        var rows: [[Value]] { pattern.rows }
    }

    struct Dated: ViewRow {
        var id: String
        var sale: Sale
    }

    @Test(
        "an event that a pattern refuses has not been seen by the stream before it either",
        arguments: Seeds.random(8))
    func uniquePattern(seed: UInt64) throws {
        let view = View("unique_pattern") {
            Events(Sale.self)
                .map { Dated(id: "\($0.day)\($0.price)", sale: $0) }
                .unique(by: \.id)
                .flatMap { try Self.found($0.sale) }
                .grouped(by: \.item).keep(Self.choose)
        }
        try StreamsReference.check(view, JoinedPatternModel(), seed: seed)
    }
}
