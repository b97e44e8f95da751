/// Records what a type asks of its decoder, and answers with made-up values that are different for
/// each field and each round, so that a key path can be traced back to the field it reads.
final class Probe {
    let round: Int
    private(set) var fields: [EventField] = []
    private(set) var answers: [AnyHashable] = []
    /// What was asked for as an optional: fields and objects.
    private(set) var optionalPaths: Set<[String]> = []
    /// All that was asked for.
    private(set) var asks: Set<Ask> = []
    /// The way in which each path was asked for first.
    private var firstWays: [[String]: Ask.Way] = [:]
    /// The index of the field at each path.
    private var indices: [[String]: Int] = [:]
    /// Where a type asks for more than one kind of value, or whether there is one at all: it decodes
    /// itself there.
    private(set) var severalWays: Set<[String]> = []
    /// Whether the type has asked for an object first.
    private(set) var isObject = false

    /// A way to ask for what stands at a path.
    struct Ask: Hashable {
        var path: [String]
        var way: Way
        enum Way: Hashable {
            case value(ColumnKind, TimeUnit?)
            case object, list
        }
    }

    /// What is refused, to see what the type does then.
    let refused: Ask?
    /// Whether whatever may be missing is missing.
    let answersNil: Bool
    /// Which of some samples answers, for a type that does not take a value that is made up.
    var sample: Int?
    /// The types inside of others that were looked at.
    let looked: Looked

    final class Looked {
        var types: Set<ObjectIdentifier> = []
    }

    init(
        round: Int, refusing refused: Ask? = nil, answersNil: Bool = false,
        looked: Looked = Looked()
    ) {
        self.round = round
        self.refused = refused
        self.answersNil = answersNil
        self.looked = looked
    }

    /// No event is nested deeper: a type that is holds itself.
    static let deepest = 64

    /// Enough rounds that two boolean fields never answer alike in all of them.
    static let rounds = 8

    /// Texts that types which decode themselves from a text often take.
    static let samples = [
        "00000000-0000-4000-8000-000000000001", "2024-01-15T14:30:00Z", "2024-01-15", "1", "0", "a",
        "EUR", "true", "https://example.org/a", "a@example.org", "127.0.0.1", "#000000", "12:00",
        "",
    ]
    private static let numbers = [1, 0, 2, 10, 100, 2024]

    func ask(_ path: [String], _ way: Ask.Way) throws {
        if path.isEmpty, asks.isEmpty { isObject = way == .object }
        let ask = Ask(path: path, way: way)
        asks.insert(ask)
        if firstWays[path, default: way] != way { severalWays.insert(path) }
        firstWays[path] = firstWays[path] ?? way
        if ask == refused { throw ProbeFailure("field \(path) is refused") }
    }

    func askIfNil(_ path: [String]) { severalWays.insert(path) }

    func markOptional(_ path: [String]) { optionalPaths.insert(path) }

    func isOptional(_ path: [String]) -> Bool {
        path.indices.contains { optionalPaths.contains(Array(path[...$0])) }
    }

    func add(_ path: [String], _ kind: ColumnKind, isPlain: Bool = true) -> Int {
        if let known = indices[path] { return known }
        indices[path] = fields.count
        fields.append(
            EventField(path: path, kind: kind, isOptional: isOptional(path), isPlain: isPlain))
        answers.append(0)
        return fields.count - 1
    }

    func markDecoded(_ field: Int) { fields[field].isPlain = false }
    func markHidden(_ field: Int) { fields[field].isHidden = true }

    func text(_ path: [String]) throws -> String {
        let index = add(path, .text)
        try ask(path, .value(.text, nil))
        let value = sample.map { Self.samples[$0] } ?? "Probe \(round) of field \(index) "
        answers[index] = value
        return value
    }

    func bool(_ path: [String]) throws -> Bool {
        let index = add(path, .bool)
        try ask(path, .value(.bool, nil))
        let value = ((index + 1) &* 37) >> round & 1 == 1
        answers[index] = value
        return value
    }

    func integer<I: FixedWidthInteger>(_ path: [String], _ type: I.Type) throws -> I {
        let isWide = I.self == Int.self || I.self == Int64.self
        let index = add(path, .integer, isPlain: isWide)
        if I.bitWidth - (I.isSigned ? 1 : 0) > 63 { fields[index].isWide = true }
        try ask(path, .value(.integer, nil))
        let number = sample.map { Self.numbers[$0 % Self.numbers.count] }
        let value = I(truncatingIfNeeded: number ?? ((index + 1) * 31 + round * 7) & 127)
        answers[index] = value
        return value
    }

    func double(_ path: [String], isPlain: Bool = true) throws -> Double {
        let index = add(path, .double, isPlain: isPlain)
        try ask(path, .value(.double, nil))
        let value =
            sample.map { Double(Self.numbers[$0 % Self.numbers.count]) }
            ?? Double(index) + Double(round + 1) / 16
        answers[index] = value
        return value
    }

    func timestamp(_ path: [String], _ unit: TimeUnit? = nil) throws -> Timestamp {
        let index = add(path, .timestamp)
        fields[index].unit = unit
        try ask(path, .value(.timestamp, unit))
        let value = Timestamp(microseconds: Int64(index * 1_000 + round * 17 + 5))
        answers[index] = value
        return value
    }

    func decimal(_ path: [String]) throws -> ExactDecimal {
        let index = add(path, .decimal)
        try ask(path, .value(.decimal, nil))
        let value = ExactDecimal(mantissa: Int128(index * 1_000 + round * 10 + 3), scale: 2)
        answers[index] = value
        return value
    }
}

struct ProbeFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Nothing that an event may hold makes a value of the type.
struct HopelessType: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
