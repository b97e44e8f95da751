/// One cell of a row, for code that does not know the row's Swift type: queries, diffs, printing.
public enum Value: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case decimal(Decimal)
    case text(String)
    case timestamp(Timestamp)
    /// JSON text: a nested object or array.
    case json(String)
}
