/// Finds the field that a key path reads, by which made-up answer the key path returns.
struct FieldTracer<Element: Decodable> {
    /// Made-up elements, and the answer that each of their fields was given. Empty if the type cannot be
    /// probed.
    private(set) var rounds: [(element: Element, answers: [AnyHashable])] = []
    private var isOptional: [Bool] = []
    /// For each answer: the field in the type's shape, and whether it is a time with a unit.
    private var places: [(field: Int?, isWrapped: Bool)] = []

    init(_ shape: EventShape) {
        if shape.isWhole { return }
        let known = Dictionary(
            shape.fields.enumerated().map { ($0.element.path, $0.offset) },
            uniquingKeysWith: { first, _ in first })
        for round in 0..<Probe.rounds {
            let probe = Probe(round: round)
            guard let element = try? Element(from: ProbingDecoder(probe: probe, path: [])) else {
                rounds = []
                return
            }
            rounds.append((element, probe.answers))
            isOptional = probe.fields.map(\.isOptional)
            places = probe.fields.map { field in
                (known[field.path], field.unit != nil)
            }
        }
    }

    /// The index of the field in the type's ``EventShape``. Nil if the key path reads a computed property or
    /// goes through an optional, or if the event may lack the field and the property then has a default.
    func field(of keyPath: PartialKeyPath<Element>) -> Int? {
        guard let first = rounds.first else { return nil }
        let isStored = MemoryLayout<Element>.offset(of: keyPath) != nil
        let mayBeNil = type(of: keyPath).valueType is any AnyOptional.Type
        let found = first.answers.indices.first { index in
            (isStored || places[index].isWrapped) && isOptional[index] == mayBeNil
                && rounds.allSatisfy { round in
                    Self.unwrapped(round.element[keyPath: keyPath]) == round.answers[index]
                }
        }
        guard let found, isStored || isWrappedTime(keyPath) else { return nil }
        return places[found].field
    }

    /// Whether a key path is a time property that is wrapped in ``Seconds`` or another unit. To Swift, such a
    /// property is computed and has no offset in memory. It is recognized by its behavior: whatever is
    /// written to it, including the earliest and the latest times, is found at one offset and is read back.
    private func isWrappedTime(_ keyPath: PartialKeyPath<Element>) -> Bool {
        if Element.self is AnyObject.Type { return false }
        let tests = [.min, -1, 0, 1_704_067_200_000_001, .max].map(Timestamp.init(microseconds:))
        if let path = keyPath as? WritableKeyPath<Element, Timestamp> {
            return isOnePlace(path, tests) { $0.microseconds }
        }
        if let path = keyPath as? WritableKeyPath<Element, Timestamp?> {
            return isOnePlace(path, tests.map(Optional.some)) { $0?.microseconds }
        }
        return false
    }

    private func isOnePlace<Value: Equatable>(
        _ path: WritableKeyPath<Element, Value>, _ tests: [Value],
        _ microseconds: (Value) -> Int64?
    ) -> Bool {
        let last = MemoryLayout<Element>.size - MemoryLayout<Int64>.size
        var places = Set(stride(from: 0, through: last, by: MemoryLayout<Int64>.alignment))
        func keep(_ element: Element, _ value: Value) {
            guard element[keyPath: path] == value, let micros = microseconds(value) else {
                places = []
                return
            }
            withUnsafeBytes(of: element) { bytes in
                places = places.filter {
                    bytes.loadUnaligned(fromByteOffset: $0, as: Int64.self) == micros
                }
            }
        }
        for round in rounds {
            keep(round.element, round.element[keyPath: path])
            for test in tests {
                var element = round.element
                element[keyPath: path] = test
                keep(element, test)
            }
        }
        return places.count == 1
    }

    private static func unwrapped(_ value: Any) -> AnyHashable? {
        if let optional = value as? any AnyOptional {
            return optional.anyWrapped.flatMap { $0 as? AnyHashable }
        }
        return value as? AnyHashable
    }
}

/// The properties that are wrapped in ``Seconds`` or another unit.
enum WrappedTimes {
    /// The path of the field that a key path reads, if it is such a time.
    static func path(of keyPath: AnyKeyPath) -> [String]? {
        func path<T: Decodable>(_ type: T.Type) -> [String]? {
            guard let keyPath = keyPath as? PartialKeyPath<T>,
                let shape = try? EventShape(of: type)
            else { return nil }
            return FieldTracer<T>(shape).field(of: keyPath).map { shape.fields[$0].path }
        }
        return (Swift.type(of: keyPath).rootType as? any Decodable.Type).flatMap { path($0) }
    }
}

private protocol AnyOptional {
    var anyWrapped: Any? { get }
}

extension Optional: AnyOptional {
    fileprivate var anyWrapped: Any? { map { $0 as Any } }
}
