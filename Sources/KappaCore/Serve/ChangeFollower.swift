/// Follows a view through commits and promotions: no change is missed, none comes twice.
///
/// It begins with the present rows (as inserts), with the next change, or after a change that the reader has
/// stored. A promotion (or a rollback) arrives as its own change; the differences between the two versions
/// follow as ordinary changes. Changes that the reader may have received before it stopped may come again.
///
/// It works in steps. A step ends when there is no more room for what it finds, and no snapshot stays open
/// between two steps, so a reader may be as slow as it likes. What happens to rows between two steps is in
/// the change feeds of the versions; ``RowFrontier`` decides which of those changes the reader needs.
package final class ChangeFollower {
    private let versions: FollowedVersions
    private let view: String
    /// Where it begins; nil once it has begun.
    private var start: FollowStart?
    /// The live version, as far as this follower knows.
    private var current: Place?
    /// While rows of `current` are still to come: how many have, and the version that they replace.
    private var move: Move?
    /// The switch that a resumed reader may have received in part.
    private var missed: ResumePoint.Switch?
    /// The last change of `move` so far. It waits for the next one: only the last of all has the id that
    /// says that all rows have arrived.
    private var held: Change?

    private struct Place {
        let number: VersionNumber
        let reader: VersionReader
        /// The number of the last change read from its feed.
        var seen: Int64

        var id: ChangeID { ChangeID(number, seen) }
    }

    private struct Move {
        var old: Place?
        var frontier: RowFrontier
        /// Whether all changes in the feed of the new version are visited: a reader that resumes may have rows of
        /// it that the frontier has not reached yet.
        var repeatsFeed = false
        /// What the reader would resume after if it stopped now.
        var id: ChangeID?
    }

    package convenience init(_ view: String, _ catalog: Catalog, from start: FollowStart) {
        self.init(view, FollowedVersions(catalog), from: start)
    }

    init(_ view: String, _ versions: FollowedVersions, from start: FollowStart) {
        self.view = view
        self.versions = versions
        self.start = start
    }

    /// What a reader that has received all changes so far may resume after; nil before it has begun, and
    /// while rows of another version arrive.
    var place: ChangeID? { move == nil && held == nil ? current?.id : nil }

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
        if move == nil, held != nil, try !release(&room, visit) { return true }
        if let place = current {
            let isDone = try place.reader.snapshot {
                move == nil
                    ? try drain(&current, &room, visit) : try resume(place.number, &room, visit)
            }
            guard isDone else { return true }
        }
        guard let live, live != current?.number else { return false }
        guard room.isLeft else { return true }
        return try begin(live, &room, visit)
    }

    // MARK: Another version

    /// Begins to read the live version.
    private func begin(
        _ live: VersionNumber, _ room: inout FollowerRoom, _ visit: (Change) throws -> Void
    ) throws -> Bool {
        let start = start.take()
        if let start, try resume(at: start) { return true }
        if let old = current {
            if missed == nil || missed?.number == live {
                return try move(from: old, to: live, &room, visit)
            }
            // There was a further switch, and what the reader had received of the first is not known.
            (current, missed) = (nil, nil)
            return try beginRows(of: live, withReset: true, &room, visit)
        }
        switch start {
        case .now:
            let reader = try versions.reader(of: VersionID(view, live))
            current = Place(number: live, reader: reader, seen: try reader.newestChange())
            return false
        case .rows, nil: return try beginRows(of: live, withReset: false, &room, visit)
        case .after, .exactlyAfter:
            return try beginRows(of: live, withReset: true, &room, visit)
        }
    }

    /// Goes to the place where the reader stopped; false if there is none, or it is no longer kept.
    private func resume(at start: FollowStart) throws(KappaError) -> Bool {
        let (id, isExact): (ChangeID, Bool)
        switch start {
        case .rows, .now: return false
        case .after(let stored): (id, isExact) = (stored, false)
        case .exactlyAfter(let stored): (id, isExact) = (stored, true)
        }
        guard let point = try versions.resumePoint(view, after: id, isExact: isExact) else {
            return false
        }
        current = Place(number: id.version, reader: point.reader, seen: id.sequence)
        missed = point.missed
        return true
    }

    private func beginRows(
        of live: VersionNumber, withReset: Bool, _ room: inout FollowerRoom,
        _ visit: (Change) throws -> Void
    ) throws -> Bool {
        let reader = try versions.reader(of: VersionID(view, live))
        return try reader.snapshot {
            current = Place(number: live, reader: reader, seen: try reader.newestChange())
            move = Move(frontier: RowFrontier(from: nil, to: reader))
            if withReset { try hold(.reset, live, at: reader, &room, visit) }
            return try !resume(live, &room, visit)
        }
    }

    /// Switches to a version. The rest of the old one's feed, the promotion and the first rows are read in
    /// one snapshot.
    private func move(
        from old: Place, to live: VersionNumber, _ room: inout FollowerRoom,
        _ visit: (Change) throws -> Void
    ) throws -> Bool {
        let reader = try versions.reader(of: VersionID(view, live))
        return try old.reader.snapshot {
            guard try drain(&current, &room, visit), room.isLeft else { return true }
            return try reader.snapshot {
                let old = current
                try hold(.promoted, live, at: reader, &room, visit)
                move = Move(
                    old: old, frontier: RowFrontier(from: old?.reader, to: reader),
                    repeatsFeed: missed != nil, id: old?.id)
                let seen = try missed?.feedStart ?? reader.newestChange()
                current = Place(number: live, reader: reader, seen: seen)
                missed = nil
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
        guard let move, let new = current?.reader else { return true }
        let (id, frontier) = (move.id, move.frontier)
        func moved(_ change: Change) throws {
            var change = change
            (change.version, change.id) = (number, id)
            try hold(change, visit)
        }
        // First the changes since the last step to rows that the reader already has. Then these rows, and
        // those that the frontier passes now, are of the same moment.
        var old = move.old
        let isOldDrained = try drain(&old, &room, only: frontier.isOld, moved)
        self.move?.old = old
        guard isOldDrained else { return false }
        let isWanted = move.repeatsFeed ? nil : frontier.isNew
        guard try drain(&current, &room, only: isWanted, moved) else { return false }
        let offset = try new.checkpoint().offset
        let isDone =
            try self.move?.frontier.advance(&room) { operation, table, key, before, after in
                try moved(
                    Change(
                        offset: offset, table: table, operation: operation, key: key,
                        before: before, after: after, version: number))
            } ?? true
        guard isDone else { return false }
        self.move = nil
        held?.id = current?.id
        return try release(&room, visit)
    }

    // MARK: The last change of a move

    /// Visits the change before, and keeps this one until it is known whether it is the last.
    private func hold(_ change: Change, _ visit: (Change) throws -> Void) throws {
        let before = held
        held = change
        if let before { try visit(before) }
    }

    /// A change that is about the versions and not about a row.
    private func hold(
        _ operation: Change.Operation, _ live: VersionNumber, at reader: VersionReader,
        _ room: inout FollowerRoom, _ visit: (Change) throws -> Void
    ) throws {
        let change = Change(
            offset: try reader.checkpoint().offset, table: "", operation: operation, key: "",
            version: live, previous: current?.number == live ? nil : current?.number,
            id: operation == .promoted ? current?.id : nil)
        room.take(change)
        try hold(change, visit)
    }

    /// Visits the last change of a move; false if there is no room for it.
    private func release(
        _ room: inout FollowerRoom, _ visit: (Change) throws -> Void
    ) throws -> Bool {
        guard let change = held else { return true }
        guard room.isLeft else { return false }
        held = nil
        room.take(change)
        try visit(change)
        return true
    }

    // MARK: A feed

    /// Visits the changes of a version's feed; true when all were visited.
    /// - Parameter isWanted: Whether the reader needs the change of a row, given its table and key.
    private func drain(
        _ place: inout Place?, _ room: inout FollowerRoom,
        only isWanted: ((TableSchema, String) throws -> Bool)? = nil,
        _ visit: (Change) throws -> Void
    ) throws -> Bool {
        guard let reader = place?.reader, let seen = place?.seen, let number = place?.number else {
            return true
        }
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
                key: record.key, before: record.before, after: record.after, version: number,
                id: ChangeID(number, seq))
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
