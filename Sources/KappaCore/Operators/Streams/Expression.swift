/// A value computed from each element of a stream: a key path, or a closure.
struct Expression<Element>: Sendable {
    let kind: ColumnKind
    /// Set if the value is a property, which can then be read from its column.
    let keyPath: (PartialKeyPath<Element> & Sendable)?
    /// Set if all elements have the same value.
    let constant: Value?
    let evaluate: @Sendable (Element) throws -> Value

    init<V: ColumnValue>(_ keyPath: KeyPath<Element, V> & Sendable) {
        kind = V.columnKind
        self.keyPath = keyPath
        constant = nil
        evaluate = { element in
            let cell = element[keyPath: keyPath].cell
            // The property may be computed.
            try DecimalOverflow.check()
            return cell
        }
    }

    init<V: ColumnValue>(_ compute: @escaping @Sendable (Element) throws -> V) {
        kind = V.columnKind
        keyPath = nil
        constant = nil
        evaluate = { element in
            let cell = try compute(element).cell
            try DecimalOverflow.check()
            return cell
        }
    }

    /// The same value for all elements.
    init<V: ColumnValue>(constant: V) {
        kind = V.columnKind
        keyPath = nil
        let cell = constant.cell
        self.constant = cell
        evaluate = { _ in cell }
    }

    /// The name of the property that the key path ends in, as a column's name. Nil if there is none, or if
    /// Swift does not reveal it, as for a computed property.
    var propertyName: String? { keyPath.flatMap { PropertyPath($0).columnName } }

    /// Whether the key path leads to a property of a property: `\.user.id` is named `user_id`, and is not
    /// the property `userID`.
    var isNested: Bool { keyPath.map { PropertyPath($0).parts.count > 1 } ?? false }
}

/// The names along a key path: `\Event.user.id` is `user` and `id`.
///
/// They are parsed from the key path's printed form. For a computed property that form contains a memory
/// address, which differs from process to process, so it must not get into a message or a digest.
struct PropertyPath {
    let parts: [String]
    /// Whether each part is a name.
    private let isNamed: Bool

    init(_ keyPath: AnyKeyPath) {
        let printed = "\(keyPath)"
        // A wrapped property prints as computed; a wrapped time is recognised by its field.
        if printed.contains("<"), let path = WrappedTimes.path(of: keyPath) {
            (parts, isNamed) = (path, true)
            return
        }
        parts = printed.split(separator: ".").dropFirst().map { part in
            String(part.filter { $0 != "?" && $0 != "!" })
        }
        isNamed = !parts.isEmpty && !printed.contains("<computed") && !printed.contains("0x")
    }

    /// The name of a column for the property; nil if Swift does not reveal the property's name.
    var columnName: String? {
        isNamed ? parts.map(FieldName.snakeCase).joined(separator: "_") : nil
    }

    /// For messages.
    var description: String {
        isNamed ? parts.joined(separator: ".") : "a computed property"
    }
}
