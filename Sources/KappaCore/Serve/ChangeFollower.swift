/// Follows a view through commits and promotions: no change is missed, none comes twice.
///
/// It begins with the present rows (as inserts), or with the next change. A promotion (or a rollback)
/// arrives as its own change; the differences between the two versions follow as ordinary changes.
///
/// It works in steps. A step ends when there is no more room for what it finds, and no snapshot stays open
/// between two steps, so a reader may be as slow as it likes. What happens to rows between two steps is in
/// the change feeds of the versions; ``RowFrontier`` decides which of those changes the reader needs.
package final class ChangeFollower {
    private let versions: FollowedVersions
    private let view: String
    private let fromNow: Bool
    /// The live version, as far as this follower knows.
    private var current: Place?
    /// While rows of `current` are still to come: how many have, and the version that they replace.
    private var move: Move?

    private struct Place {
        let number: VersionNumber
        let reader: VersionReader
        /// The number of the last change read from its feed.
        var seen: Int64
    }

    private struct Move {
        var old: Place?
        var frontier: RowFrontier
    }

    package convenience init(_ view: String, _ catalog: Catalog, fromNow: Bool) {
        self.init(view, FollowedVersions(catalog), fromNow: fromNow)
    }

    init(_ view: String, _ versions: FollowedVersions, fromNow: Bool) {
        self.view = view
        self.versions = versions
        self.fromNow = fromNow
    }

    /// Visits the changes since the last call; returns whether there were any.
    /// - Parameter most: How many changes to visit at most; the rest come with the next call.
    package func poll(
        atMost most: Int? = nil, _ visit: (Change) throws -> Void
    ) throws -> Bool {
        var visited = 0
        let live = try versions.catalog.live(view)
        while visited < most ?? .max {
            var room = FollowerRoom(changes: (most ?? .max) - visited, bytes: .max)
            let hasMore = try step(live, &room) { change in
                visited += 1
                try visit(change)
            }
            if !hasMore { break }
        }
        return visited > 0
    }

    /// Visits as many changes as there is room for.
    /// - Parameter live: The view's live version, according to the catalog now.
    /// - Returns: Whether more changes may be waiting; false if it read all of them.
    func step(
        _ live: VersionNumber?, _ room: inout FollowerRoom, _ visit: (Change) throws -> Void
    ) throws -> Bool {
        if let place = current {
            let isDone = try place.reader.snapshot {
                move == nil
                    ? try drain(&current, place.number, &room, visit)
                    : try resume(place.number, &room, visit)
            }
            guard isDone else { return true }
        }
        guard let live, live != current?.number else { return false }
        guard room.isLeft else { return true }
        return try begin(live, &room, visit)
    }

    // MARK: Another version

    /// Switches to a version. The rest of the old one's feed, the promotion and the first rows are read in
    /// one snapshot.
    private func begin(
        _ live: VersionNumber, _ room: inout FollowerRoom, _ visit: (Change) throws -> Void
    ) throws -> Bool {
        let reader = try versions.reader(of: VersionID(view, live))
        guard let old = current else {
            return try reader.snapshot {
                current = Place(number: live, reader: reader, seen: try reader.newestChange())
                if fromNow { return false }
                move = Move(old: nil, frontier: RowFrontier(from: nil, to: reader))
                return try !resume(live, &room, visit)
            }
        }
        return try old.reader.snapshot {
            guard try drain(&current, old.number, &room, visit), room.isLeft else { return true }
            return try reader.snapshot {
                let promotion = Change(
                    offset: try reader.checkpoint().offset, table: "", operation: .promoted,
                    key: "", before: nil, after: nil, version: live, previous: old.number)
                room.take(promotion)
                try visit(promotion)
                move = Move(old: current, frontier: RowFrontier(from: old.reader, to: reader))
                current = Place(number: live, reader: reader, seen: try reader.newestChange())
                return try !resume(live, &room, visit)
            }
        }
    }

    /// Reads more of the rows that are still to come; true when none are left. The caller holds a snapshot of
    /// the new version.
    private func resume(
        _ number: VersionNumber, _ room: inout FollowerRoom, _ visit: (Change) throws -> Void
    ) throws -> Bool {
        guard let old = move?.old else { return try resumeAlone(number, &room, visit) }
        return try old.reader.snapshot { try resumeAlone(number, &room, visit) }
    }

    private func resumeAlone(
        _ number: VersionNumber, _ room: inout FollowerRoom, _ visit: (Change) throws -> Void
    ) throws -> Bool {
        guard let frontier = move?.frontier, let new = current?.reader else { return true }
        // First the changes since the last step to rows that the reader already has. Then these rows, and
        // those that the frontier passes now, are of the same moment.
        var old = move?.old
        let isOldDrained = try drain(&old, number, &room, only: frontier.isOld, visit)
        move?.old = old
        guard isOldDrained else { return false }
        guard try drain(&current, number, &room, only: frontier.isNew, visit) else { return false }
        let offset = try new.checkpoint().offset
        let isDone =
            try move?.frontier.advance(&room) { operation, table, key, before, after in
                try visit(
                    Change(
                        offset: offset, table: table, operation: operation, key: key,
                        before: before, after: after, version: number))
            } ?? true
        if isDone { move = nil }
        return isDone
    }

    // MARK: A feed

    /// Visits the changes of a version's feed; true when all were visited.
    /// - Parameters:
    ///   - number: The version that the reader is told they belong to.
    ///   - isWanted: Whether the reader needs the change of a row, given its table and key.
    private func drain(
        _ place: inout Place?, _ number: VersionNumber, _ room: inout FollowerRoom,
        only isWanted: ((TableSchema, String) throws -> Bool)? = nil,
        _ visit: (Change) throws -> Void
    ) throws -> Bool {
        guard let reader = place?.reader, let seen = place?.seen else { return true }
        let newest = try reader.newestChange()
        guard newest > seen else { return true }
        guard room.isLeft else { return false }
        var last = seen
        defer { place?.seen = last }
        func hasRoom() -> Bool { room.isLeft }
        try reader.changes(after: seen, while: hasRoom) { seq, record in
            last = seq
            room.rows -= 1
            let table = reader.tables[record.table]
            if let isWanted, try !isWanted(table, record.key) { return }
            let change = Change(
                offset: record.offset, table: table.name,
                operation: record.before == nil
                    ? .insert : record.after == nil ? .delete : .update,
                key: record.key, before: record.before, after: record.after, version: number)
            room.take(change)
            try visit(change)
        }
        return last >= newest
    }
}

/// How much a follower may visit in one step.
struct FollowerRoom {
    var changes: Int
    var bytes: Int
    /// How many rows it may look at, whether they yield changes or not: other followers wait for the thread.
    var rows = Self.rowsAtOnce

    static let rowsAtOnce = 4_096

    var isLeft: Bool { changes > 0 && bytes > 0 && rows > 0 }

    mutating func take(_ change: Change) {
        changes -= 1
        bytes -= change.bytes
    }
}

/// The files of the versions that are followed. All followers of a version share one connection.
final class FollowedVersions {
    private struct Shared {
        weak var reader: VersionReader?
    }

    let catalog: Catalog
    private var shared: [VersionID: Shared] = [:]

    init(_ catalog: Catalog) { self.catalog = catalog }

    func reader(of id: VersionID) throws(KappaError) -> VersionReader {
        if let reader = shared[id]?.reader { return reader }
        shared = shared.filter { $0.value.reader != nil }
        let reader = try catalog.folder.reader(id)
        shared[id] = Shared(reader: reader)
        return reader
    }

    /// For each followed version of a view, a number that changes with each commit.
    func changeCounters(of view: String) throws(KappaError) -> [VersionNumber: Int64] {
        var counters: [VersionNumber: Int64] = [:]
        for (id, entry) in shared where id.view == view {
            if let reader = entry.reader { counters[id.number] = try reader.changeCounter() }
        }
        return counters
    }
}
