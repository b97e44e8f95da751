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

extension Value {
    /// Negative, zero or positive, as two cells of one kind stand to each other; null is least, NaN
    /// is largest, texts are compared by their bytes.
    static func order(_ a: Value, _ b: Value) -> Int {
        func order<V: Comparable>(_ x: V, _ y: V) -> Int { x < y ? -1 : x == y ? 0 : 1 }
        switch (a, b) {
        case (.integer(let x), .integer(let y)): return order(x, y)
        case (.timestamp(let x), .timestamp(let y)): return order(x, y)
        case (.decimal(let x), .decimal(let y)): return order(x, y)
        case (.bool(let x), .bool(let y)): return order(x ? 1 : 0, y ? 1 : 0)
        case (.double(let x), .double(let y)):
            if x.isNaN || y.isNaN { return order(x.isNaN ? 1 : 0, y.isNaN ? 1 : 0) }
            return order(x, y)
        case (.text(let x), .text(let y)), (.json(let x), .json(let y)):
            if x.hasBytesBefore(y) { return -1 }
            return x.hasSameBytes(as: y) ? 0 : 1
        default: return order(a == .null ? 0 : 1, b == .null ? 0 : 1)
        }
    }
}
