import CKappaJSON
import Glibc

/// The best packed rows of each group, in order.
final class PackedRankings {
    private struct Entry {
        var rank: Int64
        var row: PackedRow
    }

    /// A group's rows. A single row, as in most groups that keep only the last row, needs no entries.
    private struct Group {
        /// The rank of the last row.
        var lastRank: Int64
        /// The only row if `room` is zero; else the entries.
        var place: UnsafeMutableRawPointer?
        var count: UInt32
        /// The capacity of the entries.
        var room: UInt32
        /// The row proposed for the group's only place, counted from 1; 0 for none.
        var proposed: UInt32

        var entries: UnsafeMutablePointer<Entry>? { place?.assumingMemoryBound(to: Entry.self) }
    }

    let order: OrderedCells
    private let limit: Int
    private let ties: TieRule
    private let arena = RowArena()
    private var groups: UnsafeMutablePointer<Group>
    private var capacity = 64
    private var count = 0
    /// Rows of all groups.
    private(set) var rowCount = 0
    private var roomBytes = 0

    init(limit: Int, ties: TieRule, _ order: OrderedCells) {
        self.limit = limit
        self.ties = ties
        self.order = order
        groups = Self.resized(nil, capacity: capacity)
    }

    deinit {
        for group in 0..<count where groups[group].room > 0 { groups[group].entries?.deallocate() }
        free(groups)
    }

    private static func resized(
        _ groups: UnsafeMutablePointer<Group>?, capacity: Int
    ) -> UnsafeMutablePointer<Group> {
        LargeMemory.resized(groups, byteCount: capacity * MemoryLayout<Group>.stride)
            .bindMemory(to: Group.self, capacity: capacity)
    }

    /// Makes room for groups up to and including `group`.
    func reserve(through group: Int) {
        if group < count { return }
        if group >= capacity {
            capacity = 2 * (group + 1)
            groups = Self.resized(groups, capacity: capacity)
        }
        let none = Group(lastRank: 0, place: nil, count: 0, room: 0, proposed: 0)
        (groups + count).initialize(repeating: none, count: group + 1 - count)
        count = group + 1
    }

    /// Prefetches a group that is needed soon.
    @inline(__always)
    func prefetch(_ group: Int) { kj_prefetch(groups + group) }

    /// Prefetches the rows or entries of a group that has been prefetched.
    @inline(__always)
    func prefetchRows(_ group: Int) {
        guard let place = groups[group].place else { return }
        for line in 0..<Self.prefetchedLines { kj_prefetch(place + 64 * line) }
    }
    private static let prefetchedLines = 4

    // MARK: Taking rows

    /// Whether a row of this rank may be among the best of a group; ``add(_:_:_:)`` decides. There must be
    /// room for the group.
    @inline(__always)
    func mayTake(_ rank: Int64, _ group: Int) -> Bool {
        if groups[group].count < limit { return true }
        let last = groups[group].lastRank
        if rank != last { return rank < last }
        return !order.ranksAreExact || ties != .earliest
    }

    /// Adds the row in `builder`, if it is among the best; returns whether it is.
    func add(_ builder: PackedRowBuilder, _ rank: Int64, _ group: Int) -> Bool {
        reserve(through: group)
        let new = Entry(rank: rank, row: builder.row)
        var position = Int(groups[group].count)
        if position >= limit {
            let order = compare(new, entry(position - 1, of: group))
            if order > 0 || order == 0 && ties == .earliest { return false }
        }
        while position > 0 {
            let order = compare(new, entry(position - 1, of: group))
            guard order < 0 || order == 0 && ties == .latest else { break }
            position -= 1
        }
        if ties != .all, groups[group].count >= limit { dropLast(group) }
        insert(Entry(rank: rank, row: builder.finish(in: arena)), at: position, group)
        while groups[group].count > limit, !lastIsKept(group) { dropLast(group) }
        return true
    }

    /// Appends a row that is known to rank after the others of its group.
    func append(_ builder: PackedRowBuilder, to group: Int) {
        reserve(through: group)
        let row = builder.finish(in: arena)
        insert(Entry(rank: order.rank(row), row: row), at: Int(groups[group].count), group)
    }

    private func insert(_ new: Entry, at position: Int, _ group: Int) {
        let count = Int(groups[group].count)
        if count == 0, groups[group].room == 0 {
            groups[group].place = new.row.base
        } else {
            let entries = makeRoom(group)
            var index = count
            while index > position {
                entries[index] = entries[index - 1]
                index -= 1
            }
            entries[position] = new
        }
        groups[group].count += 1
        rowCount += 1
        if position == count { groups[group].lastRank = new.rank }
    }

    /// Makes room for one more entry.
    private func makeRoom(_ group: Int) -> UnsafeMutablePointer<Entry> {
        let (count, room) = (Int(groups[group].count), Int(groups[group].room))
        if count < room, let entries = groups[group].entries { return entries }
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: max(4, 2 * room))
        for index in 0..<count { larger[index] = entry(index, of: group) }
        if room > 0 { groups[group].entries?.deallocate() }
        roomBytes += (max(4, 2 * room) - room) * MemoryLayout<Entry>.stride
        groups[group].place = UnsafeMutableRawPointer(larger)
        groups[group].room = UInt32(max(4, 2 * room))
        return larger
    }

    private func dropLast(_ group: Int) {
        let last = Int(groups[group].count) - 1
        arena.release(entry(last, of: group).row)
        rowCount -= 1
        groups[group].count = UInt32(last)
        if last > 0 { groups[group].lastRank = entry(last - 1, of: group).rank }
    }

    /// Whether the last row of a ranking over its limit ties with the last row within the limit.
    private func lastIsKept(_ group: Int) -> Bool {
        guard ties == .all else { return false }
        let last = Int(groups[group].count) - 1
        return compare(entry(limit - 1, of: group), entry(last, of: group)) == 0
    }

    private func compare(_ a: Entry, _ b: Entry) -> Int {
        if a.rank != b.rank { return a.rank < b.rank ? -1 : 1 }
        return order.ranksAreExact ? 0 : order.compare(a.row, b.row)
    }

    private func entry(_ index: Int, of group: Int) -> Entry {
        precondition(index >= 0 && index < groups[group].count, "the group has no such row")
        if groups[group].room > 0, let entries = groups[group].entries { return entries[index] }
        guard let row = groups[group].place else { preconditionFailure("a group's row is there") }
        return Entry(rank: groups[group].lastRank, row: PackedRow(base: row))
    }

    // MARK: One row for each group

    /// Whether each group keeps one row, and ranks alone decide which. Many rows can then be compared before
    /// any is packed.
    var keepsOneByRank: Bool { limit == 1 && ties != .all && order.ranksAreExact }

    /// Proposes a row, counted from 0, for the only place of a group. The caller must put it there, unless a
    /// later row is proposed for the place.
    /// - Returns: Whether it is the first proposed row; nil if a better row has the place.
    @inline(__always)
    func propose(_ row: Int, _ rank: Int64, _ group: Int) -> Bool? {
        guard mayTake(rank, group) else { return nil }
        let isFirst = groups[group].proposed == 0
        groups[group].lastRank = rank
        groups[group].proposed = UInt32(row + 1)
        // The group counts as full from now on, so that later rows are compared with this one.
        if groups[group].count == 0 {
            groups[group].count = 1
            rowCount += 1
        }
        return isFirst
    }

    /// Returns the row last proposed for a group, counted from 0, and clears the proposal.
    @inline(__always)
    func takeProposed(_ group: Int) -> Int {
        defer { groups[group].proposed = 0 }
        return Int(groups[group].proposed) - 1
    }

    /// Puts the row in `builder` into a group's only place.
    @inline(__always)
    func replace(_ group: Int, by builder: PackedRowBuilder) {
        if let old = groups[group].place { arena.release(PackedRow(base: old)) }
        groups[group].place = builder.finish(in: arena).base
    }

    // MARK: Rows

    func count(in group: Int) -> Int { group < count ? Int(groups[group].count) : 0 }
    func row(_ rank: Int, of group: Int) -> PackedRow { entry(rank, of: group).row }

    var memoryBytes: Int {
        arena.memoryBytes + roomBytes + count * MemoryLayout<Group>.stride
    }
}
