import Glibc

extension EventStream where Element: ViewRow {
    /// Joins two streams: makes one new element from each pair with the same key, as soon as both have
    /// arrived, in whichever order. Its event time is the later of the two.
    ///
    /// ```swift
    /// Events(Bid.self).join(
    ///     Events(Auction.self).unique(by: \.id), on: \.auction, equals: \.id,
    ///     where: { bid, auction in bid.time <= auction.expires }
    /// ) { bid, auction in ValidBid(bid, auction) }
    /// ```
    /// - Parameters:
    ///   - bound: How far apart in event time the two may be.
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

    /// Joins two streams and builds a struct from the properties of each pair. Each of its properties takes
    /// the left element's property of the same name and type, or else the right element's, unless
    /// `properties` names another. This is faster than a closure: only the cells that are needed are copied.
    ///
    /// ```swift
    /// Events(Bid.self).join(
    ///     Events(Auction.self).unique(by: \.id), on: \.auction, equals: \.id,
    ///     as: PricedItem.self, .right(\.dateTime, as: \.openedAt))
    /// ```
    /// For a condition on the pair, add a `filter` after the join.
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
        let signature: @Sendable () -> String = {
            (try? cells.get()).map { " \($0.signature)" } ?? ""
        }
        let problem: @Sendable () -> KappaError? = { cells.error }
        return join.stream(signature, problem: problem) { join, context throws(KappaError) in
            try PairReader(join, cells.get(), context)
        }
    }
}

extension InnerJoin {
    /// The join as a stream.
    /// - Parameters:
    ///   - pairSignature: Describes what the join makes of a pair; part of a view's digest.
    ///   - problem: Why the join is invalid; nil if it is valid.
    fileprivate func stream<New>(
        _ pairSignature: @escaping @Sendable () -> String = { "" },
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
                    "(\(left.signature)).join(\(right.signature)) \(bound.signature)"
                        + pairSignature()
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

extension EventStream where Element: ViewRow {
    /// Like ``join(_:on:equals:_:where:_:)``, with a row also for each element of this stream that has no
    /// match in the other: `combine` gets nil for the right side. If a match arrives later, that row is
    /// deleted.
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

    /// Like ``leftJoin(_:on:equals:_:where:_:)``, but with a row for each element of the other stream that
    /// has no match in this one.
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

    /// Like ``leftJoin(_:on:equals:_:where:_:)``, but with rows for the unmatched elements of both streams.
    /// `combine` gets at least one of the two.
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
/// Its key is `left_offset` and `right_offset`: the offsets of the two events, or -1 for a missing one.
/// Where one event may make several elements, the key also has `left_part` and `right_part`.
public struct JoinedRows: TableStep {
    public typealias Row = Columns

    /// The table's name; nil if it is the view's.
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

/// A small lookup table from outside the log, such as currencies or shops.
///
/// It is read when the view is defined and does not change afterwards, so that a replay finds the same
/// rows. Its contents are part of the view's digest: different contents make a different version.
public struct SideTable<Key: KeyValue, Row: ViewRow>: Sendable {
    @usableFromInline
    let rows: [Key: Row]
    @usableFromInline
    let digest: String

    /// A table of rows; if two have the same key, the last one wins.
    public init(_ rows: [Row], by key: KeyPath<Row, Key> & Sendable) {
        var byKey: [Key: Row] = [:]
        var hash = StableHash()
        for row in rows {
            byKey[row[keyPath: key]] = row
            let text = (try? JSONValue(encoding: row).json) ?? ""
            hash.add(text.utf8)
        }
        self.rows = byKey
        digest = hash.digits
    }

    /// A table read from a file of JSON objects, one per line.
    /// - Throws: `.notFound`, or `.badInput` with the line that is not a row.
    public init(ndjson path: String, by key: KeyPath<Row, Key> & Sendable) throws(KappaError) {
        var rows: [Row] = []
        let text = try Self.read(path)
        for (index, line) in text.split(separator: 0x0A).enumerated() {
            do {
                let json = try line.withUnsafeBytes { try JSONValue(parsing: $0) }
                rows.append(try Row(from: ValueDecoder(json)))
            } catch {
                throw KappaError(
                    .badInput, "a line of a side table is not a row of \(Row.self)",
                    at: "\(path), line \(index + 1)", because: FieldFailure.reason(error),
                    advice: "Correct the file, or make the property optional")
            }
        }
        self.init(rows, by: key)
    }

    private static func read(_ path: String) throws(KappaError) -> [UInt8] {
        guard let file = fopen(path, "r") else {
            throw KappaError(
                .notFound, "cannot read a side table", at: path,
                because: String(cString: strerror(errno)),
                advice: "Check the path; a relative one starts at the working directory")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    /// The row of a key; nil if there is none.
    @inlinable
    public subscript(key: Key) -> Row? { rows[key] }
}

extension EventStream {
    /// Looks each element up in a side table, and makes one new element from each that is found there.
    @inlinable
    public func join<Key: KeyValue, Row: ViewRow, New>(
        _ table: SideTable<Key, Row>, on key: @escaping @Sendable (Element) throws -> Key,
        _ combine: @escaping @Sendable (Element, Row) throws -> New
    ) -> MappedStream<New> {
        compactMap { element in
            try table[key(element)].map { try combine(element, $0) }
        }.signed("side \(table.digest)")
    }
}
