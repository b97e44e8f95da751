/// One field that a `Decodable` type asks for.
package struct EventField: Sendable {
    /// Coding keys from the event down to the field.
    var path: [String]
    var kind: ColumnKind
    var isOptional: Bool
    /// Whether a value of the right JSON type is always accepted, so that a column can stand for the
    /// property. Not so for enums (an unknown case is refused) and for narrow integers.
    var isPlain: Bool
    /// Whether a row keeps it without showing it; see ``Hidden``.
    var isHidden = false
    /// The column's name in tables.
    var columnName: String { path.map(FieldName.snakeCase).joined(separator: "_") }
}

/// What a `Decodable` type asks for, learnt by decoding it from made-up values.
package struct EventShape: Sendable {
    package internal(set) var fields: [EventField] = []
    var root = Node()

    /// An object of the JSON, with what is asked of it in the order in which it is asked.
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

    /// Probes a type. Throws where it cannot be learnt, with advice on how to change the type.
    package init(of type: any Decodable.Type) throws(KappaError) {
        let probe = Probe(round: 0)
        do {
            _ = try type.init(from: ProbingDecoder(probe: probe, path: []))
        } catch {
            throw KappaError(
                .usage, "cannot learn which fields \(type) needs", at: String(describing: type),
                because: "\(error)",
                advice: "Give it the init(from:) that the compiler writes, and make its fields "
                    + "strings, numbers, booleans, Timestamp, ExactDecimal, enums with raw values, "
                    + "structs, arrays, or optionals of these")
        }
        fields = probe.fields
        root = Self.tree(probe)
        // A type that takes an event in spite of a field that is refused has an init(from:) of its
        // own: only decoding tells what it makes of it.
        for index in fields.indices where fields[index].isPlain {
            let refusing = Probe(round: 0, refusing: fields[index].path)
            let event = try? type.init(from: ProbingDecoder(probe: refusing, path: []))
            if event != nil { fields[index].isPlain = false }
        }
    }

    private static func tree(_ probe: Probe) -> Node {
        func node(at depth: Int, _ indices: [Int]) -> Node {
            var result = Node()
            for index in indices {
                let path = probe.fields[index].path
                let key = path[depth]
                if path.count == depth + 1 {
                    result.keys.append(key)
                    result.entries.append(.field(index))
                } else if !result.keys.contains(key) {
                    let prefix = Array(path[...depth])
                    let inside = indices.filter { probe.fields[$0].path.starts(with: prefix) }
                    result.keys.append(key)
                    result.entries.append(
                        .object(
                            node(at: depth + 1, inside),
                            isOptional: probe.optionalPaths.contains(prefix)))
                }
            }
            return result
        }
        return node(at: 0, Array(probe.fields.indices))
    }

    /// Whether columns alone decide which events can be decoded; where not, decoding must be tried.
    var isPlain: Bool { fields.allSatisfy(\.isPlain) && !root.hasOptionalObject }
}
