/// What an `Encodable` value becomes before it is written: JSON with exact numbers and times.
///
/// A value has one text, whatever the seed of its hashes: see ``ValueEncoder``.
package indirect enum EncodedValue: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case unsigned(UInt64)
    case double(Double)
    case decimal(ExactDecimal)
    case timestamp(Timestamp)
    case text(String)
    case array([EncodedValue])
    case object([(key: String, value: EncodedValue)])

    /// Encodes any value.
    /// - Throws: ``KappaError``, `.badInput`, with the property that cannot be written and why. What an
    ///   `encode(to:)` throws is its reason.
    package init<T: Encodable>(encoding value: T, for use: EncodingUse = .row) throws {
        let box = EncodingBox()
        do {
            try ValueEncoder(box: box, use: use).write(value)
            self = try box.finished(use)
        } catch {
            throw EncodingFailure(error).error(of: T.self, use)
        }
    }

    package func write(to text: inout JSONText) {
        switch self {
        case .null: text.append(raw: "null")
        case .bool(let bool): text.append(bool)
        case .integer(let integer): text.append(integer)
        case .unsigned(let integer): text.append(integer)
        case .double(let double):
            if double.isFinite { text.append(double) } else { text.append(string: double.name) }
        case .decimal(let decimal): text.append(decimal)
        case .timestamp(let time): text.append(time)
        case .text(let string): text.append(string: string)
        case .array(let elements):
            text.append(raw: "[")
            for (index, element) in elements.enumerated() {
                if index > 0 { text.append(raw: ",") }
                element.write(to: &text)
            }
            text.append(raw: "]")
        case .object(let members):
            text.append(raw: "{")
            for (index, member) in members.enumerated() {
                if index > 0 { text.append(raw: ",") }
                text.append(string: member.key)
                text.append(raw: ":")
                member.value.write(to: &text)
            }
            text.append(raw: "}")
        }
    }

    package var json: String { JSONText.string { write(to: &$0) } }
}

/// What a value is encoded for.
package enum EncodingUse: Sendable {
    /// For a row: names stay as they are, and every value can be written.
    case row
    /// For an event: names of properties become snake_case. What no reader of events takes is refused.
    case event
}

extension Double {
    /// What stands in JSON for a number that is not finite.
    fileprivate var name: String { isNaN ? "NaN" : self < 0 ? "-Infinity" : "Infinity" }

    /// The number that such a name stands for.
    init?(notFinite name: String) {
        switch name {
        case "NaN": self = .nan
        case "Infinity": self = .infinity
        case "-Infinity": self = -.infinity
        default: return nil
        }
    }
}

// MARK: Order

extension EncodedValue {
    /// The order in which the elements of a set stand: numbers by size, texts by their bytes.
    static func precedes(_ a: EncodedValue, _ b: EncodedValue) -> Bool {
        switch (a, b) {
        case (.bool(let x), .bool(let y)): !x && y
        case (.integer(let x), .integer(let y)): x < y
        case (.unsigned(let x), .unsigned(let y)): x < y
        case (.double(let x), .double(let y)): x != y && x.isTotallyOrdered(belowOrEqualTo: y)
        case (.decimal(let x), .decimal(let y)): x < y
        case (.timestamp(let x), .timestamp(let y)): x < y
        case (.text(let x), .text(let y)): x.hasBytesBefore(y)
        case (.array, .array), (.object, .object):
            a.json.hasBytesBefore(b.json)
        default: a.kindRank < b.kindRank
        }
    }

    /// Values of different kinds may stand in one set: unions do.
    private var kindRank: Int {
        switch self {
        case .null: 0
        case .bool: 1
        case .integer: 2
        case .unsigned: 3
        case .double: 4
        case .decimal: 5
        case .timestamp: 6
        case .text: 7
        case .array: 8
        case .object: 9
        }
    }
}

// MARK: Failures

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
