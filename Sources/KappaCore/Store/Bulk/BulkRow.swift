/// One row on its way into a ``BulkTable``: encodes its cells as a record of SQLite's file format.
///
/// A record is a header (its own size, then a type for each column) and the values behind it. A table
/// `WITHOUT ROWID` has the columns of its key first, whatever the order in which it declares them.
final class BulkRow: RowWriter {
    private enum Cell {
        case null
        case integer(Int64)
        case double(Double)
        /// Bytes in `copies`, or the caller's own, with 0 for a blob and 1 for a text.
        case copied(Range<Int>, kind: Int)
        case bytes(UnsafeRawBufferPointer, kind: Int)
    }

    private let table: BulkTable
    /// Which cell stands at each place of the record.
    private let order: [Int]
    private let keyParts: Int
    private var cells: [Cell]
    private var copies: [UInt8] = []
    private var header: [UInt8] = []
    private var body: [UInt8] = []
    private var lastKey: [UInt8] = []
    private var key: [UInt8] = []

    init(_ schema: TableSchema, _ table: BulkTable) {
        self.table = table
        let columns = schema.columns.count + (schema.hasState ? 1 : 0)
        let keys = schema.keyColumns
        order = keys + (0..<columns).filter { !keys.contains($0) }
        keyParts = keys.count
        cells = Array(repeating: .null, count: columns)
    }

    func bindNull(_ index: Int) { cells[index] = .null }
    func bind(_ index: Int, _ value: Int64) { cells[index] = .integer(value) }
    func bind(_ index: Int, _ value: Double) { cells[index] = .double(value) }
    func bind(_ index: Int, text: UnsafeRawBufferPointer) { cells[index] = .bytes(text, kind: 1) }
    func bind(_ index: Int, blob: UnsafeRawBufferPointer) { cells[index] = .bytes(blob, kind: 0) }
    func bind(_ index: Int, _ text: String) {
        let start = copies.count
        copies += text.utf8
        cells[index] = .copied(start..<copies.count, kind: 1)
    }

    /// Appends the row to the table.
    /// - Throws: `.bug` if its key does not stand behind that of the row before it.
    func execute() throws(KappaError) {
        header.removeAll(keepingCapacity: true)
        body.removeAll(keepingCapacity: true)
        for place in order { encode(cells[place]) }
        // The size counts itself; one byte holds it for tables of up to some 120 columns.
        let size = header.count + 1
        let sizeBytes = size < 128 ? 1 : 2
        try checkOrder()
        try table.append(headerSize: size + sizeBytes - 1, header, body)
        copies.removeAll(keepingCapacity: true)
    }

    private func encode(_ cell: Cell) {
        switch cell {
        case .null: header.append(0)
        case .integer(let value): encode(value)
        case .double(let value):
            header.append(7)
            append(value.bitPattern, bytes: 8)
        case .copied(let range, let kind):
            Varint.append(UInt64(12 + 2 * range.count + kind), to: &header)
            body += copies[range]
        case .bytes(let bytes, let kind):
            Varint.append(UInt64(12 + 2 * bytes.count + kind), to: &header)
            body.append(contentsOf: bytes)
        }
    }

    /// An integer takes as few bytes as hold it; zero and one take none.
    private func encode(_ value: Int64) {
        let (type, bytes): (UInt8, Int) =
            switch value {
            case 0: (8, 0)
            case 1: (9, 0)
            case -0x80...0x7F: (1, 1)
            case -0x8000...0x7FFF: (2, 2)
            case -0x80_0000...0x7F_FFFF: (3, 3)
            case -0x8000_0000...0x7FFF_FFFF: (4, 4)
            case -0x8000_0000_0000...0x7FFF_FFFF_FFFF: (5, 6)
            default: (6, 8)
            }
        header.append(type)
        append(UInt64(bitPattern: value), bytes: bytes)
    }

    private func append(_ value: UInt64, bytes: Int) {
        var shift = UInt64(8 * bytes)
        while shift > 0 {
            shift -= 8
            body.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// A table whose rows stand in the wrong order would be damaged: so it is looked at each time.
    private func checkOrder() throws(KappaError) {
        key.removeAll(keepingCapacity: true)
        for place in order.prefix(keyParts) { appendOrdered(cells[place]) }
        if table.hasRows, !lastKey.lexicographicallyPrecedes(key) {
            throw KappaError(
                .bug, "rows of a new version are not in the order of their keys",
                advice: "Please report it; `kappa rebuild` is safe to run again")
        }
        swap(&key, &lastKey)
    }

    /// A key's part as bytes that order as the part does.
    private func appendOrdered(_ cell: Cell) {
        switch cell {
        case .integer(let value):
            var word = (UInt64(bitPattern: value) ^ (1 << 63)).bigEndian
            withUnsafeBytes(of: &word) { key.append(contentsOf: $0) }
        case .copied(let range, _): appendOrdered(copies[range])
        case .bytes(let bytes, _): appendOrdered(bytes)
        case .null, .double: break
        }
    }

    /// A text ends in two zeros, and a zero inside of it is escaped: so a shorter text comes first.
    private func appendOrdered(_ text: some Collection<UInt8>) {
        for byte in text {
            key.append(byte)
            if byte == 0 { key.append(1) }
        }
        key.append(0)
        key.append(0)
    }
}

/// SQLite's integers of one to nine bytes, seven bits in each.
enum Varint {
    static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        if value < 128 { return bytes.append(UInt8(value)) }
        if value < 16_384 {
            bytes.append(UInt8(value >> 7) | 0x80)
            return bytes.append(UInt8(value & 0x7F))
        }
        var shift = UInt64((63 - value.leadingZeroBitCount) / 7 * 7)
        while shift > 0 {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift) & 0x7F | 0x80)
            shift -= 7
        }
        bytes.append(UInt8(value & 0x7F))
    }
}
