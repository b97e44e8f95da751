/// A value computed from each element of a stream: a key path, or a closure.
struct Expression<Element>: Sendable {
    let kind: ColumnKind
    /// Set where the value is a property, which may then be read from its column.
    let keyPath: (PartialKeyPath<Element> & Sendable)?
    let evaluate: @Sendable (Element) throws -> Value

    init<V: ColumnValue>(_ keyPath: KeyPath<Element, V> & Sendable) {
        kind = V.columnKind
        self.keyPath = keyPath
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
        evaluate = { element in
            let cell = try compute(element).cell
            try DecimalOverflow.check()
            return cell
        }
    }

    /// The name of the property that the key path ends in, as a column's name.
    var propertyName: String? {
        let parts = pathParts
        guard !parts.isEmpty else { return nil }
        return parts.map { FieldName.snakeCase(String($0.filter { $0 != "?" && $0 != "!" })) }
            .joined(separator: "_")
    }

    /// Whether the key path leads to a property of a property: `\.user.id` is named `user_id`, and is not
    /// the property `userID`.
    var isNested: Bool { pathParts.count > 1 }

    /// A key path prints as "\Event.userID" or "\Event.user.id".
    private var pathParts: ArraySlice<Substring> {
        guard let keyPath else { return [] }
        let printed = "\(keyPath)"
        // What a property wrapper makes prints as computed; that of a time is known by its field.
        if printed.contains("<"), let path = WrappedTimes.path(of: keyPath) {
            return path.map { Substring($0) }[...]
        }
        return printed.split(separator: ".").dropFirst()
    }
}
