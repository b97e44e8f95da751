import CKappaJSON

/// What a column holds: a field of an event, or a column of a view's table. The raw value is the
/// name stored in a version's schema table.
public enum ColumnKind: String, Hashable, Sendable, CaseIterable {
    /// Booleans, integers of 64 bits, doubles, ``ExactDecimal``, texts, ``Timestamp``.
    case bool, integer, double, decimal, text, timestamp
    /// Kept as JSON text: objects, arrays, dictionaries.
    case json

    var cKind: kj_kind {
        switch self {
        case .bool: KJ_BOOL
        case .integer: KJ_INTEGER
        case .double: KJ_DOUBLE
        case .text: KJ_STRING
        case .timestamp: KJ_TIMESTAMP
        case .decimal: KJ_DECIMAL
        case .json: KJ_JSON
        }
    }
}

extension ColumnKind {
    /// As in "field amount is not a decimal number".
    var withArticle: String {
        switch self {
        case .bool: "a boolean"
        case .integer: "an integer of 64 bits"
        case .double: "a number"
        case .decimal: "a decimal number of up to 38 digits"
        case .text: "a string"
        case .timestamp: "a time (RFC 3339, or a number since 1970)"
        case .json: "JSON"
        }
    }
}
