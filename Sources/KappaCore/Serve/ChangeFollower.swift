import Glibc

/// One change of one row of a view, as its followers receive it.
public struct Change: Equatable, Sendable {
    /// What happened to the row.
    public enum Operation: String, Sendable {
        case insert, update, delete
        /// No row's change: readers see another version from here on. The difference of the two
        /// versions follows as ordinary changes, all with this offset; what comes with an offset past
        /// it was made by events again.
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
}

/// Follows a view through commits and promotions: no change is missed, none comes twice.
///
/// It begins with the rows as they are (as inserts), or from now on. When another version is promoted
/// (or rolled back to), that is told, and the difference of the two comes as ordinary changes.
package final class ChangeFollower {
    private let catalog: Catalog
    private let view: String
    private var current: VersionReader?
    private var number: VersionNumber?
    private var seen: Int64 = 0
    private let fromNow: Bool

    package init(_ view: String, _ catalog: Catalog, fromNow: Bool) {
        self.view = view
        self.catalog = catalog
        self.fromNow = fromNow
    }

    /// Visits what has changed since the last call; returns whether there was anything.
    /// - Parameter most: How many changes to visit; what is left comes with the next call. Rows as
    ///   they are and the difference of a promotion come whole.
    package func poll(
        atMost most: Int? = nil, _ visit: (Change) throws -> Void
    ) throws -> Bool {
        var visited = 0
        func count(_ change: Change) throws {
            visited += 1
            try visit(change)
        }
        let live = try catalog.live(view)
        if let current { try current.snapshot { try drain(current, atMost: most, count) } }
        if visited < most ?? .max, let live, live != number { try move(to: live, count) }
        return visited > 0
    }

    private func drain(
        _ reader: VersionReader, atMost most: Int? = nil, _ visit: (Change) throws -> Void
    ) throws {
        guard let number, try reader.newestChange() > seen else { return }
        try reader.changes(after: seen, atMost: most) { seq, record in
            seen = seq
            try visit(
                Change(
                    offset: record.offset, table: reader.tables[record.table].name,
                    operation: record.before == nil
                        ? .insert : record.after == nil ? .delete : .update,
                    key: record.key, before: record.before, after: record.after,
                    version: number))
        }
    }

    private func move(to live: VersionNumber, _ visit: (Change) throws -> Void) throws {
        let reader = try VersionReader(catalog.folder.file(VersionID(view, live)))
        try reader.snapshot {
            let offset = try reader.checkpoint().offset
            if let current {
                // What is left of its feed, and the difference, are of one moment.
                try current.snapshot {
                    try drain(current, visit)
                    try visit(
                        Change(
                            offset: offset, table: "", operation: .promoted, key: "", before: nil,
                            after: nil, version: live, previous: number))
                    var summary = DiffSummary()
                    try Diff(current, reader).compareRows(&summary) { difference in
                        try visit(Self.change(difference, offset, current, reader))
                    }
                }
            } else if !fromNow {
                try insertAll(reader, offset, live, visit)
            }
            seen = try reader.newestChange()
        }
        current = reader
        number = live
    }

    private func insertAll(
        _ reader: VersionReader, _ offset: Offset, _ number: VersionNumber,
        _ visit: (Change) throws -> Void
    ) throws {
        for (index, table) in reader.tables.enumerated() {
            try reader.forEachRow(table: index) { cursor in
                let values = table.values(cursor)
                try visit(Change(row: values, of: table, at: offset, version: number))
            }
        }
    }

    private static func change(
        _ difference: RowDifference, _ offset: Offset, _ old: VersionReader, _ new: VersionReader
    ) -> Change {
        func json(_ values: [Value]?, _ reader: VersionReader) -> String? {
            guard let values,
                let table = reader.tables.first(where: { $0.name == difference.table })
            else { return nil }
            return object(values, table)
        }
        let operation: Change.Operation =
            switch difference.operation {
            case .added: .insert
            case .removed: .delete
            case .changed: .update
            }
        return Change(
            offset: offset, table: difference.table, operation: operation,
            key: array(difference.key), before: json(difference.before, old),
            after: json(difference.after, new), version: VersionNumber(new.number))
    }

    fileprivate static func array(_ values: [Value]) -> String {
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

extension Change {
    /// A row that comes to be as it is.
    init(
        row values: [Value], of table: TableSchema, at offset: Offset, version: VersionNumber
    ) {
        self.init(
            offset: offset, table: table.name, operation: .insert,
            key: ChangeFollower.array(table.keyColumns.map { values[$0] }), before: nil,
            after: ChangeFollower.object(values, table), version: version)
    }
}
