/// Sets a property of the struct that ``EventStream/map(as:_:)`` makes, if it is not just the old property of
/// the same name.
public struct NewProperty<Old, New>: Sendable {
    let target: PartialKeyPath<New> & Sendable
    let source: PartialKeyPath<Old> & Sendable
    /// Creates the computer of the property; nil if the property is copied unchanged.
    let computer: MakeComputer?

    typealias MakeComputer =
        @Sendable (_ old: StructLayout.Slot, _ new: StructLayout.Slot) -> any PropertyComputer

    /// Takes a property of the old element.
    public static func set<V>(
        _ target: KeyPath<New, V> & Sendable, from source: KeyPath<Old, V> & Sendable
    ) -> NewProperty {
        NewProperty(target: target, source: source, computer: nil)
    }

    /// Computes the property from one of the old element. An event for which `transform` throws is dead.
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

/// The source of each property of a new struct.
///
/// `@unchecked Sendable`: it never changes after `init`, and finding the field of a key path only reads.
struct PropertyMap<Old: Decodable, New: ViewRow>: @unchecked Sendable {
    struct Property {
        /// The field of the old element.
        let field: Int
        let slot: StructLayout.Slot
        /// The new property, and its computer unless it is copied unchanged.
        let newSlot: StructLayout.Slot
        let computer: NewProperty<Old, New>.MakeComputer?
    }
    let new: StructFields
    /// In the order of the new struct's fields.
    private(set) var properties: [Property] = []

    /// - Throws: `.usage` if a property has no source.
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
                    "it, or the property it is set from, is not a stored property")
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
            advice: "Name its source: .set(\\.\(name), from: \\.…), or map with a closure")
    }

    private static func hasOwnCoding<T>(_ type: T.Type) -> KappaError {
        KappaError(
            .usage, "cannot map \(Old.self) to \(New.self) by properties", at: "\(type)",
            because: "\(type) is not just its stored strings, numbers and times",
            advice: "Map with a closure")
    }
}

extension EventField {
    /// Whether this field can supply another type's field: it has the same name and kind, and is optional
    /// only if the other is.
    func canStand(for other: EventField) -> Bool {
        columnName == other.columnName && kind == other.kind && kind != .json && other.isPlain
            && (other.isOptional || !isOptional)
    }
}
