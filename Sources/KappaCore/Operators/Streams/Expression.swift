/// A value computed from each element of a stream: a key path, or a closure.
struct Expression<Element>: Sendable {
    let kind: ColumnKind
    /// Set where the value is a property, which may then be read from its column.
    let keyPath: (PartialKeyPath<Element> & Sendable)?
    /// Set where all elements have the same value.
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

    /// The name of the property that the key path ends in, as a column's name. Nil where there is none, or
    /// where Swift does not tell it, as it does not for a computed property.
    var propertyName: String? { keyPath.flatMap { PropertyPath($0).columnName } }

    /// Whether the key path leads to a property of a property: `\.user.id` is named `user_id`, and is not
    /// the property `userID`.
    var isNested: Bool { keyPath.map { PropertyPath($0).parts.count > 1 } ?? false }
}

/// The names along a key path: `\Event.user.id` is `user` and `id`.
///
/// They are read from how the key path prints. Where a property is computed, what is printed is an address
/// in memory, which is another one in each process: it must reach no message and no digest.
struct PropertyPath {
    let parts: [String]
    /// Whether each part is a name.
    private let isNamed: Bool

    init(_ keyPath: AnyKeyPath) {
        let printed = "\(keyPath)"
        // What a property wrapper makes prints as computed; that of a time is known by its field.
        if printed.contains("<"), let path = WrappedTimes.path(of: keyPath) {
            (parts, isNamed) = (path, true)
            return
        }
        parts = printed.split(separator: ".").dropFirst().map { part in
            String(part.filter { $0 != "?" && $0 != "!" })
        }
        isNamed = !parts.isEmpty && !printed.contains("<computed") && !printed.contains("0x")
    }

    /// The name of a column that holds the property; nil where Swift does not tell it.
    var columnName: String? {
        isNamed ? parts.map(FieldName.snakeCase).joined(separator: "_") : nil
    }

    /// For messages.
    var description: String {
        isNamed ? parts.joined(separator: ".") : "a computed property"
    }
}
