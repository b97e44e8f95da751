import Glibc

/// A stream grouped by key, which can still be cut into windows.
public struct KeyedStream<Element>: Sendable {
    let grouping: Grouping<Element>

    /// Cuts each group into windows of event time.
    /// - Parameters:
    ///   - lateness: An event is late once `window end + lateness <= stream time`; without a
    ///     lateness, nothing is ever late.
    ///   - late: What happens to late events.
    ///   - keep: The row of a window is deleted once `window end + keep <= stream time`. From then on, an
    ///     event in that window is late. Without it, all rows stay.
    public func window(
        _ window: Window, lateness: Duration? = nil, late: LateEvents = .dropped,
        keep: Duration? = nil
    ) -> Grouping<Element> {
        var grouping = grouping.cut(window, lateness, late, keep)
        grouping.windowComesFirst = false
        return grouping
    }

    /// One row for each group.
    public func aggregate(_ aggregates: Aggregate<Element, Columns>...) -> Aggregation<Columns> {
        Aggregation(grouping, NamedAggregates(aggregates))
    }

    /// Like ``aggregate(_:)``, with rows that are read as structs. Each property takes the aggregate that is named
    /// after it, or the key, or `windowStart` and `windowEnd`.
    ///
    /// ```swift
    /// .aggregate(as: UserTotals.self, .count().as(\.orders), .sum(\.amount).as(\.revenue))
    /// ```
    public func aggregate<Row: ViewRow>(
        as type: Row.Type, _ aggregates: Aggregate<Element, Row>...
    ) -> Aggregation<Row> {
        Aggregation(grouping, NamedAggregates(aggregates, as: type))
    }
}

/// A stream cut into windows, which can still be split by key.
public struct WindowedStream<Element>: Sendable {
    let grouping: Grouping<Element>

    /// Splits each window by the values of one or more properties.
    public func grouped<A: KeyValue, each B: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable
    ) -> Grouping<Element> {
        adding(GroupKey.properties(first, repeat each next))
    }

    /// Splits each window by the values of properties and then by a computed key; `name` is the key's
    /// column.
    public func grouped<A: KeyValue, each B: KeyValue, C: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable,
        as name: String, by key: @escaping @Sendable (Element) throws -> C
    ) -> Grouping<Element> {
        let computed = GroupKey(name: name, expression: Expression(key))
        return adding(GroupKey.properties(first, repeat each next) + [computed])
    }

    /// Splits each window by a computed key; `name` is its column.
    public func grouped<A: KeyValue>(
        as name: String, by key: @escaping @Sendable (Element) throws -> A
    ) -> Grouping<Element> {
        adding([GroupKey(name: name, expression: Expression(key))])
    }

    /// One row for each window.
    public func aggregate(_ aggregates: Aggregate<Element, Columns>...) -> Aggregation<Columns> {
        Aggregation(grouping, NamedAggregates(aggregates))
    }

    /// Like ``aggregate(_:)``, with rows that are read as structs. Each property takes the aggregate that is named
    /// after it, or the key, or `windowStart` and `windowEnd`.
    ///
    /// ```swift
    /// .aggregate(as: UserTotals.self, .count().as(\.orders), .sum(\.amount).as(\.revenue))
    /// ```
    public func aggregate<Row: ViewRow>(
        as type: Row.Type, _ aggregates: Aggregate<Element, Row>...
    ) -> Aggregation<Row> {
        Aggregation(grouping, NamedAggregates(aggregates, as: type))
    }

    private func adding(_ keys: [GroupKey<Element>]) -> Grouping<Element> {
        var grouping = grouping
        grouping.keys = keys
        return grouping
    }
}

extension Grouping {
    fileprivate func cut(
        _ window: Window, _ lateness: Duration?, _ late: LateEvents, _ keep: Duration?
    ) -> Grouping<Element> {
        var grouping = self
        grouping.window = window
        grouping.latenessMicroseconds = lateness.map { $0.eventTimeMicroseconds }
        grouping.late = late
        grouping.keepMicroseconds = keep.map { $0.eventTimeMicroseconds }
        grouping.fault =
            lateness?.fault("a lateness") ?? keep?.fault("the time that rows are kept")
        return grouping
    }

    /// One row for each group.
    public func aggregate(_ aggregates: Aggregate<Element, Columns>...) -> Aggregation<Columns> {
        Aggregation(self, NamedAggregates(aggregates))
    }

    /// Like ``aggregate(_:)``, with rows that are read as structs. Each property takes the aggregate that is named
    /// after it, or the key, or `windowStart` and `windowEnd`.
    ///
    /// ```swift
    /// .aggregate(as: UserTotals.self, .count().as(\.orders), .sum(\.amount).as(\.revenue))
    /// ```
    public func aggregate<Row: ViewRow>(
        as type: Row.Type, _ aggregates: Aggregate<Element, Row>...
    ) -> Aggregation<Row> {
        Aggregation(self, NamedAggregates(aggregates, as: type))
    }
}

extension EventStream {
    /// One row for all elements: the total. Its key is the column `scope`, which holds `all`. The row
    /// appears with the first element.
    public func aggregate(_ aggregates: Aggregate<Element, Columns>...) -> Aggregation<Columns> {
        Aggregation(Grouping(source: source, keys: [.all]), NamedAggregates(aggregates))
    }

    /// Like ``aggregate(_:)``, with rows that are read as structs. Each property takes the aggregate that is named
    /// after it, or the key, or `windowStart` and `windowEnd`.
    ///
    /// ```swift
    /// .aggregate(as: UserTotals.self, .count().as(\.orders), .sum(\.amount).as(\.revenue))
    /// ```
    public func aggregate<Row: ViewRow>(
        as type: Row.Type, _ aggregates: Aggregate<Element, Row>...
    ) -> Aggregation<Row> {
        Aggregation(Grouping(source: source, keys: [.all]), NamedAggregates(aggregates, as: type))
    }

    /// Cuts the stream into windows of event time.
    /// - Parameters:
    ///   - lateness: An event is late once `window end + lateness <= stream time`; without a
    ///     lateness, nothing is ever late.
    ///   - late: What happens to late events.
    ///   - keep: The row of a window is deleted once `window end + keep <= stream time`. From then on, an
    ///     event in that window is late. Without it, all rows stay.
    public func window(
        _ window: Window, lateness: Duration? = nil, late: LateEvents = .dropped,
        keep: Duration? = nil
    ) -> WindowedStream<Element> {
        WindowedStream(grouping: Grouping(source: source).cut(window, lateness, late, keep))
    }

    /// Groups by the values of one or more properties.
    public func grouped<A: KeyValue, each B: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable
    ) -> KeyedStream<Element> {
        keyed(GroupKey.properties(first, repeat each next))
    }

    /// Groups by the values of properties and then by a computed key; `name` is the key's column.
    ///
    /// ```swift
    /// .grouped(by: \.shop, as: "hour") { $0.at.start(ofWindow: .hours(1)) }
    /// ```
    public func grouped<A: KeyValue, each B: KeyValue, C: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable,
        as name: String, by key: @escaping @Sendable (Element) throws -> C
    ) -> KeyedStream<Element> {
        let computed = GroupKey(name: name, expression: Expression(key))
        return keyed(GroupKey.properties(first, repeat each next) + [computed])
    }

    /// Groups by a computed key; `name` is its column.
    public func grouped<A: KeyValue>(
        as name: String, by key: @escaping @Sendable (Element) throws -> A
    ) -> KeyedStream<Element> {
        keyed([GroupKey(name: name, expression: Expression(key))])
    }

    private func keyed(_ keys: [GroupKey<Element>]) -> KeyedStream<Element> {
        KeyedStream(grouping: Grouping(source: source, keys: keys))
    }
}

/// The local date, month, hour or weekday of a timestamp property, as part of a group's key.
///
/// ```swift
/// .grouped(by: \.shop, as: "day", by: .localDate(of: \.at, in: "Europe/Berlin"))
/// ```
///
/// An unknown time zone is an error when the view is defined. The zone's rules are part of the view's
/// digest.
public struct LocalKey<Element>: Sendable {
    let expression: Expression<Element>
    private let what: String
    private let zone: String
    private let rules: Result<TimeZoneRules, KappaError>

    /// The date, as a text: `2024-03-31`.
    public static func localDate(
        of time: KeyPath<Element, Timestamp> & Sendable, in zone: String
    ) -> LocalKey { LocalKey("date", time, zone) { $0.dateText } }

    /// The month, as a text: `2024-03`.
    public static func localMonth(
        of time: KeyPath<Element, Timestamp> & Sendable, in zone: String
    ) -> LocalKey { LocalKey("month", time, zone) { String($0.dateText.dropLast(3)) } }

    /// The hour, 0 … 23.
    public static func localHour(
        of time: KeyPath<Element, Timestamp> & Sendable, in zone: String
    ) -> LocalKey { LocalKey("hour", time, zone) { $0.hour } }

    /// The day of the week: 1 is Monday and 7 is Sunday, as in ISO 8601.
    public static func localWeekday(
        of time: KeyPath<Element, Timestamp> & Sendable, in zone: String
    ) -> LocalKey { LocalKey("weekday", time, zone) { $0.weekday.number } }

    private init<V: KeyValue>(
        _ what: String, _ time: KeyPath<Element, Timestamp> & Sendable, _ zone: String,
        _ value: @escaping @Sendable (LocalTime) -> V
    ) {
        self.what = what
        self.zone = zone
        let rules = Result { () throws(KappaError) in try TimeZoneDatabase.rules(of: zone) }
        self.rules = rules
        expression = Expression { element in
            value(LocalTime(element[keyPath: time], try rules.get()))
        }
    }

    /// The same stream with the zone's rules added to its signature.
    func signing(_ source: StreamSource<Element>) -> StreamSource<Element> {
        switch rules {
        case .success(let rules): return source.signed(" \(what) in \(zone) \(rules.digest)")
        case .failure(let problem):
            return source.unless { problem }
        }
    }
}

extension EventStream {
    /// Groups by a local date, month, hour or weekday; `name` is its column.
    public func grouped(as name: String, by key: LocalKey<Element>) -> KeyedStream<Element> {
        KeyedStream(
            grouping: Grouping(
                source: key.signing(source),
                keys: [GroupKey(name: name, expression: key.expression)]))
    }

    /// Groups by the values of properties and then by a local date, month, hour or weekday; `name` is the
    /// column of the latter.
    public func grouped<A: KeyValue, each B: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable,
        as name: String, by key: LocalKey<Element>
    ) -> KeyedStream<Element> {
        let local = GroupKey(name: name, expression: key.expression)
        return KeyedStream(
            grouping: Grouping(
                source: key.signing(source),
                keys: GroupKey.properties(first, repeat each next) + [local]))
    }
}
