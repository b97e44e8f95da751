/// How many rows the tables of a version's file have.
package struct VersionSizes: Equatable, Sendable {
    /// The rows of the tables that readers see.
    package var rows = 0
    /// The view's state: one entry for each table that readers do not see.
    package var held: [Held] = []

    /// The state in one of a view's internal tables.
    package struct Held: Equatable, Sendable {
        package var what: What
        package var rows: Int
        /// The bytes of its pages in the file; nil if this build of SQLite cannot tell.
        package var bytes: Int?
    }

    /// What the rows of an internal table are for.
    package enum What: String, Sendable {
        case joinSide = "elements that wait in a join"
        case seenKeys = "keys that have been seen"
        case slidingElements = "elements of sliding windows"
        case firstStep = "rows of a first step"
        case keyIndex = "stretches of the index from keys to events"

        /// Recognizes a table by its columns, which differ for each kind.
        init(_ table: TableSchema) {
            let names = Set(table.columns.map(\.name))
            if table.isKeyIndex {
                self = .keyIndex
            } else if names.contains("_matched") {
                self = table.columns.count == TableSchema.joinSideColumns ? .seenKeys : .joinSide
            } else {
                self = names.contains("_offset") ? .slidingElements : .firstStep
            }
        }
    }

    init() {}

    /// Counts the rows of a version's tables. It walks over their pages: some 50 ms for a million rows.
    init(_ reader: VersionReader) throws(KappaError) {
        for table in reader.tables.indices { rows += try reader.rowCount(table: table) }
        for table in reader.allTables where table.isInternal {
            let (rows, bytes) = try reader.pages(of: table)
            held.append(Held(what: What(table), rows: rows, bytes: bytes))
        }
    }
}

/// A cache of row counts for callers that ask again and again.
///
/// Counting takes at most a twentieth of the time, however large the tables are: counts that took long to
/// take are refreshed less often. They are then slightly out of date.
package final class VersionSizesCache {
    private struct Entry {
        var offset: Offset
        var sizes: VersionSizes
        var countedAt: ContinuousClock.Instant
        var took: Duration
    }
    private var entries: [VersionID: Entry] = [:]
    private let now: () -> ContinuousClock.Instant

    package init(now: @escaping () -> ContinuousClock.Instant = { ContinuousClock.now }) {
        self.now = now
    }

    /// The sizes of a version whose position is `offset`.
    func sizes(
        of id: VersionID, at offset: Offset, _ count: () throws -> VersionSizes
    ) throws -> VersionSizes {
        let start = now()
        if let entry = entries[id],
            entry.offset == offset || start - entry.countedAt < entry.took * 19
        {
            return entry.sizes
        }
        let sizes = try count()
        let end = now()
        entries[id] = Entry(
            offset: offset, sizes: sizes, countedAt: end, took: end - start)
        return sizes
    }
}
