import CKappaJSON

/// Why an event cannot be taken: one of its fields is not what a view needs.
struct FieldFailure: Error, CustomStringConvertible {
    let description: String

    static func missing(_ path: [String]) -> FieldFailure {
        FieldFailure(description: "field \(name(path)) is missing")
    }
    static func null(_ path: [String]) -> FieldFailure {
        FieldFailure(description: "field \(name(path)) is null")
    }
    static func wrongType(_ path: [String], _ expected: String) -> FieldFailure {
        FieldFailure(description: "field \(name(path)) is not \(expected)")
    }

    /// Why a field with this state of its column cannot be taken.
    static func of(_ path: [String], _ state: kj_state, expected: String) -> FieldFailure {
        switch state {
        case KJ_MISSING: .missing(path)
        case KJ_NULL: .null(path)
        default: .wrongType(path, expected)
        }
    }

    private static func name(_ path: [String]) -> String {
        path.map(FieldName.snakeCase).joined(separator: ".")
    }

    /// What any error thrown while decoding or encoding says, in one line.
    static func reason(_ error: any Error) -> String {
        switch error {
        case let failure as FieldFailure: return failure.description
        case let error as KappaError:
            return error.what + (error.reason.map { ": \($0)" } ?? "")
        case DecodingError.dataCorrupted(let context), DecodingError.typeMismatch(_, let context),
            DecodingError.valueNotFound(_, let context), DecodingError.keyNotFound(_, let context):
            let path = context.codingPath.map { FieldName.snakeCase($0.stringValue) }
            let place = path.isEmpty ? "" : "field \(path.joined(separator: ".")): "
            return place + context.debugDescription
        case EncodingError.invalidValue(_, let context): return context.debugDescription
        default: return "\(error)"
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
        case .timestamp: "a time (RFC 3339, or milliseconds or microseconds since 1970)"
        case .json: "JSON"
        }
    }
}
