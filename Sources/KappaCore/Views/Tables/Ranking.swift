/// A table of the best elements of each group: one step of a view.
public struct Ranking: TableStep {
    public typealias Row = Columns
    /// The table's name; nil if it is the view's.
    public var tableName: String?
    private let make: @Sendable (String) throws(KappaError) -> RankingDefinition

    init<Element: ViewRow>(
        _ grouping: Grouping<Element>, limit: Int, _ orderings: [Ordering<Element>],
        ties: TieRule, showsRank: Bool
    ) {
        make = { table throws(KappaError) in
            try RankingDefinition(
                table: table, grouping: grouping, rank: showsRank ? "rank_number" : nil,
                rule: RankingRule(limit: limit, orderings: orderings, ties: ties))
        }
    }

    init<Element: ViewRow>(_ grouping: Grouping<Element>, keep: KeepRule<Element>) {
        make = { table throws(KappaError) in
            try RankingDefinition(
                table: table, grouping: grouping, rank: "part",
                rule: RankingRule(limit: .max, orderings: [], ties: .earliest, keep: keep))
        }
    }

    /// What the step does; for kappa's own use.
    public func define(view: String) throws(KappaError) -> StepDefinition {
        StepDefinition(.ranking(try make(tableName ?? view)))
    }
}

extension KeyedStream where Element: ViewRow {
    /// The `limit` best elements of each group, with all their properties, and `rank_number` from 1.
    ///
    /// ```swift
    /// Events(Bid.self).grouped(by: \.auction).top(10, by: .descending(\.price))
    /// ```
    public func top(
        _ limit: Int, by orderings: Ordering<Element>..., ties: Ties = .earliest
    ) -> Ranking {
        Ranking(
            grouping, limit: limit, orderings, ties: ties == .all ? .all : .earliest,
            showsRank: true)
    }

    /// The first element of each group, with all its properties: the first in the log, or the first by
    /// `orderings` (among ties, the first in the log).
    public func first(by orderings: Ordering<Element>...) -> Ranking {
        Ranking(grouping, limit: 1, orderings, ties: .earliest, showsRank: false)
    }

    /// The last element of each group, with all its properties: the last in the log.
    public func last() -> Ranking {
        Ranking(grouping, limit: 1, [], ties: .latest, showsRank: false)
    }

    /// The element of each group in which a property is largest, with all its properties; among ties, the
    /// last in the log.
    public func last<V: OrderedValue>(by property: KeyPath<Element, V> & Sendable) -> Ranking {
        Ranking(grouping, limit: 1, [.descending(property)], ties: .latest, showsRank: false)
    }

    /// Keeps the elements of each group that `choose` selects: one row for each, numbered by `part` from 1.
    ///
    /// `choose` is called for each new element, in log order, with the elements that the group has kept. It
    /// may add the new element, and drop, replace and reorder kept ones. So it is a small state machine over
    /// the events of one key.
    @inlinable
    public func keep(
        _ choose: @escaping @Sendable (_ kept: inout [Element], _ new: Element) throws -> Void
    ) -> Ranking {
        keeping(choose) { elements, numbers, groups, ids, changed, failed in
            for number in numbers {
                let element = (elements + (number - numbers.lowerBound)).move()
                let id = ids[number]
                var kept = groups[Int(id)]
                do {
                    try choose(&kept, element)
                    try DecimalOverflow.check()
                } catch {
                    failed()
                    continue
                }
                if kept == groups[Int(id)] { continue }
                swap(&kept, &groups[Int(id)])
                changed(id, kept, groups[Int(id)].count)
            }
        }
    }

    @usableFromInline
    func keeping(
        _ choose: @escaping @Sendable (inout [Element], Element) throws -> Void,
        _ loop: @escaping KeepingLoop<Element>
    ) -> Ranking {
        Ranking(grouping, keep: KeepRule(choose: choose, loop: loop))
    }
}
