/// What is in the tables of a version's file.
package struct VersionSizes: Equatable, Sendable {
    /// Of the tables that readers see.
    package var rows = 0
    /// What the view remembers in tables that readers do not see, one after another.
    package var held: [Held] = []

    /// What one of a view's own tables remembers.
    package struct Held: Equatable, Sendable {
        package var what: What
        package var rows: Int
        /// Of its pages in the file; nil where this build of SQLite cannot tell.
        package var bytes: Int?
    }

    /// What rows of a view's own table are there for.
    package enum What: String, Sendable {
        case joinSide = "elements that wait in a join"
        case seenKeys = "keys that have been seen"
        case slidingElements = "elements of sliding windows"
        case firstStep = "rows of a first step"
        case keyIndex = "stretches of the index from keys to events"

        /// Each kind of table has columns of its own.
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

    /// Counts the tables of a version: a walk over their pages, some 50 ms for a million rows.
    init(_ reader: VersionReader) throws(KappaError) {
        for table in reader.tables.indices { rows += try reader.rowCount(table: table) }
        for table in reader.allTables where table.isInternal {
            let (rows, bytes) = try reader.pages(of: table)
            held.append(Held(what: What(table), rows: rows, bytes: bytes))
        }
    }
}

/// Remembers what it has counted, for whoever asks again and again.
///
/// Counting takes at most a twentieth of the time, however large the tables are: what was dear to count is
/// counted again only after a while. What it tells is then a little old.
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

    /// The sizes of a version that is at an offset.
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
