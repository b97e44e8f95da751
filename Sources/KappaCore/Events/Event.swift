/// One type of event, as a view wants to see it: a plain struct with just the fields it needs.
///
/// Field names match the JSON's in snake_case or camelCase: `userID` takes `userID`, or if an event lacks
/// that, `user_id` or `userId`. If a name occurs twice, the last one wins. A field that is not optional must
/// be present and not null; an event that fails this becomes a dead letter of the view.
///
/// Fields may be strings, integers, floating-point numbers, booleans, ``Timestamp``, ``ExactDecimal``,
/// enums, nested structs, arrays, dictionaries, optionals of all of these, and types with an `init(from:)` of
/// their own. Foundation's `Date`, `Decimal`, `Data` and `URL` are refused, and the error says what to use
/// instead.
public protocol Event: Decodable, Sendable {
    /// The value of the type field (`event_type`) in events of this type. The default is the type's name in
    /// snake_case. With nil, the type takes the events that have no such field.
    static var eventType: String? { get }
    /// The JSON field that holds an event's type. Only this exact name counts.
    static var eventTypeField: String { get }
    /// Whether a number without a unit may stand for a time before 1990. If not, such an event is a dead
    /// letter: most likely its number counts seconds, and the property should be `@Seconds`.
    static var allowsTimesBefore1990: Bool { get }
    /// The time zone, such as `Europe/Berlin`, of times whose text has none. Without it, an event with such a
    /// time is a dead letter. A local time that clocks skip when they go forward is the instant at which they
    /// do; a local time that occurs twice is the first of the two.
    static var localTimeZone: String? { get }
    /// Older shapes of this event and how to convert them; see ``Upcaster``.
    static var upcasters: [Upcaster<Self>] { get }
}

extension Event {
    /// The type's name in snake_case: `OrderPlaced` takes `order_placed`.
    public static var eventType: String? { FieldName.snakeCase(String(describing: Self.self)) }
    /// The default field is `event_type`.
    public static var eventTypeField: String { "event_type" }
    /// By default, no number without a unit stands for a time before 1990.
    public static var allowsTimesBefore1990: Bool { false }
    /// By default, the text of each time must name its own zone.
    public static var localTimeZone: String? { nil }
    /// By default, there are no older shapes.
    public static var upcasters: [Upcaster<Self>] { [] }
}

/// Converts an old shape of an event to the one that views are written for.
///
/// ```swift
/// static let upcasters = [Upcaster(from: OrderPlacedV1.self) { OrderPlaced(orderID: $0.order) }]
/// ```
/// If the old shape has an `eventType` of its own, events of that type are converted. If it has the same one
/// as the new shape, the upcaster is tried on events that do not fit the new shape. Upcasters are tried in
/// the order in which they are listed.
public struct Upcaster<New: Event>: Sendable {
    let oldEventType: String?
    /// Makes the decoder that reads old events from a plan's columns.
    let decoder: @Sendable (ExtractionPlan, Clocks) throws(KappaError) -> ColumnDecoder
    /// Decodes the old event in a row of a batch, and converts it to the new shape.
    let decodeOld: @Sendable (ColumnDecoder, Int) throws -> New

    typealias Clocks = (String) throws(KappaError) -> LocalClock

    /// Converts events of the shape `Old`.
    /// - Parameter lift: Makes the new event from the old one; if it throws, the event is a dead letter.
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
    /// The settings with which this type reads times, as part of a view's digest. The zone's rules are
    /// included, because they may change.
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
