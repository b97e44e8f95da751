/// One cell of a row, for code that does not know the row's Swift type: queries, diffs, printing.
///
/// Texts are equal where their bytes are, as keys are in the log and in SQL.
public enum Value: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case decimal(ExactDecimal)
    case text(String)
    case timestamp(Timestamp)
    /// JSON text: a nested object or array.
    case json(String)
}

extension Value {
    public static func == (a: Value, b: Value) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.bool(let x), .bool(let y)): x == y
        case (.integer(let x), .integer(let y)): x == y
        case (.double(let x), .double(let y)): x == y
        case (.decimal(let x), .decimal(let y)): x == y
        case (.text(let x), .text(let y)), (.json(let x), .json(let y)): x.hasSameBytes(as: y)
        case (.timestamp(let x), .timestamp(let y)): x == y
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: break
        case .bool(let bool): hasher.combine(bool)
        case .integer(let integer): hasher.combine(integer)
        case .double(let double): hasher.combine(double)
        case .decimal(let decimal): hasher.combine(decimal)
        case .text(let text), .json(let text): text.hashBytes(into: &hasher)
        case .timestamp(let time): hasher.combine(time)
        }
    }
}

extension Value {
    /// The cell of a key that is kept as an integer.
    init(integerKey value: Int64, kind: ColumnKind) {
        switch kind {
        case .timestamp: self = .timestamp(Timestamp(microseconds: value))
        case .bool: self = .bool(value != 0)
        case .integer, .double, .decimal, .text, .json: self = .integer(value)
        }
    }
}
