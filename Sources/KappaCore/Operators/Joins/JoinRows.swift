import CKappaJSON

/// One side of a join: its elements by key, in log order, kept for as long as they may still match an element
/// of the other side. A table of the store holds them too.
///
/// After its header, a record holds the origin of its element, and the address of its packed row. The
/// elements of a key form a chain in log order.
package final class JoinRows {
    private static let recordBytes = 48

    private let keys: JoinKeyTable
    private let side: Int
    private let builder: PackedRowBuilder
    private let arena = RowArena()
    private let slab = RecordSlab(recordBytes: recordBytes)
    private var gone: [JoinMeta] = []
    /// Rows of removed elements, not freed yet.
    private let released = PlainList<PackedRow>()
    /// Elements by time, oldest on top; used once elements expire by time.
    private var oldest = TimeHeap()
    private var expires = false

    /// - Parameter side: The index of this side among those that share the keys.
    init(_ keys: JoinKeyTable, side: Int, cells: Int) {
        self.keys = keys
        self.side = side
        builder = PackedRowBuilder(cells: cells)
    }

    // MARK: Elements

    /// The number of a key's first element; nil if it has none.
    @inline(__always)
    func first(_ key: UInt32) -> UInt32? { RecordSlab.number(keys.ends(key, side).first) }

    /// The number of the next element of the same key.
    @inline(__always)
    func next(_ number: UInt32) -> UInt32? { slab.next(number) }

    @inline(__always)
    func row(_ number: UInt32) -> PackedRow {
        PackedRow(
            base: slab.record(number).load(fromByteOffset: 40, as: UnsafeMutableRawPointer.self))
    }

    @inline(__always)
    func meta(_ number: UInt32) -> JoinMeta {
        let record = slab.record(number)
        return JoinMeta(
            offset: record.load(fromByteOffset: 16, as: Int64.self),
            part: record.load(fromByteOffset: 24, as: Int64.self),
            time: record.load(fromByteOffset: 32, as: Int64.self),
            isMatched: slab.has(number, RecordFlags.matched))
    }

    /// Adds the element in `builder`; returns its number.
    func insert(_ builder: PackedRowBuilder, key: UInt32, _ meta: JoinMeta) -> UInt32 {
        let number = place(builder.finish(in: arena), key: key, meta)
        slab.touch(number)
        return number
    }

    private func place(_ row: PackedRow, key: UInt32, _ meta: JoinMeta) -> UInt32 {
        let number = slab.insert(key: key)
        let record = slab.record(number)
        record.storeBytes(of: meta.offset, toByteOffset: 16, as: Int64.self)
        record.storeBytes(of: meta.part, toByteOffset: 24, as: Int64.self)
        record.storeBytes(of: meta.time, toByteOffset: 32, as: Int64.self)
        record.storeBytes(of: row.base, toByteOffset: 40, as: UnsafeMutableRawPointer.self)
        if meta.isMatched { slab.mark(number, RecordFlags.matched) }
        var ends = keys.ends(key, side)
        slab.append(number, to: &ends)
        keys.set(key, side, ends)
        if expires { hold(number, until: meta.time) }
        return number
    }

    /// Records whether an element has matched one of the other side.
    func setMatched(_ number: UInt32, _ isMatched: Bool) {
        guard slab.has(number, RecordFlags.matched) != isMatched else { return }
        let record = slab.record(number)
        if isMatched {
            RecordFlags.set(RecordFlags.matched, record)
        } else {
            RecordFlags.clear(RecordFlags.matched, record)
        }
        slab.touch(number)
    }

    /// Removes an element. Its row stays valid until ``reclaim()``.
    func remove(_ number: UInt32) {
        guard slab.isThere(number) else { return }
        let key = slab.key(number)
        var ends = keys.ends(key, side)
        slab.unlink(number, from: &ends)
        keys.set(key, side, ends)
        released.append(row(number))
        if slab.has(number, RecordFlags.stored) { gone.append(meta(number)) }
        slab.remove(number)
    }

    /// Frees the rows of removed elements. Nothing may refer to them any more.
    func reclaim() {
        while let row = released.popLast() { arena.release(row) }
    }

    private func hold(_ number: UInt32, until time: Int64) {
        oldest.insert(time, number)
        slab.mark(number, RecordFlags.held)
    }

    /// Removes the elements whose time is `time` or earlier.
    func removeAll(upTo time: Int64) {
        if !expires {
            expires = true
            for number in slab.all { hold(number, until: meta(number).time) }
        }
        while let number = oldest.pop(upTo: time) {
            remove(number)
            slab.unmark(number, RecordFlags.held)
        }
    }

    // MARK: Keys

    /// How many elements there are.
    var count: Int { slab.count }

    /// Updates the key of each element, after the keys have been renumbered.
    func renumberKeys(_ numbers: [UInt32]) { slab.renumberKeys(numbers) }

    // MARK: The table

    /// Loads a stored row.
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
        slab.mark(number, RecordFlags.stored)
    }

    /// Writes what changed since the last commit, in the order of the table's key.
    func write(to transaction: any StoreTransaction, table: Int) throws {
        gone.sort { ($0.offset, $0.part) < ($1.offset, $1.part) }
        let delete = transaction.delete(from: table)
        for meta in gone {
            delete.bind(0, meta.offset)
            delete.bind(1, meta.part)
            try delete.execute()
        }
        let dirty = slab.sortDirty { dirty in
            dirty.sorted {
                let (a, b) = (meta($0), meta($1))
                return (a.offset, a.part) < (b.offset, b.part)
            }
        }
        try transaction.upsertRows(into: table, count: dirty.count) { index, upsert in
            let meta = meta(dirty[index])
            upsert.bind(0, meta.offset)
            upsert.bind(1, meta.part)
            upsert.bind(2, meta.time)
            upsert.bind(3, meta.isMatched ? Int64(1) : 0)
            keys.bind(slab.key(dirty[index]), to: upsert, at: TableSchema.joinSideKey)
            row(dirty[index]).bind(
                builder.cells, of: builder.cells, to: upsert, at: TableSchema.joinSideColumns)
            try upsert.execute()
        }
    }

    /// The transaction was committed.
    func committed() {
        slab.committed()
        gone.removeAll(keepingCapacity: true)
        keys.compact()
    }

    var memoryBytes: Int {
        (side == 0 ? keys.memoryBytes : 0) + slab.memoryBytes + arena.memoryBytes
    }
    var dirtyRows: Int { slab.dirty.count + gone.count }
}

/// The origin of a join's element, and whether it has matched.
package struct JoinMeta {
    /// The event that made it, and its index among that event's elements.
    package var offset: Int64
    package var part: Int64
    /// Its event time in microseconds; zero for a stream without times.
    package var time: Int64
    /// Whether it has matched an element of the other side.
    package var isMatched = false
}

extension TableSchema {
    /// The table of one side of a join: a row for each kept element.
    static func joinSide(key: ColumnKind, _ columns: [ColumnSchema]) -> TableSchema {
        var table = TableSchema(
            name: "",
            columns: [
                ColumnSchema("_offset", .integer, isKey: true),
                ColumnSchema("_part", .integer, isKey: true),
                ColumnSchema("_time", .integer), ColumnSchema("_matched", .bool),
                ColumnSchema("_key", key),
            ] + columns)
        table.isInternal = true
        return table
    }

    /// The column of the key in a join side's table.
    static let joinSideKey = 4
    /// How many columns of a join side's table precede the element's own.
    static let joinSideColumns = 5
}

/// Thrown for an element that comes too late to be joined.
struct LateElement: Error {}

/// The keys of the elements that a join keeps, shared by its sides.
package final class JoinKeyTable {
    /// The state of a key is the two ends of its chain on each side.
    private let table: KeyedTable
    private let window: (Int64) -> Int64
    private let isText: Bool
    /// The sides that share the keys. They own this table, so the references back to them are unowned.
    private var sides: [Unowned] = []
    /// Zeros: the window of each row, if the join has no windows.
    private var zeros: [Int64] = []

    private struct Unowned { unowned let rows: JoinRows }

    /// - Parameter window: Returns the start of a time's window.
    init(kind: ColumnKind, sides: Int, window: @escaping (Int64) -> Int64) {
        self.window = window
        isText = kind == .text || kind == .json
        table = KeyedTable(keyIsText: [isText, false], stateBytes: 8 * sides)
    }

    func add(_ side: JoinRows) { sides.append(Unowned(rows: side)) }

    /// Finds the numbers of the keys in some rows, and adds keys that are new.
    /// - Parameter windows: The start of each row's window; nil without windows.
    func find(
        _ rows: ArraySlice<Int32>, _ column: kj_column, _ windows: UnsafePointer<Int64>?,
        into ids: inout [UInt32]
    ) {
        // A column without rows may have no memory yet.
        guard !rows.isEmpty else { return ids.removeAll(keepingCapacity: true) }
        let key: KeyColumn = isText ? .texts(column.strings) : .integers(column.integers)
        if let windows {
            return table.find(rows: rows, keys: [key, .integers(windows)], into: &ids)
        }
        let missing = Int(rows.last ?? 0) + 1 - zeros.count
        if missing > 0 { zeros.append(contentsOf: repeatElement(0, count: missing)) }
        zeros.withUnsafeBufferPointer { zeros in
            guard let base = zeros.baseAddress else { return ids.removeAll() }
            table.find(rows: rows, keys: [key, .integers(base)], into: &ids)
        }
    }

    /// The number of a stored key.
    func find(_ cursor: any RowCursor, _ column: Int, time: Int64) -> UInt32 {
        table.find(cursor, [column], last: window(time))
    }

    func bind(_ key: UInt32, to writer: any RowWriter, at column: Int) {
        table.bind(key, 0, to: writer, at: column)
    }

    @inline(__always)
    func ends(_ key: UInt32, _ side: Int) -> RecordSlab.Ends {
        table.record(key).load(
            fromByteOffset: table.stateOffset + 8 * side, as: RecordSlab.Ends.self)
    }

    @inline(__always)
    func set(_ key: UInt32, _ side: Int, _ ends: RecordSlab.Ends) {
        table.record(key).storeBytes(
            of: ends, toByteOffset: table.stateOffset + 8 * side, as: RecordSlab.Ends.self)
    }

    /// Forgets the keys without elements, if most keys are.
    func compact() {
        let count = sides.reduce(0) { $0 + $1.rows.count }
        guard table.isWorthCompacting(needed: count) else { return }
        let numbers = table.compact { key in
            sides.indices.contains { ends(key, $0).first != 0 }
        }
        for side in sides { side.rows.renumberKeys(numbers) }
    }

    var memoryBytes: Int { table.memoryBytes }
}
