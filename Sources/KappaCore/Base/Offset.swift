/// A place in the log, counted in events from zero. The offset of an event is the number of events
/// before it; a reader's offset is that of the next event it will see.
public struct Offset: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// How many events stand before this place.
    public var rawValue: UInt64

    /// The place behind the first `rawValue` events.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The largest that counts: half of what 64 bits hold. So sums of an offset and a block's events
    /// never overflow, and each offset is an `Int64` for SQLite and JSON.
    static let most: UInt64 = UInt64(Int64.max) / 2

    /// A place as a file tells it; nil where no log reaches it.
    init?(stored rawValue: UInt64) {
        guard rawValue <= Self.most else { return nil }
        self.rawValue = rawValue
    }

    /// A place as a person writes it; nil for what is none.
    package init?(parsing text: String) {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt64(text),
            let offset = Offset(stored: number)
        else { return nil }
        self = offset
    }

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
