/// What a value is encoded for.
package enum EncodingUse: Sendable {
    /// For a row: names stay as they are, and every value can be written.
    case row
    /// For an event: names of properties become snake_case. What no reader of events takes is refused.
    case event
}

/// Why a value cannot be encoded, and which property of it.
struct EncodingFailure: Error {
    var path: [String] = []
    let reason: String
    let advice: String

    init(_ reason: String, advice: String) {
        self.reason = reason
        self.advice = advice
    }

    /// What an author's `encode(to:)` throws is the reason.
    init(_ error: any Error) {
        if let failure = error as? EncodingFailure {
            self = failure
        } else {
            self.init(
                FieldFailure.reason(error),
                advice: "The type's own encode(to:) says so: mend the value, or the type")
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
