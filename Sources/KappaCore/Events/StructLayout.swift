/// The offsets of a struct's fields in its memory.
///
/// Swift puts the properties of a struct one after another in the order of their declaration, which is the
/// order in which the compiler's `init(from:)` asks for them. So the offsets follow from the type's
/// ``EventShape``. They are trusted only if they fill the whole struct, and if made-up values that went
/// through the type's own `init(from:)` are found there bit for bit. A type that does anything else with its
/// fields has no layout, and is decoded field by field.
struct StructLayout: Sendable {
    struct Slot: Sendable {
        let field: Int
        let offset: Int
        let kind: ColumnKind
        let isOptional: Bool
    }

    private(set) var slots: [Slot] = []

    /// The layout of `Element`; nil if its memory is not just its fields.
    init?<Element>(_ shape: EventShape, _ tracer: FieldTracer<Element>) {
        guard shape.isPlain, !tracer.rounds.isEmpty, let size = place(shape.root, shape),
            size.end == MemoryLayout<Element>.size,
            size.alignment == MemoryLayout<Element>.alignment
        else { return nil }
        for round in tracer.rounds {
            let fits = withUnsafeBytes(of: round.element) { bytes in
                slots.allSatisfy { Self.holds(bytes, $0, round.answers[$0.field]) }
            }
            guard fits else { return nil }
        }
        guard holdsNils(Element.self) else { return nil }
    }

    /// Whether a missing optional field becomes nil. A type may have a default instead.
    private func holdsNils<Element: Decodable>(_ type: Element.Type) -> Bool {
        let optional = slots.filter(\.isOptional)
        if optional.isEmpty { return true }
        let probe = Probe(round: 0, answersNil: true)
        guard let element = try? Element(from: ProbingDecoder(probe: probe, path: [])) else {
            return false
        }
        return withUnsafeBytes(of: element) { bytes in
            optional.allSatisfy { Self.isNil(bytes, $0) }
        }
    }

    /// Whether an optional slot holds nil, according to the bytes that encode it.
    private static func isNil(_ bytes: UnsafeRawBufferPointer, _ slot: Slot) -> Bool {
        func tag<T>(_ type: T.Type) -> Bool {
            bytes[slot.offset + MemoryLayout<T>.size] == 1
        }
        switch slot.kind {
        case .bool: return bytes[slot.offset] == 2
        case .integer, .timestamp: return tag(Int64.self)
        case .double: return tag(Double.self)
        case .decimal: return tag(ExactDecimal.self)
        case .text:
            return bytes.loadUnaligned(fromByteOffset: slot.offset + 8, as: UInt64.self) == 0
        case .json: return false
        }
    }

    /// Assigns offsets to an object's fields, at first relative to the object's own beginning.
    private mutating func place(
        _ node: EventShape.Node, _ shape: EventShape
    ) -> (end: Int, alignment: Int)? {
        var end = 0
        var alignment = 1
        for entry in node.entries {
            switch entry {
            case .field(let index):
                let field = shape.fields[index]
                guard let (size, own) = Self.size(field.kind, isOptional: field.isOptional) else {
                    return nil
                }
                let offset = Self.aligned(end, own)
                slots.append(
                    Slot(
                        field: index, offset: offset, kind: field.kind,
                        isOptional: field.isOptional))
                end = offset + size
                alignment = max(alignment, own)
            case .object(let inner, let isOptional):
                let first = slots.count
                guard !isOptional, let size = place(inner, shape) else { return nil }
                let offset = Self.aligned(end, size.alignment)
                for index in first..<slots.count { slots[index] = slots[index].moved(by: offset) }
                end = offset + size.end
                alignment = max(alignment, size.alignment)
            }
        }
        return (end, alignment)
    }

    private static func aligned(_ offset: Int, _ alignment: Int) -> Int {
        (offset + alignment - 1) / alignment * alignment
    }

    private static func size(_ kind: ColumnKind, isOptional: Bool) -> (Int, Int)? {
        func size<T>(_ type: T.Type) -> (Int, Int) {
            isOptional
                ? (MemoryLayout<T?>.size, MemoryLayout<T?>.alignment)
                : (MemoryLayout<T>.size, MemoryLayout<T>.alignment)
        }
        switch kind {
        case .bool: return size(Bool.self)
        case .integer: return size(Int64.self)
        case .double: return size(Double.self)
        case .decimal: return size(ExactDecimal.self)
        case .text: return size(String.self)
        case .timestamp: return size(Timestamp.self)
        case .json: return nil
        }
    }

    /// Whether a slot holds exactly the bits of a made-up answer.
    private static func holds(
        _ bytes: UnsafeRawBufferPointer, _ slot: Slot, _ answer: AnyHashable
    ) -> Bool {
        func same<T>(_ value: T?) -> Bool {
            guard let value else { return false }
            func isThere<Stored>(_ stored: Stored) -> Bool {
                withUnsafeBytes(of: stored) { expected in
                    UnsafeRawBufferPointer(
                        rebasing: bytes[slot.offset..<(slot.offset + expected.count)]
                    ).elementsEqual(expected)
                }
            }
            return slot.isOptional ? isThere(Optional(value)) : isThere(value)
        }
        switch slot.kind {
        case .bool: return same(answer.base as? Bool)
        case .integer: return same((answer.base as? Int).map(Int64.init) ?? answer.base as? Int64)
        case .double: return same(answer.base as? Double)
        case .decimal: return same(answer.base as? ExactDecimal)
        case .text: return same(answer.base as? String)
        case .timestamp: return same(answer.base as? Timestamp)
        case .json: return false
        }
    }
}

extension StructLayout.Slot {
    fileprivate func moved(by offset: Int) -> StructLayout.Slot {
        StructLayout.Slot(
            field: field, offset: self.offset + offset, kind: kind, isOptional: isOptional)
    }
}

/// The properties of a struct whose memory layout is known, for code that does not know the struct's type.
struct StructFields {
    /// Their offsets in memory.
    let layout: StructLayout
    let fields: [EventField]
    /// The index of the field that a key path reads; see ``FieldTracer/field(of:)``.
    let field: (AnyKeyPath) -> Int?

    /// The slot of a field.
    func slot(_ field: Int) -> StructLayout.Slot? { layout.slots.first { $0.field == field } }

    /// Nil if the type's memory is not just its fields; see ``StructLayout``.
    /// - Parameter always: Whether to return a layout even if a test has forbidden them.
    static func of<T>(_ type: T.Type, always: Bool = false) -> StructFields? {
        guard always || !EventReaderOptions.forbidLayouts,
            let type = type as? any Decodable.Type
        else { return nil }
        return of(decodable: type)
    }

    private static func of<T: Decodable>(decodable type: T.Type) -> StructFields? {
        guard let shape = try? EventShape(of: type) else { return nil }
        let tracer = FieldTracer<T>(shape)
        guard let layout = StructLayout(shape, tracer) else { return nil }
        return StructFields(layout: layout, fields: shape.fields) { keyPath in
            (keyPath as? PartialKeyPath<T>).flatMap { tracer.field(of: $0) }
        }
    }
}
