extension EventStream where Element: ViewRow {
    /// Joins two streams: one new element for each pair with the same key, as soon as both are
    /// there, whichever comes first. Its event time is the later one of the two.
    ///
    /// ```swift
    /// Events(Bid.self).join(
    ///     Events(Auction.self).unique(by: \.id), on: \.auction, equals: \.id,
    ///     where: { bid, auction in bid.time <= auction.expires }
    /// ) { bid, auction in ValidBid(bid, auction) }
    /// ```
    /// - Parameters:
    ///   - bound: How far apart the two may be.
    ///   - isJoined: A further condition that a pair must meet.
    ///   - combine: Makes the new element.
    public func join<Right: EventStream, Key: KeyValue, New>(
        _ right: Right, on leftKey: KeyPath<Element, Key> & Sendable,
        equals rightKey: KeyPath<Right.Element, Key> & Sendable,
        _ bound: JoinBound = .anyTime,
        where isJoined: (@Sendable (Element, Right.Element) throws -> Bool)? = nil,
        _ combine: @escaping @Sendable (Element, Right.Element) throws -> New
    ) -> MappedStream<New> where Right.Element: ViewRow {
        InnerJoin(
            left: JoinInput(source, key: Expression(leftKey)),
            right: JoinInput(right.source, key: Expression(rightKey)), bound: bound
        ).stream { join, context throws(KappaError) in
            try JoinReader(join, where: isJoined, combine, context)
        }
    }

    /// Joins two streams, and makes of each pair a struct that is made of their properties: each of its
    /// properties takes the left element's property of the same name and type, or else the right one's, or
    /// the one that `properties` say. It is faster than a closure: only cells that are needed are copied.
    ///
    /// ```swift
    /// Events(Bid.self).join(
    ///     Events(Auction.self).unique(by: \.id), on: \.auction, equals: \.id,
    ///     as: PricedItem.self, .right(\.dateTime, as: \.openedAt))
    /// ```
    /// A condition on the pair is a `filter` behind.
    public func join<Right: EventStream, Key: KeyValue, New: ViewRow>(
        _ right: Right, on leftKey: KeyPath<Element, Key> & Sendable,
        equals rightKey: KeyPath<Right.Element, Key> & Sendable,
        _ bound: JoinBound = .anyTime, as type: New.Type,
        _ properties: PairProperty<Element, Right.Element, New>...
    ) -> MappedStream<New> where Right.Element: ViewRow {
        let join = InnerJoin(
            left: JoinInput(source, key: Expression(leftKey)),
            right: JoinInput(right.source, key: Expression(rightKey)), bound: bound)
        let cells = Learned { () throws(KappaError) in try PairCells(properties) }
        let told: @Sendable () -> String = { (try? cells.get()).map { " \($0.signature)" } ?? "" }
        let problem: @Sendable () -> KappaError? = { cells.error }
        return join.stream(told, problem: problem) { join, context throws(KappaError) in
            try PairReader(join, cells.get(), context)
        }
    }
}

extension InnerJoin {
    /// The join as a stream.
    /// - Parameters:
    ///   - told: What it makes of a pair; a part of a view's digest.
    ///   - problem: Why it cannot be right.
    fileprivate func stream<New>(
        _ told: @escaping @Sendable () -> String = { "" },
        problem: @escaping @Sendable () -> KappaError? = { nil },
        _ open:
            @escaping @Sendable (
                InnerJoin, any StreamContext
            ) throws(KappaError) -> any ElementReader<New>
    ) -> MappedStream<New> {
        MappedStream(
            source: StreamSource(
                openAll: { context throws(KappaError) in try open(self, context) },
                signature: {
                    "(\(left.signature)).join(\(right.signature)) \(bound.signature)\(told())"
                },
                eventTypes: left.source.eventTypes + right.source.eventTypes,
                hasTime: hasTime, fansOut: true,
                states: {
                    left.source.states() + right.source.states() + left.joinTables(with: right)
                },
                problem: {
                    left.problem ?? right.problem ?? bound.problem(left, right) ?? problem()
                }))
    }
}
