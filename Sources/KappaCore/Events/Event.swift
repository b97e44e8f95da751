/// One type of event, as a view wants to see it: a plain struct with just the fields it needs.
///
/// Field names match the JSON's in snake_case or camelCase: `userID` takes `user_id`, `userId` and
/// `userID`; where a field stands twice, the last one counts. A field that is not optional must be
/// there and must not be null; an event that fails this becomes a dead letter of the view.
///
/// Fields may be strings, integers, floating-point numbers, booleans, ``Timestamp``, ``ExactDecimal``,
/// enums with a string or integer raw value, nested structs, arrays, dictionaries, and optionals of
/// all of these. An event type keeps the `init(from:)` that the compiler writes.
public protocol Event: Decodable, Sendable {
    /// The value of the log's type field (`event_type`) that marks events of this type; the type's
    /// name in snake_case unless said otherwise. Nil takes the events that carry no such field.
    static var eventType: String? { get }
    /// The JSON field that tells an event's type.
    static var eventTypeField: String { get }
    /// Older shapes of this event and how to lift them; see ``Upcaster``.
    static var upcasters: [Upcaster<Self>] { get }
}

extension Event {
    /// The type's name in snake_case: `OrderPlaced` takes `order_placed`.
    public static var eventType: String? { FieldName.snakeCase(String(describing: Self.self)) }
    /// The field is `event_type` unless the type says otherwise.
    public static var eventTypeField: String { "event_type" }
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
    let shape: @Sendable () throws(KappaError) -> EventShape
    let decodeOld: @Sendable (any Decoder) throws -> New

    /// Lifts events of the shape `Old`.
    /// - Parameter lift: Makes the new event of the old one; where it throws, the event is a dead
    ///   letter.
    public init<Old: Event>(from old: Old.Type, _ lift: @escaping @Sendable (Old) throws -> New) {
        oldEventType = Old.eventType
        shape = { () throws(KappaError) in try EventShape(of: Old.self) }
        decodeOld = { try lift(Old(from: $0)) }
    }
}
