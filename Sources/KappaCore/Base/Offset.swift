/// A place in the log, counted in events from zero. The offset of an event is the number of events
/// before it; a reader's offset is that of the next event it will see.
public struct Offset: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// How many events come before this place.
    public var rawValue: UInt64

    /// The place after the first `rawValue` events.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The largest valid offset: half of the largest `Int64`. So adding a block's events to an offset
    /// never overflows, and every offset fits into the `Int64` of SQLite and JSON.
    static let most: UInt64 = UInt64(Int64.max) / 2

    /// An offset read from a file; nil where it is past what any log can reach.
    init?(stored rawValue: UInt64) {
        guard rawValue <= Self.most else { return nil }
        self.rawValue = rawValue
    }

    /// An offset as a person writes it; nil where the text is not one.
    package init?(parsing text: String) {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt64(text),
            let offset = Offset(stored: number)
        else { return nil }
        self = offset
    }

    /// The place before the first event.
    public static let zero = Offset(0)

    /// Whether `a` comes before `b`.
    public static func < (a: Offset, b: Offset) -> Bool { a.rawValue < b.rawValue }
    /// The place `events` events further on.
    public static func + (a: Offset, events: Int) -> Offset {
        Offset(a.rawValue + UInt64(events))
    }
    /// The number of events from `b` up to `a`; negative where `a` comes before `b`.
    public static func - (a: Offset, b: Offset) -> Int {
        Int(Int64(bitPattern: a.rawValue &- b.rawValue))
    }

    /// The number alone, such as `120`.
    public var description: String { String(rawValue) }
}
