/// One type of event, as a view wants to see it: a plain struct with just the fields it needs.
///
/// Field names match the JSON's in snake_case or camelCase: `userID` takes `userID`, and where an event
/// does not have that, `user_id` or `userId`. Where a name stands twice, the last one counts. A field that
/// is not optional must be there and must not be null; an event that fails this becomes a dead letter of
/// the view.
///
/// Fields may be strings, integers, floating-point numbers, booleans, ``Timestamp``, ``ExactDecimal``,
/// enums, nested structs, arrays, dictionaries, and optionals of all of these, and types that decode
/// themselves. Foundation's `Date`, `Decimal`, `Data` and `URL` are refused, with what to use instead.
public protocol Event: Decodable, Sendable {
    /// The value of the log's type field (`event_type`) that marks events of this type; the type's
    /// name in snake_case unless said otherwise. Nil takes the events that carry no such field.
    static var eventType: String? { get }
    /// The JSON field that tells an event's type: exactly this name.
    static var eventTypeField: String { get }
    /// Whether a number without a unit may tell a time before 1990. Where it may not, such an event is a
    /// dead letter: most likely its number counts seconds, and the property should be `@Seconds`.
    static var allowsTimesBefore1990: Bool { get }
    /// The time zone of times whose text has none, such as `Europe/Berlin`. Without it, such an event is a
    /// dead letter. Where clocks go forward over a time, it is the instant at which they do; where a time
    /// comes twice, the first.
    static var localTimeZone: String? { get }
    /// Older shapes of this event and how to lift them; see ``Upcaster``.
    static var upcasters: [Upcaster<Self>] { get }
}

extension Event {
    /// The type's name in snake_case: `OrderPlaced` takes `order_placed`.
    public static var eventType: String? { FieldName.snakeCase(String(describing: Self.self)) }
    /// The field is `event_type` unless the type says otherwise.
    public static var eventTypeField: String { "event_type" }
    /// No number tells a time before 1990.
    public static var allowsTimesBefore1990: Bool { false }
    /// Times have a zone of their own.
    public static var localTimeZone: String? { nil }
    /// There are no older shapes unless the type names them.
    public static var upcasters: [Upcaster<Self>] { [] }
}

/// Lifts an old shape of an event to the one that views are written for.
///
/// ```swift
/// static let upcasters = [Upcaster(from: OrderPlacedV1.self) { OrderPlaced(orderID: $0.order) }]
/// ```
/// Where the old shape has an `eventType` of its own, events of that type are lifted. Where it has
/// the same one as the new shape, it is tried on events that do not fit the new shape. Upcasters are
/// tried in the order in which they stand.
public struct Upcaster<New: Event>: Sendable {
    let oldEventType: String?
    /// Makes what decodes old events of a plan's columns.
    let decoder: @Sendable (ExtractionPlan, Clocks) throws(KappaError) -> ColumnDecoder
    /// The new event of an old one, in a row of a batch.
    let decodeOld: @Sendable (ColumnDecoder, Int) throws -> New

    typealias Clocks = (String) throws(KappaError) -> LocalClock

    /// Lifts events of the shape `Old`.
    /// - Parameter lift: Makes the new event of the old one; where it throws, the event is a dead
    ///   letter.
    public init<Old: Event>(from old: Old.Type, _ lift: @escaping @Sendable (Old) throws -> New) {
        oldEventType = Old.eventType
        decoder = { (plan, clocks) throws(KappaError) in
            ColumnDecoder(
                shape: try EventShape(ofEvent: Old.self), plan: plan,
                times: try TimeRules(Old.self, clocks))
        }
        decodeOld = { try lift($0.decode(Old.self, row: $1)) }
    }
}

extension Event {
    /// What makes this type read other times than its fields tell, as a part of a view's digest: a zone's
    /// rules may change.
    static var timesSignature: String {
        guard let zone = localTimeZone else { return allowsTimesBefore1990 ? " early" : "" }
        let digest = (try? TimeZoneDatabase.clock(of: zone))?.rulesDigest ?? "unknown"
        return " in \(zone) \(digest)" + (allowsTimesBefore1990 ? " early" : "")
    }
}

extension TimeRules {
    /// How an event type reads its times.
    /// - Parameter clocks: Finds a time zone.
    init<E: Event>(
        _ type: E.Type, _ clocks: (String) throws(KappaError) -> LocalClock
    ) throws(KappaError) {
        var clock: LocalClock?
        if let zone = E.localTimeZone { clock = try clocks(zone) }
        self.init(allowsEarly: E.allowsTimesBefore1990, clock: clock)
    }
}
