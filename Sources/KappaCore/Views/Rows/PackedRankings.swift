/// For each group its best packed rows, in order.
final class PackedRankings {
    private struct Entry {
        var rank: Int64
        var row: PackedRow
    }

    let order: OrderedCells
    private let limit: Int
    private let ties: TieRule
    private let arena = RowArena()
    private var groups: [[Entry]] = []
    private var entryCount = 0

    init(limit: Int, ties: TieRule, _ order: OrderedCells) {
        self.limit = limit
        self.ties = ties
        self.order = order
    }

    /// Whether a row of a rank may be among the best of a group. It may still turn out not to be.
    @inline(__always)
    func mayTake(_ rank: Int64, _ group: Int) -> Bool {
        guard group < groups.count, groups[group].count >= limit else { return true }
        let last = groups[group][groups[group].count - 1].rank
        if rank != last { return rank < last }
        return !order.ranksAreExact || ties != .earliest
    }

    /// Adds the row that was put together, if it is among the best; whether it is.
    func add(_ builder: PackedRowBuilder, _ rank: Int64, _ group: Int) -> Bool {
        grow(to: group)
        let new = Entry(rank: rank, row: builder.row)
        let count = groups[group].count
        if count >= limit {
            let order = compare(new, groups[group][count - 1])
            if order > 0 || order == 0 && ties == .earliest { return false }
        }
        var position = count
        while position > 0 {
            let order = compare(new, groups[group][position - 1])
            guard order < 0 || order == 0 && ties == .latest else { break }
            position -= 1
        }
        let entry = Entry(rank: rank, row: builder.finish(in: arena))
        if limit == 1, count == 1, ties != .all {
            // The one row gives way.
            arena.release(groups[group][0].row)
            groups[group][0] = entry
            return true
        }
        groups[group].insert(entry, at: position)
        entryCount += 1
        while groups[group].count > limit, !lastIsKept(group) {
            arena.release(groups[group].removeLast().row)
            entryCount -= 1
        }
        return true
    }

    /// Appends a row that is known to stand behind those of its group.
    func append(_ builder: PackedRowBuilder, to group: Int) {
        grow(to: group)
        let row = builder.finish(in: arena)
        groups[group].append(Entry(rank: order.rank(row), row: row))
        entryCount += 1
    }

    /// Whether the last row of a ranking that is too long stands as high as the last that counts.
    private func lastIsKept(_ group: Int) -> Bool {
        guard ties == .all else { return false }
        return compare(groups[group][limit - 1], groups[group][groups[group].count - 1]) == 0
    }

    private func compare(_ a: Entry, _ b: Entry) -> Int {
        if a.rank != b.rank { return a.rank < b.rank ? -1 : 1 }
        return order.ranksAreExact ? 0 : order.compare(a.row, b.row)
    }

    private func grow(to group: Int) {
        while groups.count <= group { groups.append([]) }
    }

    func count(in group: Int) -> Int { group < groups.count ? groups[group].count : 0 }
    func row(_ rank: Int, of group: Int) -> PackedRow { groups[group][rank].row }

    var memoryBytes: Int {
        arena.memoryBytes + entryCount * MemoryLayout<Entry>.stride + groups.count * 48
    }
}
