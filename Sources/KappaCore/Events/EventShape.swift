import Synchronization

/// One field that a `Decodable` type asks for.
package struct EventField: Sendable {
    /// Coding keys from the event down to the field.
    var path: [String]
    var kind: ColumnKind
    var isOptional: Bool
    /// Whether every value of the right JSON type is accepted, so that a column can stand for the property.
    /// Enums are not plain (they refuse an unknown case), and neither are narrow integers.
    var isPlain: Bool
    /// For a time, the unit that its number counts; see ``Seconds``.
    var unit: TimeUnit?
    /// Whether it is an integer that may not fit 64 bits with a sign.
    var isWide = false
    /// Whether a row keeps it without showing it; see ``Hidden``.
    var isHidden = false
    /// How it is read from events.
    var columnKind: ColumnKind { isWide ? .json : kind }
    /// Makes the field be read as JSON and decoded by its type, which accepts more than one kind of value.
    mutating func makeJSON() {
        (kind, isPlain, unit, isWide) = (.json, false, nil, false)
    }
    /// The column's name in tables.
    var columnName: String { path.map(FieldName.snakeCase).joined(separator: "_") }
}

/// What a `Decodable` type asks for, learned by decoding it from made-up values.
package struct EventShape: Sendable {
    package internal(set) var fields: [EventField] = []
    var root = Node()
    /// Whether probing has learned nothing, so that events are decoded from their whole text.
    private(set) var isWhole = false

    /// An object of the JSON, and what a type asks of it, in the order of asking.
    struct Node: Sendable {
        var keys: [String] = []
        var entries: [Entry] = []

        var hasOptionalObject: Bool {
            entries.contains {
                if case .object(let node, let isOptional) = $0 {
                    isOptional || node.hasOptionalObject
                } else {
                    false
                }
            }
        }
    }

    enum Entry: Sendable {
        case field(Int)
        case object(Node, isOptional: Bool)
    }

    /// The type's own properties; one that is a struct is a field of JSON.
    var outerFields: [EventField] {
        zip(root.keys, root.entries).map { key, entry in
            switch entry {
            case .field(let index): fields[index]
            case .object(_, let isOptional):
                EventField(path: [key], kind: .json, isOptional: isOptional, isPlain: false)
            }
        }
    }

    /// Probes a type.
    /// - Throws: `.usage` if the type's fields cannot be learned, with advice on how to change the type.
    package init(of type: any Decodable.Type) throws(KappaError) {
        let probe = Probe(round: 0)
        do { try Self.run(type, probe) } catch { throw Self.failure(type, error) }
        self.init(type, probe)
    }

    /// The same for an event type. If its own `init(from:)` does not accept made-up values, it is decoded
    /// from the events' text.
    init(ofEvent type: any Decodable.Type) throws(KappaError) {
        let probe = Probe(round: 0)
        do {
            try Self.run(type, probe)
            self.init(type, probe)
        } catch {
            guard probe.isObject, !(error is HopelessType) else { throw Self.failure(type, error) }
            self.init()
        }
    }

    /// The shape of a type that is decoded from the whole text.
    private init() { isWhole = true }

    private static func run(_ type: any Decodable.Type, _ probe: Probe) throws {
        _ = try type.init(from: ProbingDecoder(probe: probe, path: []))
    }

    private static func failure(_ type: any Decodable.Type, _ error: any Error) -> KappaError {
        KappaError(
            .usage, "cannot learn which fields \(type) needs", at: String(describing: type),
            because: "\(error)",
            advice: "Give it the init(from:) that the compiler writes, and make its fields "
                + "strings, numbers, booleans, Timestamp, ExactDecimal, enums with raw values, "
                + "structs, arrays, or optionals of these")
    }

    /// - Parameter probe: The probe that has watched the type decode itself.
    private init(_ type: any Decodable.Type, _ probe: Probe) {
        // A type that accepts an event although something was refused has an init(from:) of its own, and so
        // has one that then asks for something else. Only decoding shows what such a type makes of it.
        var (own, several) = (Set<[String]>(), probe.severalWays)
        for ask in probe.asks {
            let refusing = Probe(round: 0, refusing: ask)
            let takes = (try? Self.run(type, refusing)) != nil
            if takes || !refusing.asks.isSubset(of: probe.asks) { own.insert(ask.path) }
            several.formUnion(refusing.severalWays)
        }
        fields = []
        for var field in probe.fields {
            if several.contains(where: {
                $0.count < field.path.count && field.path.starts(with: $0)
            }) {
                continue
            }
            if own.contains(where: { field.path.starts(with: $0) }) { field.isPlain = false }
            if several.contains(field.path) { field.makeJSON() }
            fields.append(field)
        }
        for path in several.sorted(by: { $0.lexicographicallyPrecedes($1) })
        where !path.isEmpty && !fields.contains(where: { path.starts(with: $0.path) }) {
            var field = EventField(
                path: path, kind: .json, isOptional: probe.isOptional(path), isPlain: false)
            field.makeJSON()
            fields.append(field)
        }
        root = Self.tree(fields, probe)
    }

    private static func tree(_ fields: [EventField], _ probe: Probe) -> Node {
        func node(at depth: Int, _ indices: [Int]) -> Node {
            var result = Node()
            for index in indices {
                let path = fields[index].path
                let key = path[depth]
                if path.count == depth + 1 {
                    result.keys.append(key)
                    result.entries.append(.field(index))
                } else if !result.keys.contains(key) {
                    let prefix = Array(path[...depth])
                    let inside = indices.filter { fields[$0].path.starts(with: prefix) }
                    result.keys.append(key)
                    result.entries.append(
                        .object(
                            node(at: depth + 1, inside),
                            isOptional: probe.optionalPaths.contains(prefix)))
                }
            }
            return result
        }
        return node(at: 0, Array(fields.indices))
    }

    /// Whether columns alone decide which events can be decoded; if not, decoding must be tried.
    var isPlain: Bool {
        !isWhole && fields.allSatisfy(\.isPlain) && !root.hasOptionalObject
    }
}

/// Foundation types that decode from something other than what events contain. They are recognized by name,
/// because KappaCore imports only `Date` and `Decimal` from Foundation, and only in one file.
enum ForbiddenKind {
    private static let instead = [
        "Date": "is a Date, which decodes from seconds since 2001: declare it Timestamp, or "
            + "`@Seconds var … : Timestamp` where it counts seconds since 1970",
        "Decimal":
            "is Foundation's Decimal, which decodes from its own parts: declare it ExactDecimal",
        "Data":
            "is Data, which decodes from an array of bytes: declare it String, and make the Data from "
            + "that",
        "URL":
            "is a URL, which decodes from an object: declare it String, and make the URL from that",
    ]

    private static let known = Mutex<[ObjectIdentifier: String?]>([:])

    /// What to declare instead of a type; nil if the type is allowed.
    static func advice(_ type: Any.Type) -> String? {
        let id = ObjectIdentifier(type)
        if let known = known.withLock({ $0[id] }) { return known }
        let name = _typeName(type).split(separator: ".")
        let isFoundation = name.count == 2 && name[0].hasPrefix("Foundation")
        let advice = isFoundation ? instead[String(name[1])] : nil
        known.withLock { $0[id] = .some(advice) }
        return advice
    }
}

/// A type that contains values of other types, which may be forbidden, too.
protocol HoldsOthers {
    static var held: [Any.Type] { get }
}

extension Optional: HoldsOthers { static var held: [Any.Type] { [Wrapped.self] } }
extension Array: HoldsOthers { static var held: [Any.Type] { [Element.self] } }
extension Set: HoldsOthers { static var held: [Any.Type] { [Element.self] } }
extension Dictionary: HoldsOthers { static var held: [Any.Type] { [Key.self, Self.Value.self] } }
