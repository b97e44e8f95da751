/// A place in the log, counted in events from zero. The offset of an event is the number of events
/// before it; a reader's offset is that of the next event it will see.
public struct Offset: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// How many events stand before this place.
    public var rawValue: UInt64

    /// The place behind the first `rawValue` events.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The place before the first event.
    public static let zero = Offset(0)

    /// Whether `a` stands before `b`.
    public static func < (a: Offset, b: Offset) -> Bool { a.rawValue < b.rawValue }
    /// The place that many events further on.
    public static func + (a: Offset, events: Int) -> Offset {
        Offset(a.rawValue + UInt64(events))
    }
    /// The number of events from `b` up to `a`; negative where `a` stands before `b`.
    public static func - (a: Offset, b: Offset) -> Int {
        Int(Int64(bitPattern: a.rawValue &- b.rawValue))
    }

    /// The number alone, such as `120`.
    public var description: String { String(rawValue) }
}
