/// How far apart the elements that a join brings together may be.
public struct JoinBound: Sendable {
    enum Kind: Sendable {
        case none
        case within(microseconds: Int64)
        case window(microseconds: Int64)
    }
    let kind: Kind
    let latenessMicroseconds: Int64?

    /// Any two, whenever they come. Both sides are kept for ever, but for those elements that cannot
    /// meet another one: see ``EventStream/unique(by:)``.
    public static let anyTime = JoinBound(kind: .none, latenessMicroseconds: nil)

    /// Two whose event times differ by at most `span`. With a lateness, an element is late, is
    /// counted as such and left out, once `time + span + lateness <= stream time`; until then it is
    /// kept. Without a lateness, nothing is late and everything is kept.
    public static func within(_ span: Duration, lateness: Duration? = nil) -> JoinBound {
        JoinBound(
            kind: .within(microseconds: span.spanMicroseconds),
            latenessMicroseconds: lateness?.spanMicroseconds)
    }

    /// Two that are in the same tumbling window. With a lateness, an element is late once
    /// `window end + lateness <= stream time`; until then it is kept.
    public static func sameWindow(_ size: Duration, lateness: Duration? = nil) -> JoinBound {
        JoinBound(
            kind: .window(microseconds: size.spanMicroseconds),
            latenessMicroseconds: lateness?.spanMicroseconds)
    }

    /// Why the bound makes no sense; nil where it does.
    var fault: String? {
        if let lateness = latenessMicroseconds, lateness < 0 {
            return "a lateness is not negative, as \(lateness) microseconds are"
        }
        return switch kind {
        case .within(let span) where span < 0:
            "how far apart the elements of a join are is not negative, as \(span) microseconds are"
        case .window(let size) where size < 1:
            "the size of a join's windows is at least one microsecond, not \(size)"
        default: nil
        }
    }

    var needsTime: Bool { if case .none = kind { false } else { true } }

    /// The start of the window of an element; zero without windows.
    func window(of time: Int64) -> Int64 {
        guard case .window(let size) = kind else { return 0 }
        return Window.start(of: time, size: size)
    }

    var hasWindows: Bool { if case .window = kind { true } else { false } }

    /// Lets an element in.
    /// - Throws: ``LateElement`` if it has gone by for good.
    func admit(_ meta: JoinMeta, now: Int64) throws {
        if isPast(meta.time, streamTime: now) { throw LateElement() }
    }

    /// Whether the times of two elements with the same key allow them to meet.
    func canMeet(_ a: JoinMeta, _ b: JoinMeta, now: Int64) -> Bool {
        if isPast(b.time, streamTime: now) { return false }
        guard case .within(let span) = kind else { return true }
        return abs(a.time &- b.time) <= span
    }

    /// Whether an element has gone by for good.
    func isPast(_ time: Int64, streamTime: Int64) -> Bool {
        guard let lateness = latenessMicroseconds else { return false }
        return switch kind {
        case .none: false
        case .within(let span): time &+ span &+ lateness <= streamTime
        case .window(let size): window(of: time) &+ size &+ lateness <= streamTime
        }
    }

    /// No element of this time or an earlier one can be met any more; nil where all are kept.
    func past(streamTime: Int64) -> Int64? {
        guard let lateness = latenessMicroseconds, streamTime > .min / 2 else { return nil }
        return switch kind {
        case .none: nil
        case .within(let span): streamTime &- span &- lateness
        case .window(let size): Window.start(of: streamTime &- lateness, size: size) &- 1
        }
    }

    /// A part of a view's digest.
    var signature: String {
        "\(kind) \(latenessMicroseconds.map(String.init) ?? "")"
    }
}

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

/// One stream that goes into a join, with what its elements are joined by.
struct JoinInput<Element: ViewRow>: Sendable {
    let source: StreamSource<Element>
    let key: Expression<Element>
    /// Whether no two elements have the same key.
    let isUnique: Bool

    init(_ source: StreamSource<Element>, key: Expression<Element>) {
        self.source = source
        self.key = key
        let property: PartialKeyPath<Element>? = key.keyPath
        isUnique = property != nil && source.uniqueBy == property
    }

    /// Whether the join itself asks which elements are in the stream. One that is not is the only one of
    /// its key, too: what waits for it need not wait any longer.
    var judges: Bool { isUnique && source.condition != nil }

    /// The table of the elements that wait.
    var stateTable: TableSchema {
        .joinSide(key: key.kind, (try? RowCodec<Element>(spread: true).columns) ?? [])
    }

    /// The table of the keys whose only elements are not in the stream.
    var refusedTables: [TableSchema] { judges ? [.joinSide(key: key.kind, [])] : [] }

    /// The tables of both sides of a join.
    func joinTables<Other>(with right: JoinInput<Other>) -> [TableSchema] {
        [stateTable, right.stateTable] + refusedTables + right.refusedTables
    }

    /// How many cells an element has that waits.
    var cells: Int { stateTable.columns.count - TableSchema.joinSideColumns }

    func open(
        _ context: any StreamContext
    ) throws(KappaError) -> any ElementReader<Element> {
        judges ? try source.openAll(context) : try source.open(context)
    }

    /// A part of a view's digest.
    var signature: String { source.signature() + (judges ? " judged" : "") }

    /// Why elements cannot be kept as rows.
    var problem: KappaError? {
        if let problem = source.problem() { return problem }
        do throws(KappaError) {
            _ = try RowCodec<Element>(spread: true)
            return nil
        } catch {
            return error
        }
    }
}

/// What goes into an inner join.
struct InnerJoin<Left: ViewRow, Right: ViewRow>: Sendable {
    let left: JoinInput<Left>
    let right: JoinInput<Right>
    let bound: JoinBound

    var hasTime: Bool { left.source.hasTime && right.source.hasTime }

    /// The join as a stream.
    /// - Parameters:
    ///   - told: What it makes of a pair; a part of a view's digest.
    ///   - problem: Why it cannot be right.
    func stream<New>(
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
