import CKappaJSON

/// The elements of one side of a join in memory, over their table.
///
/// The elements of a key are a chain in log order. Numbers of elements that are gone are used again.
final class JoinRows: JoinSide, StateTable {
    private struct Node {
        var meta: JoinMeta
        var key: UInt32
        /// Neighbours in the chain of the key, plus one; 0 for none.
        var next: UInt32 = 0
        var previous: UInt32 = 0
        var isStored = false
        var isDirty = false
        var isInHeap = false
        var isThere = true
        var row: PackedRow
    }

    private let keys: JoinKeyTable
    private let side: Int
    private let builder: PackedRowBuilder
    private let arena = RowArena()
    private let nodes = PlainList<Node>()
    private let free = PlainList<UInt32>()
    private var dirty: [UInt32] = []
    private var gone: [JoinMeta] = []
    /// Rows of elements that are forgotten.
    private let released = PlainList<PackedRow>()
    /// Elements by time, oldest on top, for as long as any are to be forgotten by time.
    private var oldest = TimeHeap()
    private var expires = false

    /// - Parameter side: Which side it is of those that share the keys.
    init(_ keys: JoinKeyTable, side: Int, cells: Int) {
        self.keys = keys
        self.side = side
        builder = PackedRowBuilder(cells: cells)
    }

    // MARK: Elements

    func first(_ key: UInt32) -> UInt32? {
        let first = keys.ends(key, side).first
        return first == 0 ? nil : first - 1
    }

    func next(_ number: UInt32) -> UInt32? {
        let next = nodes[Int(number)].next
        return next == 0 ? nil : next - 1
    }

    func row(_ number: UInt32) -> PackedRow { nodes[Int(number)].row }
    func meta(_ number: UInt32) -> JoinMeta { nodes[Int(number)].meta }

    func insert(_ builder: PackedRowBuilder, key: UInt32, _ meta: JoinMeta) -> UInt32 {
        let number = place(builder.finish(in: arena), key: key, meta)
        nodes[Int(number)].isDirty = true
        dirty.append(number)
        return number
    }

    private func place(_ row: PackedRow, key: UInt32, _ meta: JoinMeta) -> UInt32 {
        var ends = keys.ends(key, side)
        let node = Node(meta: meta, key: key, previous: ends.last, row: row)
        let number: UInt32
        if let reused = free.popLast() {
            number = reused
            nodes[Int(number)] = node
        } else {
            number = UInt32(nodes.count)
            nodes.append(node)
        }
        if ends.last != 0 {
            nodes[Int(ends.last - 1)].next = number + 1
        } else {
            ends.first = number + 1
        }
        ends.last = number + 1
        keys.set(key, side, ends)
        if expires { push(number) }
        return number
    }

    func setMatched(_ number: UInt32, _ isMatched: Bool) {
        guard nodes[Int(number)].meta.isMatched != isMatched else { return }
        nodes[Int(number)].meta.isMatched = isMatched
        if !nodes[Int(number)].isDirty {
            nodes[Int(number)].isDirty = true
            dirty.append(number)
        }
    }

    func remove(_ number: UInt32) {
        let node = nodes[Int(number)]
        guard node.isThere else { return }
        nodes[Int(number)].isThere = false
        var ends = keys.ends(node.key, side)
        if node.previous != 0 {
            nodes[Int(node.previous - 1)].next = node.next
        } else {
            ends.first = node.next
        }
        if node.next != 0 {
            nodes[Int(node.next - 1)].previous = node.previous
        } else {
            ends.last = node.previous
        }
        keys.set(node.key, side, ends)
        released.append(node.row)
        if node.isStored { gone.append(node.meta) }
        recycle(number)
    }

    func reclaim() {
        while let row = released.popLast() { arena.release(row) }
    }

    /// Lets a number be used again, once no list holds it.
    private func recycle(_ number: UInt32) {
        let node = nodes[Int(number)]
        if !node.isThere, !node.isDirty, !node.isInHeap { free.append(number) }
    }

    private func push(_ number: UInt32) {
        oldest.insert(nodes[Int(number)].meta.time, number)
        nodes[Int(number)].isInHeap = true
    }

    func removeAll(upTo time: Int64) {
        if !expires {
            expires = true
            for number in nodes.indices where nodes[number].isThere { push(UInt32(number)) }
        }
        while let number = oldest.pop(upTo: time) {
            nodes[Int(number)].isInHeap = false
            if nodes[Int(number)].isThere { remove(number) } else { recycle(number) }
        }
    }

    // MARK: Keys

    /// How many elements there are.
    var count: Int { nodes.count - free.count }

    /// Visits the keys of the elements, which get other numbers.
    func renumberKeys(_ number: (UInt32) -> UInt32) {
        for index in nodes.indices where nodes[index].isThere {
            nodes[index].key = number(nodes[index].key)
        }
    }

    // MARK: The table

    func load(_ cursor: any RowCursor) throws {
        builder.begin()
        for cell in 0..<builder.cells {
            builder.bind(cell, cursor, TableSchema.joinSideColumns + cell)
        }
        let meta = JoinMeta(
            offset: cursor.integer(0), part: cursor.integer(1), time: cursor.integer(2),
            isMatched: cursor.integer(3) != 0)
        let key = keys.find(cursor, TableSchema.joinSideKey, time: meta.time)
        let number = place(builder.finish(in: arena), key: key, meta)
        nodes[Int(number)].isStored = true
    }

    func write(to transaction: any StoreTransaction, table: Int) throws {
        gone.sort { ($0.offset, $0.part) < ($1.offset, $1.part) }
        let delete = transaction.delete(from: table)
        for meta in gone {
            delete.bind(0, meta.offset)
            delete.bind(1, meta.part)
            try delete.execute()
        }
        dirty.removeAll { number in
            let node = nodes[Int(number)]
            guard !node.isThere else { return false }
            nodes[Int(number)].isDirty = false
            recycle(number)
            return true
        }
        dirty.sort {
            let (a, b) = (nodes[Int($0)].meta, nodes[Int($1)].meta)
            return (a.offset, a.part) < (b.offset, b.part)
        }
        try transaction.upsertRows(into: table, count: dirty.count) { index, upsert in
            let node = nodes[Int(dirty[index])]
            upsert.bind(0, node.meta.offset)
            upsert.bind(1, node.meta.part)
            upsert.bind(2, node.meta.time)
            upsert.bind(3, node.meta.isMatched ? Int64(1) : 0)
            keys.bind(node.key, to: upsert, at: TableSchema.joinSideKey)
            node.row.bind(
                builder.cells, of: builder.cells, to: upsert, at: TableSchema.joinSideColumns)
            try upsert.execute()
        }
    }

    func committed() {
        for number in dirty {
            nodes[Int(number)].isStored = true
            nodes[Int(number)].isDirty = false
        }
        dirty.removeAll(keepingCapacity: true)
        gone.removeAll(keepingCapacity: true)
        keys.compact()
    }

    var memoryBytes: Int {
        (side == 0 ? keys.memoryBytes : 0) + nodes.count * MemoryLayout<Node>.stride
            + arena.memoryBytes
    }
    var dirtyRows: Int { dirty.count + gone.count }
}
