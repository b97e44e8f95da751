import Glibc

/// The rows of a table by the groups of a further step, packed.
final class DerivedGroups {
    /// Where a row's record keeps its packed row, its group, and its place there.
    private struct Place {
        var row: PackedRow?
        var group: UInt32
        var index: UInt32
    }

    private let shape: DerivedRows
    private let builder: PackedRowBuilder
    private let arena = RowArena()
    /// The rows by their keys; those that are gone have records still.
    private let rows: KeyedTable
    /// The groups by their keys.
    let groups: KeyedTable
    /// The rows of each group, in no order.
    private var members: [[UInt32]] = []
    private var lastGroup: UInt32 = 0
    private var run = Run()
    /// Rows that are there.
    private(set) var count = 0

    /// - Parameter stored: The table with the rows, whose keys begin with those of groups where these are
    ///   read from it.
    init(
        _ shape: DerivedRows, rowKeys: [ColumnKind], groupKeys: [ColumnKind],
        over stored: StoredTable
    ) {
        self.shape = shape
        builder = PackedRowBuilder(cells: shape.cells)
        rows = KeyedTable(
            keyIsText: rowKeys.map(\.isText), stateBytes: MemoryLayout<Place>.size)
        groups = KeyedTable(keyIsText: groupKeys.map(\.isText), stateBytes: 0, over: stored)
    }

    // MARK: Rows

    /// Takes in what the row under a key is now; nil where it is gone.
    /// - Parameter keyColumns: Where `key` has the parts of the key.
    func set(_ key: any RowCursor, _ keyColumns: [Int], _ row: (any RowCursor)?) throws {
        let id = rows.find(key, keyColumns).id
        var place = place(id)
        let isThere = try row.map { try shape.maker.pack($0, into: builder) } ?? false
        if let old = place.row {
            if isThere, old.isSame(as: builder.row) { return }
            take(id, place)
            arena.release(old)
            place.row = nil
        }
        if isThere { put(id, &place) }
        setPlace(id, place)
    }

    /// The group with the key that a row has in some columns, if that group is not known yet: it has no rows
    /// so far.
    func newGroup(of row: any RowCursor, _ keyColumns: [Int]) -> UInt32? {
        let (group, isNew) = groups.find(row, keyColumns)
        guard isNew else { return nil }
        makeMembers(of: group)
        return group
    }

    private func makeMembers(of group: UInt32) {
        while members.count <= Int(group) { members.append([]) }
    }

    /// Takes in a row whose key has never been there. Others may come behind it; after the last one,
    /// ``endRun()`` is called.
    func append(_ row: any RowCursor, _ keyColumns: [Int]) throws {
        guard try shape.maker.pack(row, into: builder) else { return }
        let id = rows.keys.append(row, keyColumns)
        let packed = builder.finish(in: arena)
        let group = group(of: packed)
        if run.isEmpty || run.group != group {
            endRun()
            makeMembers(of: group)
            run = Run(group: group, start: id, end: id, index: UInt32(members[Int(group)].count))
        }
        run.end = id + 1
        setPlace(id, Place(row: packed, group: group, index: run.index + (id - run.start)))
    }

    /// Puts the rows of a group that were appended one behind the other into the group.
    func endRun() {
        if run.isEmpty { return }
        members[Int(run.group)].append(contentsOf: run.start..<run.end)
        groups.touch(run.group)
        count += Int(run.end - run.start)
        run = Run()
    }

    /// Rows of one group that were appended, by their numbers.
    private struct Run {
        var group: UInt32 = 0
        var start: UInt32 = 0
        var end: UInt32 = 0
        /// The first one's place in its group.
        var index: UInt32 = 0
        var isEmpty: Bool { start == end }
    }

    /// Puts the row that was packed into its group.
    private func put(_ id: UInt32, _ place: inout Place) {
        let row = builder.finish(in: arena)
        let group = group(of: row)
        makeMembers(of: group)
        place = Place(row: row, group: group, index: UInt32(members[Int(group)].count))
        members[Int(group)].append(id)
        groups.touch(group)
        count += 1
    }

    /// The group of a packed row, which often is that of the row before.
    private func group(of row: PackedRow) -> UInt32 {
        if Int(lastGroup) < groups.count, isGroup(lastGroup, of: row) { return lastGroup }
        lastGroup = groups.find(row, from: shape.firstKey, of: shape.cells)
        return lastGroup
    }

    private func isGroup(_ group: UInt32, of row: PackedRow) -> Bool {
        let keys = groups.keys
        for part in 0..<keys.keyParts {
            let cell = shape.firstKey + part
            if keys.isText(part) {
                let text = row.bytes(cell, of: shape.cells)
                if ByteOrder.compare(keys.textKey(group, part), text) != 0 { return false }
            } else if keys.integerKey(group, part) != row.integer(cell, of: shape.cells) {
                return false
            }
        }
        return true
    }

    /// Takes a row out of its group.
    private func take(_ id: UInt32, _ place: Place) {
        let group = Int(place.group)
        let last = members[group].removeLast()
        if last != id {
            members[group][Int(place.index)] = last
            var other = self.place(last)
            other.index = place.index
            setPlace(last, other)
        }
        groups.touch(place.group)
        count -= 1
    }

    private func place(_ id: UInt32) -> Place {
        rows.record(id).load(fromByteOffset: rows.stateOffset, as: Place.self)
    }

    private func setPlace(_ id: UInt32, _ place: Place) {
        rows.record(id).storeBytes(of: place, toByteOffset: rows.stateOffset, as: Place.self)
    }

    // MARK: Groups

    /// The groups whose rows have changed, in the order of their keys, and forgets that they have.
    func takeChangedGroups() -> [UInt32] {
        groups.takeDirty()
    }

    /// The rows of a group: in the order of their keys, where that matters.
    func rows(of group: UInt32, inOrder: Bool) -> [PackedRow] {
        var ids = members[Int(group)]
        if inOrder { KeyOrder.sort(&ids, in: rows.keys) }
        return ids.compactMap { place($0).row }
    }

    /// The rows of a group among which its `limit` best ones are, in the order of their keys: these and those
    /// that stand as high as the last of them.
    func best(_ limit: Int, _ order: OrderedCells, of group: UInt32) -> [PackedRow] {
        var ids = members[Int(group)]
        if let last = order.last(of: limit, ids.lazy.compactMap { self.place($0).row }) {
            ids.removeAll { id in place(id).row.map { order.compare($0, last) > 0 } ?? true }
        }
        KeyOrder.sort(&ids, in: rows.keys)
        return ids.compactMap { place($0).row }
    }

    var memoryBytes: Int {
        arena.memoryBytes + rows.memoryBytes + groups.memoryBytes + count * 8
            + members.count * 48
    }

    // MARK: What is gone

    /// Forgets all rows and groups; none has changed.
    func removeAll() {
        rows.evict()
        groups.evict()
        arena.clear()
        members.removeAll()
        lastGroup = 0
        count = 0
    }

    /// Forgets the keys of rows that are gone, where they are most.
    func compactRows() {
        guard rows.isWorthCompacting(needed: count) else { return }
        let numbers = rows.compact { place($0).row != nil }
        for group in members.indices {
            for index in members[group].indices {
                members[group][index] = numbers[Int(members[group][index])]
            }
        }
    }

    /// Forgets the groups that have no rows, where they are most; none has changed. Tells the new
    /// number of each group that stays.
    func compactGroups(_ moved: (_ from: UInt32, _ to: UInt32) -> Void) {
        let full = members.count { !$0.isEmpty }
        guard groups.isWorthCompacting(needed: full) else { return }
        let numbers = groups.compact { !members[Int($0)].isEmpty }
        let old = members
        members = []
        for group in old.indices where !old[group].isEmpty {
            members.append(old[group])
            for id in old[group] {
                var place = place(id)
                place.group = numbers[group]
                setPlace(id, place)
            }
            moved(UInt32(group), numbers[group])
        }
    }
}

extension PackedRow {
    /// Whether two rows have the very same cells.
    func isSame(as other: PackedRow) -> Bool {
        byteCount == other.byteCount && memcmp(base, other.base, byteCount) == 0
    }
}
