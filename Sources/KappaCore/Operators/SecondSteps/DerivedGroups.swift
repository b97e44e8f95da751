import Glibc

/// The packed rows of a table, by the groups of a second step.
final class DerivedGroups {
    /// The state in a row's record: its packed row, its group, and its index there.
    private struct Place {
        var row: PackedRow?
        var group: UInt32
        var index: UInt32
    }

    private let shape: DerivedRows
    private let builder: PackedRowBuilder
    private let arena = RowArena()
    /// The rows by their keys; deleted rows still have records.
    private let rows: KeyedTable
    /// The groups by their keys.
    let groups: KeyedTable
    /// The rows of each group, in no order.
    private var members: [[UInt32]] = []
    private var lastGroup: UInt32 = 0
    private var run = Run()
    /// The number of rows, without deleted ones.
    private(set) var count = 0

    /// - Parameter stored: The table with the rows. If groups are read from it, the rows' keys begin with the
    ///   group's.
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

    /// Sets the current row of a key; nil if it was deleted.
    /// - Parameter keyColumns: The columns of `key` with the parts of the key.
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

    /// Adds the group with the key in some columns of a row, and returns it; nil if the group is known
    /// already. A new group has no rows.
    func newGroup(of row: any RowCursor, _ keyColumns: [Int]) -> UInt32? {
        let (group, isNew) = groups.find(row, keyColumns)
        guard isNew else { return nil }
        makeMembers(of: group)
        return group
    }

    private func makeMembers(of group: UInt32) {
        while members.count <= Int(group) { members.append([]) }
    }

    /// Appends a row with a key that has never been seen. After the last row, ``endRun()`` must be called.
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

    /// Adds the current run of appended rows to their group.
    func endRun() {
        if run.isEmpty { return }
        members[Int(run.group)].append(contentsOf: run.start..<run.end)
        groups.touch(run.group)
        count += Int(run.end - run.start)
        run = Run()
    }

    /// Consecutive appended rows of one group, by their numbers.
    private struct Run {
        var group: UInt32 = 0
        var start: UInt32 = 0
        var end: UInt32 = 0
        /// The index of the first row in its group.
        var index: UInt32 = 0
        var isEmpty: Bool { start == end }
    }

    /// Adds the row in `builder` to its group.
    private func put(_ id: UInt32, _ place: inout Place) {
        let row = builder.finish(in: arena)
        let group = group(of: row)
        makeMembers(of: group)
        place = Place(row: row, group: group, index: UInt32(members[Int(group)].count))
        members[Int(group)].append(id)
        groups.touch(group)
        count += 1
    }

    /// The group of a packed row, which is often that of the previous row.
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

    /// Removes a row from its group.
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

    /// Returns the groups whose rows have changed, in the order of their keys, and marks them as unchanged.
    func takeChangedGroups() -> [UInt32] {
        groups.takeDirty()
    }

    /// The rows of a group; in the order of their keys if `inOrder`.
    func rows(of group: UInt32, inOrder: Bool) -> [PackedRow] {
        var ids = members[Int(group)]
        if inOrder { KeyOrder.sort(&ids, in: rows.keys) }
        return ids.compactMap { place($0).row }
    }

    /// The `limit` best rows of a group and those that tie with the last of them, in the order of their keys.
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

    // MARK: Forgetting

    /// Forgets all rows and groups. There must be no uncommitted change.
    func removeAll() {
        rows.evict()
        groups.evict()
        arena.clear()
        members.removeAll()
        lastGroup = 0
        count = 0
    }

    /// Forgets the keys of deleted rows, if most rows are deleted.
    func compactRows() {
        guard rows.isWorthCompacting(needed: count) else { return }
        let numbers = rows.compact { place($0).row != nil }
        for group in members.indices {
            for index in members[group].indices {
                members[group][index] = numbers[Int(members[group][index])]
            }
        }
    }

    /// Forgets the groups without rows, if most groups are. There must be no uncommitted change. Calls
    /// `moved` with the new number of each group that is kept.
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
    /// Whether two rows have exactly the same cells.
    func isSame(as other: PackedRow) -> Bool {
        byteCount == other.byteCount && memcmp(base, other.base, byteCount) == 0
    }
}
