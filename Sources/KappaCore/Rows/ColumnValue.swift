/// A type that can be a key, a column, or an aggregate's input.
///
/// Strings, integers, floating-point numbers, booleans, ``Timestamp``, ``ExactDecimal`` and optionals of
/// these conform. An enum with a raw value conforms by declaration: `enum Action: String, Codable,
/// ColumnValue`.
public protocol ColumnValue: Hashable, Sendable {
    /// The type without nil: `Int` for `Int?`.
    associatedtype Unwrapped: ColumnValue = Self
    /// The type of what a column holds. It is optional for doubles, since a column holds null for what is not
    /// a number.
    associatedtype Stored = Self
    /// What a column of such values holds.
    static var columnKind: ColumnKind { get }
    /// The value as a cell of a table; `.null` for nil.
    var cell: Value { get }
}

extension String: ColumnValue {
    public static var columnKind: ColumnKind { .text }
    public var cell: Value { .text(self) }
}
extension Bool: ColumnValue {
    public static var columnKind: ColumnKind { .bool }
    public var cell: Value { .bool(self) }
}
extension Double: ColumnValue {
    public typealias Stored = Double?
    public static var columnKind: ColumnKind { .double }
    public var cell: Value { .double(self) }
}
extension Timestamp: ColumnValue {
    public static var columnKind: ColumnKind { .timestamp }
    public var cell: Value { .timestamp(self) }
}
extension ExactDecimal: ColumnValue {
    public static var columnKind: ColumnKind { .decimal }
    public var cell: Value { .decimal(self) }
}
extension Int: ColumnValue {
    public static var columnKind: ColumnKind { .integer }
    public var cell: Value { .integer(Int64(self)) }
}
extension Int64: ColumnValue {
    public static var columnKind: ColumnKind { .integer }
    public var cell: Value { .integer(self) }
}
extension Int32: ColumnValue {
    public static var columnKind: ColumnKind { .integer }
    public var cell: Value { .integer(Int64(self)) }
}
extension UInt32: ColumnValue {
    public static var columnKind: ColumnKind { .integer }
    public var cell: Value { .integer(Int64(self)) }
}
extension Optional: ColumnValue where Wrapped: ColumnValue {
    public typealias Unwrapped = Wrapped.Unwrapped
    public typealias Stored = Wrapped.Unwrapped?
    public static var columnKind: ColumnKind { Wrapped.columnKind }
    public var cell: Value { self?.cell ?? .null }
}
extension ColumnValue where Self: RawRepresentable, RawValue: ColumnValue {
    public static var columnKind: ColumnKind { RawValue.columnKind }
    public var cell: Value { rawValue.cell }
}

/// A value that rows can be keyed by: it is never nil, and equal values have the same form.
public protocol KeyValue: ColumnValue {}
extension String: KeyValue {}
extension Bool: KeyValue {}
extension Int: KeyValue {}
extension Int64: KeyValue {}
extension Int32: KeyValue {}
extension UInt32: KeyValue {}
extension Timestamp: KeyValue {}

/// A value that can be summed and averaged.
public protocol SummableValue: ColumnValue {
    /// The type of a sum: integers are summed in 64 bits.
    associatedtype Sum
}
extension Int: SummableValue { public typealias Sum = Int }
extension Int64: SummableValue { public typealias Sum = Int }
extension Int32: SummableValue { public typealias Sum = Int }
extension UInt32: SummableValue { public typealias Sum = Int }
extension Double: SummableValue { public typealias Sum = Double }
extension ExactDecimal: SummableValue { public typealias Sum = ExactDecimal }
extension Optional: SummableValue where Wrapped: SummableValue {
    public typealias Sum = Wrapped.Sum
}

/// An integer, whose average can be an integer too.
public protocol WholeValue: SummableValue {}
extension Int: WholeValue {}
extension Int64: WholeValue {}
extension Int32: WholeValue {}
extension UInt32: WholeValue {}
extension Optional: WholeValue where Wrapped: WholeValue {}

/// A value that is ordered, so that there is a smallest and a largest.
public protocol OrderedValue: ColumnValue {}
extension Int: OrderedValue {}
extension Int64: OrderedValue {}
extension Int32: OrderedValue {}
extension UInt32: OrderedValue {}
extension Double: OrderedValue {}
extension ExactDecimal: OrderedValue {}
extension Timestamp: OrderedValue {}
extension String: OrderedValue {}
extension Optional: OrderedValue where Wrapped: OrderedValue {}
