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
