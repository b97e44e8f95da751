/// Finds the field that a key path reads, by looking at which made-up answer comes out of it.
struct FieldTracer<Element: Decodable> {
    /// Made-up elements, and the answer that each field of them was given. None where the type cannot
    /// be probed.
    private(set) var rounds: [(element: Element, answers: [AnyHashable])] = []
    private var isOptional: [Bool] = []

    init() {
        for round in 0..<Probe.rounds {
            let probe = Probe(round: round)
            guard let element = try? Element(from: ProbingDecoder(probe: probe, path: [])) else {
                rounds = []
                return
            }
            rounds.append((element, probe.answers))
            isOptional = probe.fields.map(\.isOptional)
        }
    }

    /// The index of the field in the type's ``EventShape``; nil where the key path reads a computed
    /// property or goes through an optional, and where the event may lack the field and the property
    /// has a value for that.
    func field(of keyPath: PartialKeyPath<Element>) -> Int? {
        guard let first = rounds.first, MemoryLayout<Element>.offset(of: keyPath) != nil else {
            return nil
        }
        let mayBeNil = type(of: keyPath).valueType is any AnyOptional.Type
        return first.answers.indices.first { index in
            isOptional[index] == mayBeNil
                && rounds.allSatisfy { round in
                    Self.unwrapped(round.element[keyPath: keyPath]) == round.answers[index]
                }
        }
    }

    private static func unwrapped(_ value: Any) -> AnyHashable? {
        if let optional = value as? any AnyOptional {
            return optional.anyWrapped.flatMap { $0 as? AnyHashable }
        }
        return value as? AnyHashable
    }
}

private protocol AnyOptional {
    var anyWrapped: Any? { get }
}

extension Optional: AnyOptional {
    fileprivate var anyWrapped: Any? { map { $0 as Any } }
}
