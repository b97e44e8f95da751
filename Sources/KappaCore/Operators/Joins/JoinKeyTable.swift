import CKappaJSON

/// The keys under which elements wait, on one side or on several.
final class JoinKeyTable: JoinKeys {
    /// The first and the last element of a chain: their numbers plus one, 0 where there are none.
    struct Ends {
        var first: UInt32
        var last: UInt32
    }

    private var table: GroupTable
    private let window: (Int64) -> Int64
    private let isText: Bool
    private var fresh: [UInt32] = []
    /// The sides that share the keys. They hold this table, and it is theirs.
    private var sides: [Unowned] = []
    private let loaded: LoadedKey
    /// Where no windows are.
    private var zeros: [Int64] = []
    private static let stateOffset = GroupTable.stateOffset(keyParts: 2)

    private struct Unowned { unowned let rows: JoinRows }

    /// - Parameter window: The start of the window of a time.
    init(kind: ColumnKind, sides: Int, window: @escaping (Int64) -> Int64) {
        self.window = window
        isText = kind == .text || kind == .json
        table = Self.table(isText: isText, sides: sides)
        loaded = LoadedKey(parts: 2)
    }

    func add(_ side: JoinRows) { sides.append(Unowned(rows: side)) }

    func find(
        _ rows: ArraySlice<Int32>, _ column: kj_column, _ windows: UnsafePointer<Int64>?,
        into ids: inout [UInt32]
    ) {
        // A column without rows may have no memory yet.
        guard !rows.isEmpty else { return ids.removeAll(keepingCapacity: true) }
        let key: KeyColumn = isText ? .texts(column.strings) : .integers(column.integers)
        fresh.removeAll(keepingCapacity: true)
        if let windows {
            return table.find(
                rows: rows, keys: [key, .integers(windows)], into: &ids, fresh: &fresh)
        }
        let missing = Int(rows.last ?? 0) + 1 - zeros.count
        if missing > 0 { zeros.append(contentsOf: repeatElement(0, count: missing)) }
        zeros.withUnsafeBufferPointer { zeros in
            guard let base = zeros.baseAddress else { return ids.removeAll() }
            table.find(rows: rows, keys: [key, .integers(base)], into: &ids, fresh: &fresh)
        }
    }

    /// The number of a stored key.
    func find(_ cursor: any RowCursor, _ column: Int, time: Int64) -> UInt32 {
        loaded.load(cursor, [column], isText: table.isText)
        loaded.set(1, window(time))
        return table.find(keys: loaded.columns).id
    }

    func bind(_ key: UInt32, to writer: any RowWriter, at column: Int) {
        table.bind(key, 0, to: writer, at: column)
    }

    @inline(__always)
    func ends(_ key: UInt32, _ side: Int) -> Ends {
        table.record(key).load(fromByteOffset: Self.stateOffset + 8 * side, as: Ends.self)
    }

    @inline(__always)
    func set(_ key: UInt32, _ side: Int, _ ends: Ends) {
        table.record(key).storeBytes(
            of: ends, toByteOffset: Self.stateOffset + 8 * side, as: Ends.self)
    }

    /// Forgets the keys that have no elements any more, where they are most.
    func compact() {
        let count = sides.reduce(0) { $0 + $1.rows.count }
        guard table.count > 4_096, table.count > 4 * count else { return }
        let old = table
        table = Self.table(isText: isText, sides: sides.count)
        var numbers = [UInt32?](repeating: nil, count: old.count)
        for side in sides {
            side.rows.renumberKeys { key in
                if let known = numbers[Int(key)] { return known }
                loaded.load(key, of: old)
                let new = table.find(keys: loaded.columns).id
                table.record(new).advanced(by: Self.stateOffset).copyMemory(
                    from: old.record(key) + Self.stateOffset, byteCount: 8 * sides.count)
                numbers[Int(key)] = new
                return new
            }
        }
    }

    private static func table(isText: Bool, sides: Int) -> GroupTable {
        GroupTable(keyIsText: [isText, false], stateBytes: 8 * sides)
    }

    var memoryBytes: Int { table.memoryBytes }
}
