import CKappaJSON

/// A time that an event keeps as a number of ``Seconds`` since 1970-01-01T00:00:00Z, with a fraction or
/// without, as most of Unix does.
///
/// ```swift
/// @Seconds var created: Timestamp
/// @Seconds var paid: Timestamp?
/// ```
/// The number may stand in a text. RFC 3339 text is read as well. Written, it is such a number again.
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

/// A time that an event keeps as a number of nanoseconds since 1970; see ``Seconds``. What is finer than
/// a microsecond is cut off.
@propertyWrapper
public struct Nanoseconds<Value: EventTimeValue>: TimeInUnit {
    /// The time.
    public var wrappedValue: Value
    /// A time.
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    /// Nanoseconds.
    public static var unit: TimeUnit { .nanoseconds }
}

/// What ``Seconds`` and its sisters wrap: `Timestamp` or `Timestamp?`.
public protocol EventTimeValue: Hashable, Sendable {
    /// The value that stands for a time.
    static func of(_ time: Timestamp) -> Self
    /// The time that a value is, if it is one.
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

/// A property of a time whose numbers count one unit: ``Seconds`` and its sisters.
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
    /// Where there may be no time: none.
    static var none: Self? {
        (Optional<Timestamp>.none as? Value).map(Self.init(wrappedValue:))
    }

    /// Reads a number of the unit, a text that holds one, or RFC 3339 text.
    /// - Throws: `DecodingError` where it is none of these.
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
                in: container, debugDescription: "\"\(text)\" is no time in \(Self.unit)")
        }
        self.init(time: time)
    }

    /// Writes a number of the unit; null where there is no time.
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
    /// - Throws: What is wrong with a value that is there.
    public func decode<Time: TimeInUnit<Timestamp?>>(
        _ type: Time.Type, forKey key: Key
    ) throws -> Time {
        try decodeIfPresent(type, forKey: key) ?? Time(wrappedValue: nil)
    }
}

/// State that a fold keeps with a row and does not show: it is no column of the table.
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

    /// State that begins as `wrappedValue`.
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }

    /// Reads the value itself, without a wrapping.
    /// - Throws: What `Value` throws.
    public init(from decoder: any Decoder) throws {
        wrappedValue = try decoder.singleValueContainer().decode(Value.self)
    }

    /// Writes the value itself, without a wrapping.
    /// - Throws: What `Value` throws.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(wrappedValue)
    }
}

extension Hidden where Value: ExpressibleByNilLiteral {
    /// State that begins as nil.
    public init() { self.init(wrappedValue: nil) }
}

protocol AnyHidden {}
extension Hidden: AnyHidden {}
