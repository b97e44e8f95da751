/// Finds the field that a key path reads, by looking at which made-up answer comes out of it.
struct FieldTracer<Element: Decodable> {
    /// Made-up elements, and the answer that each field of them was given. None where the type cannot
    /// be probed.
    private(set) var rounds: [(element: Element, answers: [AnyHashable])] = []

    init() {
        for round in 0..<Probe.rounds {
            let probe = Probe(round: round)
            guard let element = try? Element(from: ProbingDecoder(probe: probe, path: [])) else {
                rounds = []
                return
            }
            rounds.append((element, probe.answers))
        }
    }

    /// The index of the field in the type's ``EventShape``; nil where the key path reads a computed
    /// property or goes through an optional.
    func field(of keyPath: PartialKeyPath<Element>) -> Int? {
        guard let first = rounds.first, MemoryLayout<Element>.offset(of: keyPath) != nil else {
            return nil
        }
        return first.answers.indices.first { index in
            rounds.allSatisfy { round in
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
