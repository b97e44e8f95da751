import CKappaJSON

/// The keys under which elements wait, on one side or on several.
package final class JoinKeyTable {
    /// The state of a key is where its chain on each side begins and ends.
    private let table: KeyedTable
    private let window: (Int64) -> Int64
    private let isText: Bool
    /// The sides that share the keys. They hold this table, and it is theirs.
    private var sides: [Unowned] = []
    /// Where no windows are.
    private var zeros: [Int64] = []

    private struct Unowned { unowned let rows: JoinRows }

    /// - Parameter window: The start of the window of a time.
    init(kind: ColumnKind, sides: Int, window: @escaping (Int64) -> Int64) {
        self.window = window
        isText = kind == .text || kind == .json
        table = KeyedTable(keyIsText: [isText, false], stateBytes: 8 * sides)
    }

    func add(_ side: JoinRows) { sides.append(Unowned(rows: side)) }

    /// Finds the numbers of the keys in some rows, and makes those that are new.
    /// - Parameter windows: By row; nil without windows.
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

    /// Forgets the keys that have no elements any more, where they are most.
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
