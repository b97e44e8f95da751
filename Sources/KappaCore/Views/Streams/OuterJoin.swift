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
