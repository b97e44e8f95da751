/// A stream cut into groups, by keys, by windows, or by both; `aggregate` makes it a table.
public struct Grouping<Element>: Sendable {
    let source: StreamSource<Element>
    var keys: [GroupKey<Element>] = []
    var window: Window?
    var latenessMicroseconds: Int64?
    var late = LateEvents.dropped
    /// Columns stand in the order in which they are written: windows first, or keys first.
    var windowComesFirst = true
}

/// What becomes of an event that comes after its windows have closed.
public enum LateEvents: Sendable {
    /// It is left out, and counted as late.
    case dropped
    /// It is kept with the view's dead letters, and counted as dead.
    case deadLetters
}

/// One part of a group's key.
struct GroupKey<Element>: Sendable {
    let name: String?
    let expression: Expression<Element>
    var columnName: String { name ?? expression.propertyName ?? "key" }
}

/// Groups that still lack a window.
public struct KeyedStream<Element>: Sendable {
    let grouping: Grouping<Element>

    /// Cuts each group into windows of event time.
    /// - Parameters:
    ///   - lateness: An event is late once `window end + lateness <= stream time`; without a
    ///     lateness, nothing is ever late.
    ///   - late: What becomes of late events.
    public func window(
        _ window: Window, lateness: Duration? = nil, late: LateEvents = .dropped
    ) -> Grouping<Element> {
        var grouping = grouping.cut(window, lateness, late)
        grouping.windowComesFirst = false
        return grouping
    }

    /// Splits each group further, by the values of properties.
    public func grouped<A: KeyValue, each More: KeyValue>(
        by key: KeyPath<Element, A> & Sendable,
        _ more: repeat KeyPath<Element, each More> & Sendable
    ) -> KeyedStream<Element> {
        KeyedStream(grouping: grouping.grouped(by: key, repeat each more))
    }

    /// Splits each group further, by a computed key with the name of its column.
    public func grouped<A: KeyValue>(
        as name: String, by key: @escaping @Sendable (Element) throws -> A
    ) -> KeyedStream<Element> {
        KeyedStream(grouping: grouping.grouped(as: name, by: key))
    }

    /// One row for each group.
    public func aggregate(_ aggregates: Aggregate<Element>...) -> Aggregation {
        Aggregation(grouping, aggregates)
    }
}

/// Windows that may still be split by key.
public struct WindowedStream<Element>: Sendable {
    let grouping: Grouping<Element>

    /// Splits each window by the values of properties.
    public func grouped<A: KeyValue, each More: KeyValue>(
        by key: KeyPath<Element, A> & Sendable,
        _ more: repeat KeyPath<Element, each More> & Sendable
    ) -> Grouping<Element> {
        grouping.grouped(by: key, repeat each more)
    }

    /// Splits each window by a computed key, with the name of its column.
    public func grouped<A: KeyValue>(
        as name: String, by key: @escaping @Sendable (Element) throws -> A
    ) -> Grouping<Element> {
        grouping.grouped(as: name, by: key)
    }

    /// One row for each window.
    public func aggregate(_ aggregates: Aggregate<Element>...) -> Aggregation {
        Aggregation(grouping, aggregates)
    }
}

extension Grouping {
    fileprivate func cut(
        _ window: Window, _ lateness: Duration?, _ late: LateEvents
    ) -> Grouping<Element> {
        var grouping = self
        grouping.window = window
        grouping.latenessMicroseconds = lateness.map { $0.eventTimeMicroseconds }
        grouping.late = late
        return grouping
    }

    /// Splits each group further, by the values of properties.
    public func grouped<A: KeyValue, each More: KeyValue>(
        by key: KeyPath<Element, A> & Sendable,
        _ more: repeat KeyPath<Element, each More> & Sendable
    ) -> Grouping<Element> {
        var grouping = self
        grouping.keys.append(GroupKey(name: nil, expression: Expression(key)))
        for key in repeat each more {
            grouping.keys.append(GroupKey(name: nil, expression: Expression(key)))
        }
        return grouping
    }

    /// Splits each group further, by a computed key with the name of its column.
    public func grouped<A: KeyValue>(
        as name: String, by key: @escaping @Sendable (Element) throws -> A
    ) -> Grouping<Element> {
        var grouping = self
        grouping.keys.append(GroupKey(name: name, expression: Expression(key)))
        return grouping
    }

    /// One row for each group.
    public func aggregate(_ aggregates: Aggregate<Element>...) -> Aggregation {
        Aggregation(self, aggregates)
    }
}

extension EventStream {
    /// Cuts the stream into windows of event time.
    /// - Parameters:
    ///   - lateness: An event is late once `window end + lateness <= stream time`; without a
    ///     lateness, nothing is ever late.
    ///   - late: What becomes of late events.
    public func window(
        _ window: Window, lateness: Duration? = nil, late: LateEvents = .dropped
    ) -> WindowedStream<Element> {
        WindowedStream(grouping: Grouping(source: source).cut(window, lateness, late))
    }

    /// Groups by the values of properties.
    public func grouped<A: KeyValue, each More: KeyValue>(
        by key: KeyPath<Element, A> & Sendable,
        _ more: repeat KeyPath<Element, each More> & Sendable
    ) -> KeyedStream<Element> {
        KeyedStream(grouping: Grouping(source: source).grouped(by: key, repeat each more))
    }

    /// Groups by a computed key, with the name of its column.
    public func grouped<A: KeyValue>(
        as name: String, by key: @escaping @Sendable (Element) throws -> A
    ) -> KeyedStream<Element> {
        KeyedStream(grouping: Grouping(source: source).grouped(as: name, by: key))
    }
}
