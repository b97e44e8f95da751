extension EventStream where Element: ViewRow {
    /// As ``join(_:on:equals:_:where:_:)``, with a row also for each element of this stream that has
    /// met none of the other: `combine` gets nil. Where one comes later, that row gives way.
    public func leftJoin<Right: EventStream, Key: KeyValue, New: ViewRow>(
        _ right: Right, on leftKey: KeyPath<Element, Key> & Sendable,
        equals rightKey: KeyPath<Right.Element, Key> & Sendable,
        _ bound: JoinBound = .anyTime,
        where isJoined: (@Sendable (Element, Right.Element) throws -> Bool)? = nil,
        _ combine: @escaping @Sendable (Element, Right.Element?) throws -> New
    ) -> JoinedRows where Right.Element: ViewRow {
        JoinedRows(
            OuterJoin(
                left: JoinInput(source, key: Expression(leftKey)),
                right: JoinInput(right.source, key: Expression(rightKey)), bound: bound,
                showsLeft: true, showsRight: false, isJoined: isJoined
            ) { left, right in try left.map { try combine($0, right) } })
    }

    /// As ``leftJoin(_:on:equals:_:where:_:)``, with a row for each element of the other stream that
    /// has met none of this one.
    public func rightJoin<Right: EventStream, Key: KeyValue, New: ViewRow>(
        _ right: Right, on leftKey: KeyPath<Element, Key> & Sendable,
        equals rightKey: KeyPath<Right.Element, Key> & Sendable,
        _ bound: JoinBound = .anyTime,
        where isJoined: (@Sendable (Element, Right.Element) throws -> Bool)? = nil,
        _ combine: @escaping @Sendable (Element?, Right.Element) throws -> New
    ) -> JoinedRows where Right.Element: ViewRow {
        JoinedRows(
            OuterJoin(
                left: JoinInput(source, key: Expression(leftKey)),
                right: JoinInput(right.source, key: Expression(rightKey)), bound: bound,
                showsLeft: false, showsRight: true, isJoined: isJoined
            ) { left, right in try right.map { try combine(left, $0) } })
    }

    /// As ``leftJoin(_:on:equals:_:where:_:)``, with rows for the elements of both streams that have
    /// met none of the other. `combine` gets at least one of the two.
    public func fullJoin<Right: EventStream, Key: KeyValue, New: ViewRow>(
        _ right: Right, on leftKey: KeyPath<Element, Key> & Sendable,
        equals rightKey: KeyPath<Right.Element, Key> & Sendable,
        _ bound: JoinBound = .anyTime,
        where isJoined: (@Sendable (Element, Right.Element) throws -> Bool)? = nil,
        _ combine: @escaping @Sendable (Element?, Right.Element?) throws -> New
    ) -> JoinedRows where Right.Element: ViewRow {
        JoinedRows(
            OuterJoin(
                left: JoinInput(source, key: Expression(leftKey)),
                right: JoinInput(right.source, key: Expression(rightKey)), bound: bound,
                showsLeft: true, showsRight: true, isJoined: isJoined, combine: combine))
    }
}

/// The table of an outer join: one step of a view.
///
/// Its key is `left_offset` and `right_offset`, the offsets of the two events, -1 for one that is not
/// there (with `left_part` and `right_part` where one event may make several elements).
public struct JoinedRows: TableStep {
    /// The table's name where it is not the view's.
    public var tableName: String?
    private let make: @Sendable (String) throws(KappaError) -> JoinedRowsDefinition

    init<Left: ViewRow, Right: ViewRow, New: ViewRow>(_ join: OuterJoin<Left, Right, New>) {
        make = { table throws(KappaError) in try JoinedRowsDefinition(table: table, join) }
    }

    /// What the step does; for kappa's own use.
    public func define(view: String) throws(KappaError) -> StepDefinition {
        StepDefinition(.joinedRows(try make(tableName ?? view)))
    }
}

/// An outer join with its types.
struct OuterJoin<Left: ViewRow, Right: ViewRow, New: ViewRow>: Sendable {
    let left: JoinInput<Left>
    let right: JoinInput<Right>
    let bound: JoinBound
    /// Whether elements that have met none are rows.
    let showsLeft: Bool
    let showsRight: Bool
    let isJoined: (@Sendable (Left, Right) throws -> Bool)?
    /// Nil where both are nil.
    let combine: @Sendable (Left?, Right?) throws -> New?
}

/// The table of an outer join without its types: what the materializer needs to run it.
package struct JoinedRowsDefinition: Sendable {
    package let table: TableSchema
    package let stateTables: [TableSchema]
    let signature: String
    let eventTypes: [String]
    package let open: @Sendable (any StreamContext) throws(KappaError) -> any JoinedRowsInput

    init<Left: ViewRow, Right: ViewRow, New: ViewRow>(
        table name: String, _ join: OuterJoin<Left, Right, New>
    ) throws(KappaError) {
        let (left, right) = (join.left.source, join.right.source)
        let problem =
            join.left.problem ?? join.right.problem ?? join.bound.problem(join.left, join.right)
        if let problem { throw problem }
        let keys = [
            ("left_offset", true), ("left_part", left.fansOut), ("right_offset", true),
            ("right_part", right.fansOut),
        ].filter(\.1).map { ColumnSchema($0.0, .integer, isKey: true) }
        table = TableSchema(name: name, columns: keys + (try RowCodec<New>().columns))
        stateTables = left.states() + right.states() + join.left.joinTables(with: join.right)
        eventTypes = left.eventTypes + right.eventTypes
        signature =
            "(\(join.left.signature)).outer \(join.showsLeft) \(join.showsRight) "
            + "(\(join.right.signature)) \(join.bound.signature) "
            + table.columns.map { "\($0.name):\($0.kind.rawValue)" }.joined(separator: ",")
        open = { context throws(KappaError) in try OuterJoinRows(join, context) }
    }
}

extension JoinBound {
    /// Why the bound cannot be kept: it needs times that a stream has not.
    func problem<Left, Right>(
        _ left: JoinInput<Left>, _ right: JoinInput<Right>
    ) -> KappaError? {
        if let fault {
            return .senseless(fault, at: "join of \(Left.self) and \(Right.self)")
        }
        guard needsTime, !left.source.hasTime || !right.source.hasTime else { return nil }
        return KappaError(
            .usage, "a join has a bound in time, but its events have no time",
            at: "join of \(Left.self) and \(Right.self)",
            because: "how far apart two events are is told by their event times",
            advice: "Name the event time of both: Events(\(Left.self).self, at: \\.timestamp)")
    }
}
