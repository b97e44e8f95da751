/// The properties of a struct whose memory is known, for code that does not know the struct's type.
struct StructFields {
    /// Where they stand.
    let layout: StructLayout
    let fields: [EventField]
    /// The index of the field that a key path reads; see ``FieldTracer/field(of:)``.
    let field: (AnyKeyPath) -> Int?

    /// Where a field stands.
    func slot(_ field: Int) -> StructLayout.Slot? { layout.slots.first { $0.field == field } }

    /// Nil where the type's memory is not just its fields; see ``StructLayout``.
    /// - Parameter always: Even where tests want structs to be made without layouts.
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
