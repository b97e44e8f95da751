import Glibc

/// A local date, hour or weekday of a property, as a part of a group's key.
///
/// ```swift
/// .grouped(by: \.shop, as: "day", by: .localDate(of: \.at, in: "Europe/Berlin"))
/// ```
///
/// An unknown zone is an error when the view is defined, and the zone's rules are a part of the
/// view's digest.
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

    /// A stream whose digest has the zone's rules in it.
    func signing(_ source: StreamSource<Element>) -> StreamSource<Element> {
        switch rules {
        case .success(let rules): return source.signed(" \(what) in \(zone) \(rules.digest)")
        case .failure(let problem):
            return source.unless { problem }
        }
    }
}

extension EventStream {
    /// Groups by a local date, hour or weekday, with the name of its column.
    public func grouped(as name: String, by key: LocalKey<Element>) -> KeyedStream<Element> {
        KeyedStream(
            grouping: Grouping(
                source: key.signing(source),
                keys: [GroupKey(name: name, expression: key.expression)]))
    }

    /// Groups by the values of properties and then by a local date, hour or weekday, with the name
    /// of its column.
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
