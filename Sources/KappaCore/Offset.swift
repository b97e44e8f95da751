/// A place in the log, counted in events from zero. The offset of an event is the number of events
/// before it; a reader's offset is that of the next event it will see.
public struct Offset: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var rawValue: UInt64

    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    public static let zero = Offset(0)

    public static func < (a: Offset, b: Offset) -> Bool { a.rawValue < b.rawValue }
    public static func + (a: Offset, events: Int) -> Offset {
        Offset(a.rawValue + UInt64(events))
    }
    /// The number of events from `b` up to `a`; negative where `a` stands before `b`.
    public static func - (a: Offset, b: Offset) -> Int {
        Int(Int64(bitPattern: a.rawValue &- b.rawValue))
    }

    public var description: String { String(rawValue) }
}
