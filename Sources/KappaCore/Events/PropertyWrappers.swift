import CKappaJSON

/// A time that an event keeps as a number of seconds since 1970-01-01T00:00:00Z, with or without a fraction,
/// as is common on Unix.
///
/// ```swift
/// @Seconds var created: Timestamp
/// @Seconds var paid: Timestamp?
/// ```
/// The number may be in a text. RFC 3339 text is read as well. An encoded event has such a number again.
@propertyWrapper
public struct Seconds<Value: EventTimeValue>: TimeInUnit {
    /// The time.
    public var wrappedValue: Value
    /// A time.
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    /// Seconds.
    public static var unit: TimeUnit { .seconds }
}

/// A time that an event keeps as a number of milliseconds since 1970, of any size; see ``Seconds``.
@propertyWrapper
public struct Milliseconds<Value: EventTimeValue>: TimeInUnit {
    /// The time.
    public var wrappedValue: Value
    /// A time.
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    /// Milliseconds.
    public static var unit: TimeUnit { .milliseconds }
}

/// A time that an event keeps as a number of microseconds since 1970, of any size; see ``Seconds``.
@propertyWrapper
public struct Microseconds<Value: EventTimeValue>: TimeInUnit {
    /// The time.
    public var wrappedValue: Value
    /// A time.
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    /// Microseconds.
    public static var unit: TimeUnit { .microseconds }
}

/// A time that an event keeps as a number of nanoseconds since 1970; see ``Seconds``. Anything finer than a
/// microsecond is cut off.
@propertyWrapper
public struct Nanoseconds<Value: EventTimeValue>: TimeInUnit {
    /// The time.
    public var wrappedValue: Value
    /// A time.
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    /// Nanoseconds.
    public static var unit: TimeUnit { .nanoseconds }
}

/// The types that ``Seconds`` and the other units wrap: `Timestamp` and `Timestamp?`.
public protocol EventTimeValue: Hashable, Sendable {
    /// The value that stands for a time.
    static func of(_ time: Timestamp) -> Self
    /// The time in a value, if it has one.
    static func time(in value: Self) -> Timestamp?
}

extension Timestamp: EventTimeValue {
    /// The time itself.
    public static func of(_ time: Timestamp) -> Timestamp { time }
    /// The time itself.
    public static func time(in value: Timestamp) -> Timestamp? { value }
}

extension Timestamp?: EventTimeValue {
    /// The time itself.
    public static func of(_ time: Timestamp) -> Timestamp? { time }
    /// The time itself.
    public static func time(in value: Timestamp?) -> Timestamp? { value }
}

/// A wrapper for a time that is kept as a number of one unit: ``Seconds``, ``Milliseconds``, ``Microseconds``
/// and ``Nanoseconds``.
public protocol TimeInUnit<Value>: Codable, Hashable, Sendable {
    associatedtype Value: EventTimeValue
    /// What the number counts.
    static var unit: TimeUnit { get }
    /// The time.
    var wrappedValue: Value { get }
    /// A time.
    init(wrappedValue: Value)
}

extension TimeInUnit {
    init(time: Timestamp) { self.init(wrappedValue: .of(time)) }
    var time: Timestamp? { Value.time(in: wrappedValue) }
    /// A value without a time; nil if `Value` is not optional.
    static var none: Self? {
        (Optional<Timestamp>.none as? Value).map(Self.init(wrappedValue:))
    }

    /// Reads a number of the unit, a text that holds one, or RFC 3339 text.
    /// - Throws: `DecodingError` if it is none of these.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text: String
        var isText = false
        if let integer = try? container.decode(Int64.self) {
            text = "\(integer)"
        } else if let number = try? container.decode(Double.self) {
            text = "\(number)"
        } else {
            text = try container.decode(String.self)
            isText = true
        }
        let (state, time) = TimeRules(unit: Self.unit).read(text, isText: isText)
        guard state == KJ_VALUE else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\"\(text)\" is not a time in \(Self.unit)")
        }
        self.init(time: time)
    }

    /// Writes a number of the unit; null if there is no time.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        guard let micros = time?.microseconds else { return try container.encodeNil() }
        let scale =
            switch Self.unit {
            case .seconds: 6
            case .milliseconds: 3
            case .microseconds, .nanoseconds: 0
            }
        var mantissa = Int128(micros) * (Self.unit == .nanoseconds ? 1_000 : 1)
        var digits = scale
        while digits > 0, mantissa % 10 == 0 {
            mantissa /= 10
            digits -= 1
        }
        if digits == 0, let whole = Int64(exactly: mantissa) { return try container.encode(whole) }
        try container.encode(ExactDecimal(mantissa: mantissa, scale: digits))
    }
}

extension KeyedDecodingContainer {
    /// Reads a time that may be missing or null; called by the `init(from:)` that the compiler writes.
    /// - Throws: An error if there is a value and it is invalid.
    public func decode<Time: TimeInUnit<Timestamp?>>(
        _ type: Time.Type, forKey key: Key
    ) throws -> Time {
        try decodeIfPresent(type, forKey: key) ?? Time(wrappedValue: nil)
    }
}

/// State that a fold keeps with a row without showing it: it is not a column of the table.
///
/// ```swift
/// struct Streak: Codable, Equatable, Sendable {
///     var days = 0
///     @Hidden var lastDay: Int64?
/// }
/// ```
@propertyWrapper
public struct Hidden<Value: Codable & Equatable & Sendable>: Codable, Equatable, Sendable {
    /// The state that is kept.
    public var wrappedValue: Value

    /// State that starts as `wrappedValue`.
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }

    /// Reads the value itself, without a wrapper around it.
    /// - Throws: What `Value` throws.
    public init(from decoder: any Decoder) throws {
        wrappedValue = try decoder.singleValueContainer().decode(Value.self)
    }

    /// Writes the value itself, without a wrapper around it.
    /// - Throws: What `Value` throws.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(wrappedValue)
    }
}

extension Hidden where Value: ExpressibleByNilLiteral {
    /// State that starts as nil.
    public init() { self.init(wrappedValue: nil) }
}

protocol AnyHidden {}
extension Hidden: AnyHidden {}
