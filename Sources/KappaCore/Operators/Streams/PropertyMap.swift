/// A property of the struct that ``EventStream/map(as:_:)`` makes, where it is not the one of the same name.
public struct NewProperty<Old, New>: Sendable {
    let target: PartialKeyPath<New> & Sendable
    let source: PartialKeyPath<Old> & Sendable
    /// Makes what computes it; nil where it is taken as it is.
    let computer: MakeComputer?

    typealias MakeComputer =
        @Sendable (_ old: StructLayout.Slot, _ new: StructLayout.Slot) -> any PropertyComputer

    /// Takes a property of the old element.
    public static func set<V>(
        _ target: KeyPath<New, V> & Sendable, from source: KeyPath<Old, V> & Sendable
    ) -> NewProperty {
        NewProperty(target: target, source: source, computer: nil)
    }

    /// Computes the property from one of the old element. An event for which that throws is dead.
    @inlinable
    public static func set<V, W>(
        _ target: KeyPath<New, W> & Sendable, from source: KeyPath<Old, V> & Sendable,
        _ transform: @escaping @Sendable (V) throws -> W
    ) -> NewProperty {
        computed(target, source) { values, numbers, _, new in
            new.make(of: values, numbers) { value, number, new in
                new.append(try transform(value), of: number)
            }
        }
    }

    @usableFromInline
    static func computed<V, W>(
        _ target: KeyPath<New, W> & Sendable, _ source: KeyPath<Old, V> & Sendable,
        _ loop: @escaping ElementLoop<V, W>
    ) -> NewProperty {
        NewProperty(target: target, source: source) { ComputedProperty<V, W>($0, $1, loop) }
    }
}

/// Where each property of a new struct comes from.
///
/// `@unchecked Sendable`: nothing of it ever changes, and what finds a field for a key path only reads.
struct PropertyMap<Old: Decodable, New: ViewRow>: @unchecked Sendable {
    struct Property {
        /// The field of the old element.
        let field: Int
        let slot: StructLayout.Slot
        /// The property itself, and what computes it where it is not taken as it is.
        let newSlot: StructLayout.Slot
        let computer: NewProperty<Old, New>.MakeComputer?
    }
    let new: StructFields
    /// In the order of the new struct's fields.
    private(set) var properties: [Property] = []

    /// - Throws: `.usage` where nothing provides a property.
    init(_ given: [NewProperty<Old, New>]) throws(KappaError) {
        guard let old = StructFields.of(Old.self, always: true) else {
            throw Self.hasOwnCoding(Old.self)
        }
        guard let new = StructFields.of(New.self, always: true) else {
            throw Self.hasOwnCoding(New.self)
        }
        self.new = new
        var byTarget: [Int: (field: Int, computer: NewProperty<Old, New>.MakeComputer?)] = [:]
        for property in given {
            guard let target = new.field(property.target), let source = old.field(property.source)
            else {
                throw Self.problem(
                    PropertyPath(property.target).description,
                    "it, or what it is set from, is no stored property")
            }
            byTarget[target] = (source, property.computer)
        }
        for (index, field) in new.fields.enumerated() {
            let same = old.fields.firstIndex { $0.canStand(for: field) }
            guard let source = byTarget[index] ?? same.map({ ($0, nil) }),
                let slot = old.slot(source.field), let newSlot = new.slot(index)
            else {
                throw Self.problem(
                    field.columnName, "\(Old.self) has no property of that name and type")
            }
            properties.append(
                Property(
                    field: source.field, slot: slot, newSlot: newSlot, computer: source.computer))
        }
    }

    /// A part of a view's digest.
    var signature: String {
        "as "
            + properties.map { "\($0.field)\($0.computer == nil ? "" : "*")" }
            .joined(separator: ",")
    }

    private static func problem(_ name: String, _ reason: String) -> KappaError {
        KappaError(
            .usage, "cannot map to \(New.self): nothing provides \(name)", at: "\(New.self)",
            because: reason,
            advice: "Say what it is: .set(\\.\(name), from: \\.…), or map with a closure")
    }

    private static func hasOwnCoding<T>(_ type: T.Type) -> KappaError {
        KappaError(
            .usage, "cannot map \(Old.self) to \(New.self) by properties", at: "\(type)",
            because: "\(type) is not just its stored strings, numbers and times",
            advice: "Map with a closure")
    }
}

extension EventField {
    /// Whether what it holds may stand for another type's field: by its name, and as far as it may lack.
    func canStand(for other: EventField) -> Bool {
        columnName == other.columnName && kind == other.kind && kind != .json && other.isPlain
            && (other.isOptional || !isOptional)
    }
}
