/// One change of one row of a view, as its followers receive it.
public struct Change: Equatable, Sendable {
    /// What happened to the row.
    public enum Operation: String, Sendable {
        case insert, update, delete
        /// No row's change: readers see another version from here on. The difference of the two
        /// versions follows as ordinary changes, with this offset, or with a later one where the version
        /// has moved on while a large difference was read.
        case promoted
    }

    /// The offset after the last event of the commit that made the change visible; with `promoted`,
    /// how far the version is that readers see now.
    public var offset: Offset
    /// The table of the view that the row is in; empty with `promoted`.
    public var table: String
    /// What happened to the row.
    public var operation: Operation
    /// The row's key as a JSON array of its parts; empty with `promoted`.
    public var key: String
    /// The row's columns before and after, as JSON objects.
    public var before: String?
    public var after: String?
    /// The version that the change belongs to.
    public var version: VersionNumber
    /// The version that readers saw until then; with `promoted` only.
    public var previous: VersionNumber?

    /// Memory that it takes while it waits for a reader.
    var bytes: Int {
        96 + key.utf8.count + (before?.utf8.count ?? 0) + (after?.utf8.count ?? 0)
    }
}

extension Change {
    /// A row that comes to be as it is.
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
