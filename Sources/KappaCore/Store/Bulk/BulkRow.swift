import Glibc

/// One row on its way into a ``BulkTable`` or a run: encodes its cells as a record of SQLite's file format.
///
/// A record is a header (its own size, then a type for each column) and the values behind it. A table
/// `WITHOUT ROWID` has the columns of its key first, whatever the order in which it declares them.
final class BulkRow: RowWriter {
    private enum Cell {
        case null
        case integer(Int64)
        case double(Double)
        /// Bytes of the caller's, with 0 for a blob and 1 for a text.
        case bytes(UnsafeRawBufferPointer, kind: Int)
    }

    let schema: TableSchema
    private let table: any RecordSink
    private let columns: Int
    /// Which cell stands at each place of the record.
    private let order: [Int]
    private let keyParts: Int
    private let cells: UnsafeMutablePointer<Cell>
    /// The type of each cell, in the order of the record.
    private let types: UnsafeMutablePointer<UInt64>
    private let record = ScratchMemory()
    /// Texts that a caller wants copied, until the row is written.
    private var copies: [ScratchMemory] = []
    private let firstKey: RowKey
    private var lastKey: RowKey
    /// That of the row at hand.
    private var key: RowKey

    init(_ schema: TableSchema, _ table: any RecordSink) {
        self.schema = schema
        self.table = table
        let columns = schema.columns.count + (schema.hasState ? 1 : 0)
        let keys = schema.keyColumns
        order = Self.order(of: schema)
        keyParts = keys.count
        (firstKey, lastKey, key) = (RowKey(schema), RowKey(schema), RowKey(schema))
        self.columns = columns
        cells = .allocate(capacity: columns)
        cells.initialize(repeating: .null, count: columns)
        types = .allocate(capacity: columns)
        types.initialize(repeating: 0, count: columns)
    }

    deinit {
        cells.deallocate()
        types.deallocate()
    }

    /// The column that stands at each place of a record; the hidden state counts as the last column.
    static func order(of schema: TableSchema) -> [Int] {
        let columns = schema.columns.count + (schema.hasState ? 1 : 0)
        let keys = schema.keyColumns
        return keys + (0..<columns).filter { !keys.contains($0) }
    }

    func bindNull(_ index: Int) { cells[index] = .null }
    func bind(_ index: Int, _ value: Int64) { cells[index] = .integer(value) }
    /// SQLite keeps no sign of a zero.
    func bind(_ index: Int, _ value: Double) { cells[index] = .double(value.withoutZerosSign) }
    func bind(_ index: Int, text: UnsafeRawBufferPointer) { cells[index] = .bytes(text, kind: 1) }
    func bind(_ index: Int, blob: UnsafeRawBufferPointer) { cells[index] = .bytes(blob, kind: 0) }
    func bind(_ index: Int, _ text: String) {
        var text = text
        let copy = ScratchMemory()
        text.withUTF8 { copy.set(UnsafeRawBufferPointer($0)) }
        copies.append(copy)
        cells[index] = .bytes(copy.bytes, kind: 1)
    }

    /// Appends the row to the table.
    /// - Throws: `.bug` if its key does not stand behind that of the row before it.
    func execute() throws(KappaError) {
        try checkOrder()
        var headerSize = 1
        var most = 2
        for place in 0..<columns {
            let cell = cells[order[place]]
            types[place] = Self.type(of: cell)
            headerSize += Varint.size(types[place])
            most += Varint.size(types[place]) + Self.mostBytes(of: cell)
        }
        // The size counts itself.
        if headerSize > 127 { headerSize += 1 }
        let start = record.reserve(most)
        var at = start
        Varint.write(UInt64(headerSize), to: &at)
        for place in 0..<columns { Varint.write(types[place], to: &at) }
        for place in 0..<columns { Self.write(cells[order[place]], types[place], to: &at) }
        try table.append(UnsafeRawBufferPointer(start: start, count: at - start))
        if !copies.isEmpty { copies.removeAll(keepingCapacity: true) }
    }

    /// Appends a row that was written before, as it is.
    func copy(_ row: RunCursor) throws(KappaError) {
        for part in 0..<keyParts {
            let column = order[part]
            cells[column] =
                row.storage(column) == .integer
                ? .integer(row.integer(column)) : .bytes(row.text(column), kind: 1)
        }
        try checkOrder()
        try table.append(row.record)
    }

    /// An integer takes as few bytes as hold it; zero and one take none.
    private static func type(of cell: Cell) -> UInt64 {
        switch cell {
        case .null: 0
        case .integer(0): 8
        case .integer(1): 9
        case .integer(let value):
            switch 64 - (value < 0 ? ~value : value).leadingZeroBitCount {
            case ...7: 1
            case ...15: 2
            case ...23: 3
            case ...31: 4
            case ...47: 5
            default: 6
            }
        case .double: 7
        case .bytes(let bytes, let kind): UInt64(12 + 2 * bytes.count + kind)
        }
    }

    private static func mostBytes(of cell: Cell) -> Int {
        if case .bytes(let bytes, _) = cell { bytes.count } else { 8 }
    }

    private static func write(_ cell: Cell, _ type: UInt64, to at: inout UnsafeMutableRawPointer) {
        switch cell {
        case .null: break
        case .integer(let value):
            let sizes: (UInt64) -> Int = { $0 < 5 ? Int($0) : $0 == 5 ? 6 : $0 == 6 ? 8 : 0 }
            write(UInt64(bitPattern: value), bytes: sizes(type), to: &at)
        case .double(let value): write(value.bitPattern, bytes: 8, to: &at)
        case .bytes(let bytes, _):
            guard let source = bytes.baseAddress else { return }
            at.copyMemory(from: source, byteCount: bytes.count)
            at += bytes.count
        }
    }

    private static func write(
        _ value: UInt64, bytes: Int, to at: inout UnsafeMutableRawPointer
    ) {
        for index in 0..<bytes {
            let shift = UInt64(8 * (bytes - 1 - index))
            (at + index).storeBytes(of: UInt8(truncatingIfNeeded: value >> shift), as: UInt8.self)
        }
        at += bytes
    }

    /// Appends the rows of a piece.
    func append(_ piece: RowPiece) throws(KappaError) {
        guard piece.hasRows else { return }
        if table.hasRows, !lastKey.isBefore(piece.row.firstKey) { throw Self.wrongOrder() }
        try piece.forEachRecord { record throws(KappaError) in try table.append(record) }
        lastKey.set(piece.row.lastKey)
    }

    /// A table whose rows stand in the wrong order would be damaged: so it is looked at each time.
    private func checkOrder() throws(KappaError) {
        for part in 0..<keyParts {
            switch cells[order[part]] {
            case .integer(let value): key.set(part, value)
            case .bytes(let text, _): key.set(part, text)
            case .null, .double: throw Self.wrongOrder()
            }
        }
        if !table.hasRows {
            firstKey.set(key)
        } else if !lastKey.isBefore(key) {
            throw Self.wrongOrder()
        }
        swap(&key, &lastKey)
    }

    private static func wrongOrder() -> KappaError {
        KappaError(
            .bug, "rows of a new version are not in the order of their keys",
            advice: "Please report it; `kappa rebuild` is safe to run again")
    }
}

/// Memory that is used again and again, and grows where it must.
final class ScratchMemory {
    private var start = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
    private var capacity = 64
    private var count = 0

    deinit { start.deallocate() }

    /// Room for some bytes; what was there before is gone.
    func reserve(_ size: Int) -> UnsafeMutableRawPointer {
        if size > capacity {
            start.deallocate()
            capacity = max(size, 2 * capacity)
            start = .allocate(byteCount: capacity, alignment: 8)
        }
        return start
    }

    func set(_ bytes: UnsafeRawBufferPointer) {
        let room = reserve(bytes.count)
        if let source = bytes.baseAddress { room.copyMemory(from: source, byteCount: bytes.count) }
        count = bytes.count
    }

    /// What was set last.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }
}

/// SQLite's integers of one to nine bytes, seven bits in each; lengths never need the ninth.
enum Varint {
    static let mostBytes = 9

    static func size(_ value: UInt64) -> Int {
        value < 128 ? 1 : (70 - value.leadingZeroBitCount) / 7
    }

    static func write(_ value: UInt64, to at: inout UnsafeMutableRawPointer) {
        var shift = UInt64(7 * (size(value) - 1))
        while shift > 0 {
            at.storeBytes(of: UInt8(truncatingIfNeeded: value >> shift) | 0x80, as: UInt8.self)
            at += 1
            shift -= 7
        }
        at.storeBytes(of: UInt8(value & 0x7F), as: UInt8.self)
        at += 1
    }
}
