/// All events of one type.
///
/// ```swift
/// Events(UserEvent.self, at: \.timestamp)
/// ```
public struct Events<Element: Event>: EventStream {
    /// How elements are made; for kappa's own use.
    public let source: StreamSource<Element>

    /// Events in log order, without a time.
    public init(_ type: Element.Type) {
        self.init(time: nil)
    }

    /// Events in log order, with the property that holds their event time; windows need one.
    public init(_ type: Element.Type, at time: KeyPath<Element, Timestamp> & Sendable) {
        self.init(time: .property(time))
    }

    /// Events whose time is not one of their properties.
    ///
    /// ```swift
    /// Events(UserEvent.self, at: .ingestion)
    /// ```
    public init(_ type: Element.Type, at time: EventTime) {
        self.init(time: .ingestion)
    }

    /// Rejects events whose time is more than `limit` ahead of their ingestion, for example because a
    /// producer's clock is fast. Each becomes a dead letter and does not move the stream time; otherwise it
    /// could make all other events late.
    ///
    /// ```swift
    /// Events(UserEvent.self, at: \.timestamp).ignoringTimes(furtherAheadThan: .hours(1))
    /// ```
    /// The log records when each event was appended, so a replay rejects the same events.
    public func ignoringTimes(furtherAheadThan limit: Duration) -> Events {
        Events(time: time, mostAhead: limit)
    }

    private let time: TimeSource<Element>?

    private init(time: TimeSource<Element>?, mostAhead span: Duration? = nil) {
        self.time = time
        let suffix = if case .ingestion = time { " at ingestion" } else { "" }
        let mostAhead = span?.eventTimeMicroseconds
        let limit = mostAhead.map { " ahead \($0)" } ?? ""
        source = StreamSource(
            openAll: { context throws(KappaError) in
                try TypedEventReader(plan: context.plan, time: time, mostAhead: mostAhead)
            },
            signature: {
                "events(\(Element.eventType ?? "-"))\(suffix)\(limit)\(Element.timesSignature)"
            },
            eventTypes: [Element.eventType ?? "*"],
            hasTime: time != nil,
            problem: {
                if let fault = span?.fault("how far ahead a time may be") {
                    return .senseless(fault, at: "stream of \(Element.self)")
                }
                if mostAhead != nil, time == nil {
                    return KappaError(
                        .usage, "times are to be ignored, but the events have no time",
                        at: "stream of \(Element.self)",
                        because: "no property is named as their time",
                        advice: "Name it: Events(\(Element.self).self, at: \\.timestamp)")
                }
                // A type that cannot be read is an error before the first event is read.
                do throws(KappaError) {
                    _ = try TypedEventReader(
                        plan: ExtractionPlan(), time: time, mostAhead: mostAhead)
                    return nil
                } catch { return error }
            })
    }
}

/// An event time that is not one of the event's properties.
public struct EventTime: Sendable {
    /// When the event was appended, as recorded in the log: a replay finds the same time.
    public static let ingestion = EventTime()
}
