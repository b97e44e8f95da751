/// One change of one row of a view, as its followers receive it.
public struct Change: Equatable, Sendable {
    /// What happened to the row.
    public enum Operation: String, Sendable {
        case insert, update, delete
        /// No row has changed: from here on readers see another version. The differences between the two
        /// versions follow as ordinary changes. They carry this offset, or a later one if the version
        /// advanced while a large difference was being read.
        case promoted
        /// No row has changed: forget all rows received so far. All present rows follow as inserts. It comes
        /// only to a reader that resumes after a change from which the view can no longer be followed.
        case reset
    }

    /// The offset after the last event of the commit that made the change visible; with `promoted`,
    /// the position of the version that readers now see.
    public var offset: Offset
    /// The view's table that holds the row; empty with `promoted` and `reset`.
    public var table: String
    /// What happened to the row.
    public var operation: Operation
    /// The row's key as a JSON array of its parts; empty with `promoted` and `reset`.
    public var key: String
    /// The row's columns before and after the change, as JSON objects.
    public var before: String?
    public var after: String?
    /// The version that the change belongs to.
    public var version: VersionNumber
    /// The version that readers saw until then; set with `promoted` only.
    public var previous: VersionNumber?
    /// What to resume after, once this change is stored: see ``Kappa/changes(of:from:)``. Nil while the
    /// present rows arrive: only the last of them has one. From `promoted` to the last difference it is the
    /// id of the last change before; the last difference, or `promoted` where there is none, has that of the
    /// new version.
    public var id: ChangeID?

    /// The memory it takes while it waits for a reader.
    var bytes: Int {
        96 + key.utf8.count + (before?.utf8.count ?? 0) + (after?.utf8.count ?? 0)
    }
}

extension Change {
    /// The insert that creates a row with these values.
    init(
        row values: [Value], of table: TableSchema, at offset: Offset, version: VersionNumber
    ) {
        self.init(
            offset: offset, table: table.name, operation: .insert,
            key: Change.array(table.keyColumns.map { values[$0] }), before: nil,
            after: Change.object(values, table), version: version)
    }

    /// A key as a JSON array.
    static func array(_ values: [Value]) -> String {
        JSONText.string { text in
            text.append(raw: "[")
            for (index, value) in values.enumerated() {
                if index > 0 { text.append(raw: ",") }
                value.append(to: &text)
            }
            text.append(raw: "]")
        }
    }

    /// A row as a JSON object.
    package static func object(_ values: [Value], _ table: TableSchema) -> String {
        JSONText.string { text in
            text.append(raw: "{")
            for (index, value) in values.enumerated() {
                if index > 0 { text.append(raw: ",") }
                text.append(string: table.columns[index].name)
                text.append(raw: ":")
                value.append(to: &text)
            }
            text.append(raw: "}")
        }
    }
}
