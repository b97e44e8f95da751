/// Groups that still lack a window.
public struct KeyedStream<Element>: Sendable {
    let grouping: Grouping<Element>

    /// Cuts each group into windows of event time.
    /// - Parameters:
    ///   - lateness: An event is late once `window end + lateness <= stream time`; without a
    ///     lateness, nothing is ever late.
    ///   - late: What becomes of late events.
    ///   - keep: The row of a window is deleted once `window end + keep <= stream time`. An event
    ///     into such a window is late. Without it, all rows stay.
    public func window(
        _ window: Window, lateness: Duration? = nil, late: LateEvents = .dropped,
        keep: Duration? = nil
    ) -> Grouping<Element> {
        var grouping = grouping.cut(window, lateness, late, keep)
        grouping.windowComesFirst = false
        return grouping
    }

    /// One row for each group.
    public func aggregate(_ aggregates: Aggregate<Element>...) -> Aggregation {
        Aggregation(grouping, aggregates)
    }
}

/// Windows that may still be split by key.
public struct WindowedStream<Element>: Sendable {
    let grouping: Grouping<Element>

    /// Splits each window by the value of a property, or of several.
    public func grouped<A: KeyValue, each B: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable
    ) -> Grouping<Element> {
        adding(GroupKey.properties(first, repeat each next))
    }

    /// Splits each window by the values of properties and then by a computed key, with the name of its
    /// column.
    public func grouped<A: KeyValue, each B: KeyValue, C: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable,
        as name: String, by key: @escaping @Sendable (Element) throws -> C
    ) -> Grouping<Element> {
        let computed = GroupKey(name: name, expression: Expression(key))
        return adding(GroupKey.properties(first, repeat each next) + [computed])
    }

    /// Splits each window by a computed key, with the name of its column.
    public func grouped<A: KeyValue>(
        as name: String, by key: @escaping @Sendable (Element) throws -> A
    ) -> Grouping<Element> {
        adding([GroupKey(name: name, expression: Expression(key))])
    }

    /// One row for each window.
    public func aggregate(_ aggregates: Aggregate<Element>...) -> Aggregation {
        Aggregation(grouping, aggregates)
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
    public func aggregate(_ aggregates: Aggregate<Element>...) -> Aggregation {
        Aggregation(self, aggregates)
    }
}

extension EventStream {
    /// One row for all elements: the total. Its key is the column `scope`, which holds `all`; there is no
    /// row before the first element.
    public func aggregate(_ aggregates: Aggregate<Element>...) -> Aggregation {
        Aggregation(Grouping(source: source, keys: [.all]), aggregates)
    }

    /// Cuts the stream into windows of event time.
    /// - Parameters:
    ///   - lateness: An event is late once `window end + lateness <= stream time`; without a
    ///     lateness, nothing is ever late.
    ///   - late: What becomes of late events.
    ///   - keep: The row of a window is deleted once `window end + keep <= stream time`. An event
    ///     into such a window is late. Without it, all rows stay.
    public func window(
        _ window: Window, lateness: Duration? = nil, late: LateEvents = .dropped,
        keep: Duration? = nil
    ) -> WindowedStream<Element> {
        WindowedStream(grouping: Grouping(source: source).cut(window, lateness, late, keep))
    }

    /// Groups by the value of a property, or of several.
    public func grouped<A: KeyValue, each B: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable
    ) -> KeyedStream<Element> {
        keyed(GroupKey.properties(first, repeat each next))
    }

    /// Groups by the values of properties and then by a computed key, with the name of its column.
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

    /// Groups by a computed key, with the name of its column.
    public func grouped<A: KeyValue>(
        as name: String, by key: @escaping @Sendable (Element) throws -> A
    ) -> KeyedStream<Element> {
        keyed([GroupKey(name: name, expression: Expression(key))])
    }

    private func keyed(_ keys: [GroupKey<Element>]) -> KeyedStream<Element> {
        KeyedStream(grouping: Grouping(source: source, keys: keys))
    }
}
