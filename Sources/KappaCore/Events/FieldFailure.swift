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

    static func tooDeep(_ path: [String], _ levels: Int) -> FieldFailure {
        FieldFailure(
            description:
                "field \(name(Array(path.prefix(1)))) is nested more than \(levels) levels deep")
    }

    /// Why a field with this value in its column cannot be taken.
    static func of(
        _ path: [String], _ column: kj_column, _ row: Int, expected: String
    ) -> FieldFailure {
        switch kj_state(UInt32(column.states[row])) {
        case KJ_MISSING: .missing(path)
        case KJ_NULL: .null(path)
        case let state where column.kind == KJ_TIMESTAMP:
            .noTime(path, state, Timestamp(microseconds: column.integers[row]))
        default: .wrongType(path, expected)
        }
    }

    /// Why a field is not a time.
    /// - Parameter time: The time that it would be.
    static func noTime(_ path: [String], _ state: kj_state, _ time: Timestamp) -> FieldFailure {
        let reason =
            switch state {
            case KJ_EARLY:
                """
                would be \(time) if its number counted milliseconds or microseconds since 1970. If it \
                counts seconds, declare the property @Seconds; if times before 1990 are right, say so \
                with `static let allowsTimesBefore1990 = true`
                """
            case KJ_ZONELESS:
                """
                is a time without a zone. Say which one is meant, such as \
                `static let localTimeZone: String? = "Europe/Berlin"`
                """
            case KJ_BEYOND:
                """
                is beyond the years 0000 to 9999. If its number counts nanoseconds, declare the \
                property @Nanoseconds
                """
            case KJ_UNITLESS:
                """
                is a number in a text. Say what it counts: declare the property @Seconds, \
                @Milliseconds, @Microseconds or @Nanoseconds
                """
            default: "is not \(ColumnKind.timestamp.withArticle)"
            }
        return FieldFailure(description: "field \(name(path)) \(reason)")
    }

    private static func name(_ path: [String]) -> String {
        path.map(FieldName.snakeCase).joined(separator: ".")
    }

    /// The reason in any error thrown while decoding or encoding, in one line.
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

/// Why a value cannot be encoded, and which of its properties is the cause.
struct EncodingFailure: Error {
    var path: [String] = []
    let reason: String
    let advice: String

    init(_ reason: String, advice: String) {
        self.reason = reason
        self.advice = advice
    }

    /// An error thrown by an author's `encode(to:)` becomes the reason.
    init(_ error: any Error) {
        if let failure = error as? EncodingFailure {
            self = failure
        } else {
            self.init(
                FieldFailure.reason(error),
                advice: "The type's own encode(to:) threw this: correct the value, or the type")
        }
    }

    func inside(_ name: String) -> EncodingFailure {
        var copy = self
        copy.path.insert(name, at: 0)
        return copy
    }

    func error(of type: any Any.Type, _ use: EncodingUse) -> KappaError {
        let property = path.isEmpty ? "" : ", property \(path.joined(separator: "."))"
        switch use {
        case .row:
            return KappaError(
                .badInput, "a row of \(type) cannot be written", at: "\(type)\(property)",
                because: reason, advice: advice)
        case .event:
            return KappaError(
                .badInput, "an event of type \(type) cannot be appended", at: "\(type)\(property)",
                because: reason, advice: "Nothing was appended. \(advice)")
        }
    }
}
