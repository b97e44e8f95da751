/// Follows a view through commits and promotions: no change is missed, none comes twice.
///
/// It begins with the rows as they are (as inserts), or from now on. When another version is promoted
/// (or rolled back to), that comes as a change of its own, and then the difference of the two versions as
/// ordinary changes.
///
/// It goes in steps, each of them as long as there is room for what it finds, and holds no moment of a
/// version from one step to the next: a reader may be as slow as it likes. What happens to rows between
/// two steps is in the feeds of the versions; ``RowFrontier`` tells which of it the reader has to hear.
package final class ChangeFollower {
    private let versions: FollowedVersions
    private let view: String
    private let fromNow: Bool
    /// The version that readers see, as far as this has followed.
    private var current: Place?
    /// While rows of `current` are still to come: how far they have, and the version that they replace.
    private var move: Move?

    private struct Place {
        let number: VersionNumber
        let reader: VersionReader
        /// The number of the last change of its feed that was read.
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

    /// Visits what has changed since the last call; returns whether there was anything.
    /// - Parameter most: How many changes to visit; what is left comes with the next call.
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

    /// Visits changes for which there is room.
    /// - Parameter live: The live version of the view, as the catalog has it now.
    /// - Returns: Whether there may be more already; false where nothing was left.
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

    /// Goes over to a version. What is left of the old one's feed, the promotion and the first rows are of
    /// one moment.
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

    /// Reads on in the rows that are still to come; true when all have. In a snapshot of the new version.
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
        // First what has happened since the last step to rows that the reader has: then all of them are as
        // they are in this moment, and so are those that the frontier passes now.
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

    /// Visits the changes of a version's feed; true when all were.
    /// - Parameters:
    ///   - number: The version that the reader takes them for.
    ///   - isWanted: Whether a change of a row, by its table and key, is the reader's business.
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
    /// How many rows it may look at, whether they make changes or not: others wait for the thread.
    var rows = Self.rowsAtOnce

    static let rowsAtOnce = 4_096

    var isLeft: Bool { changes > 0 && bytes > 0 && rows > 0 }

    mutating func take(_ change: Change) {
        changes -= 1
        bytes -= change.bytes
    }
}

/// The files of the versions that are followed: those who follow one version share a connection.
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

    /// A number for each version of a view that is followed, which changes with each commit.
    func changeCounters(of view: String) throws(KappaError) -> [VersionNumber: Int64] {
        var counters: [VersionNumber: Int64] = [:]
        for (id, entry) in shared where id.view == view {
            if let reader = entry.reader { counters[id.number] = try reader.changeCounter() }
        }
        return counters
    }
}
