import Glibc

/// Reads a run, row by row.
final class RunCursor: RowCursor {
    private let file: OpenFile
    private let size: Int
    private var position = 0
    private var buffer: UnsafeMutableRawBufferPointer
    private var start = 0
    private var filled = 0
    /// The type and place of each cell of the present row, in the order of the table's columns.
    private let cells: UnsafeMutablePointer<(type: UInt64, at: Int)>
    /// The column that stands at each place of a record.
    private let order: UnsafeMutableBufferPointer<Int>
    private let keys: [(column: Int, isText: Bool)]
    private let schema: TableSchema
    /// The present row's key where it has to be compared as a whole.
    private let comparedKey: RowKey
    /// Rows before this one's key are passed over; nil once one was found that is not.
    private var lower: RunBound?
    /// Where the rows that are wanted end.
    private let upper: RunBound?
    private(set) var keyStart = KeyStart()
    /// The present row as it was written.
    private(set) var record = UnsafeRawBufferPointer(start: nil, count: 0)

    /// What a row's key begins with.
    struct KeyStart {
        /// As a number that orders as keys do.
        var word: UInt128 = 0
        /// Whether that is all of the key.
        var isWhole = false
    }

    /// - Parameters:
    ///   - start: Where a row begins, in bytes.
    ///   - lower: Only rows from this key on are wanted.
    ///   - upper: Only rows before this key are wanted.
    init(
        _ path: String, _ schema: TableSchema, at start: Int = 0, from lower: RunBound? = nil,
        before upper: RunBound? = nil, bufferBytes: Int = 1 << 17
    ) throws(KappaError) {
        self.schema = schema
        comparedKey = RowKey(schema)
        self.lower = lower
        self.upper = upper
        position = start
        file = try OpenFile(reading: path)
        size = file.size
        let order = BulkRow.order(of: schema)
        self.order = .allocate(capacity: order.count)
        _ = self.order.initialize(from: order)
        keys = schema.keyColumns.map { column in
            (column, [.text, .json].contains(schema.columns[column].kind))
        }
        cells = .allocate(capacity: order.count)
        buffer = .allocate(byteCount: bufferBytes, alignment: 8)
    }

    deinit {
        buffer.deallocate()
        cells.deallocate()
        order.deallocate()
    }

    /// Goes to the next row that is wanted; false behind the last.
    func next() throws(KappaError) -> Bool {
        guard try read() else { return false }
        while let bound = lower {
            guard isBefore(bound) else {
                lower = nil
                break
            }
            guard try read() else { return false }
        }
        return upper.map { isBefore($0) } ?? true
    }

    /// The key of the row that begins at a place.
    func bound(at place: Int) throws(KappaError) -> RunBound {
        (start, filled, position) = (0, 0, place)
        guard try read() else { throw damage() }
        let key = RowKey(schema)
        copyKey(to: key)
        return RunBound(start: keyStart, key: key)
    }

    private func isBefore(_ bound: RunBound) -> Bool {
        if keyStart.word != bound.start.word { return keyStart.word < bound.start.word }
        copyKey(to: comparedKey)
        return comparedKey.isBefore(bound.key)
    }

    private func copyKey(to key: RowKey) {
        for (part, (column, isText)) in keys.enumerated() {
            if isText { key.set(part, text(column)) } else { key.set(part, integer(column)) }
        }
    }

    private func read() throws(KappaError) -> Bool {
        if start == filled, position == size { return false }
        try need(4)
        let length = Int(
            UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
        try need(4 + length)
        start += 4
        let end = start + length
        guard parse(to: end) else { throw damage() }
        record = UnsafeRawBufferPointer(rebasing: buffer[start..<end])
        start = end
        keyStart = findKeyStart()
        return true
    }

    /// The first part of the key, of a text up to 16 bytes with zeros behind them.
    private func findKeyStart() -> KeyStart {
        guard let (column, isText) = keys.first else { return KeyStart() }
        guard isText else {
            let word = UInt64(bitPattern: integer(column)) ^ (1 << 63)
            return KeyStart(word: UInt128(word), isWhole: keys.count == 1)
        }
        let text = text(column)
        var word = sixteenBytes(at: cells[column].at)
        if text.count < 16 { word &= UInt128.max << UInt128(8 * (16 - text.count)) }
        // Zeros behind a text look like zeros in it.
        let isWhole = keys.count == 1 && text.count <= 16 && text.last != 0
        return KeyStart(word: word, isWhole: isWhole)
    }

    /// Bytes of the buffer as a number, the first the highest.
    private func sixteenBytes(at place: Int) -> UInt128 {
        guard place + 16 <= buffer.count else {
            return buffer[place...].reduce(0) { $0 << 8 | UInt128($1) }
                << UInt128(8 * (16 - (buffer.count - place)))
        }
        let high = UInt64(bigEndian: buffer.loadUnaligned(fromByteOffset: place, as: UInt64.self))
        let low = UInt64(
            bigEndian: buffer.loadUnaligned(fromByteOffset: place + 8, as: UInt64.self))
        return UInt128(high) << 64 | UInt128(low)
    }

    /// Negative, zero or positive, as the present row's key stands before, at or behind another's.
    func compareKey(_ other: RunCursor) -> Int {
        for (column, isText) in keys {
            if isText {
                let order = KeyOrder.compare(text(column), other.text(column))
                if order != 0 { return order }
            } else {
                let (a, b) = (integer(column), other.integer(column))
                if a != b { return a < b ? -1 : 1 }
            }
        }
        return 0
    }

    private func damage() -> KappaError {
        KappaError(
            .damaged, "rows that did not fit memory cannot be read", at: file.path,
            advice: "Drop the version with `kappa abort` and rebuild the view")
    }

    /// Has so many bytes of the file in the buffer, from `start` on.
    private func need(_ count: Int) throws(KappaError) {
        guard filled - start < count else { return }
        if count > buffer.count {
            let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: count * 2, alignment: 8)
            larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<filled]))
            buffer.deallocate()
            buffer = larger
        } else if start > 0 {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<filled]))
        }
        filled -= start
        start = 0
        let read = try file.read(
            UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]), at: position)
        position += read
        filled += read
        if filled < count { throw damage() }
    }

    private func parse(to end: Int) -> Bool {
        var at = start
        guard let headerSize = varint(&at, end) else { return false }
        let headerEnd = start + Int(headerSize)
        var body = headerEnd
        for column in order {
            guard at < headerEnd, let type = varint(&at, headerEnd) else { return false }
            cells[column] = (type, body)
            body += Self.bytes(of: type)
        }
        return body == end
    }

    private func varint(_ at: inout Int, _ end: Int) -> UInt64? {
        var value: UInt64 = 0
        while at < end {
            let byte = buffer[at]
            at += 1
            value = value << 7 | UInt64(byte & 0x7F)
            if byte < 0x80 { return value }
        }
        return nil
    }

    private static func bytes(of type: UInt64) -> Int {
        switch type {
        case 0, 8, 9: 0
        case 1...4: Int(type)
        case 5: 6
        case 6, 7: 8
        default: Int(type - 12) / 2
        }
    }

    private func word(_ index: Int) -> UInt64 {
        let (type, at) = cells[index]
        let bytes = Self.bytes(of: type)
        var word: UInt64 = bytes > 0 && buffer[at] >= 0x80 ? .max : 0
        for place in at..<(at + bytes) { word = word << 8 | UInt64(buffer[place]) }
        return word
    }

    func isNull(_ index: Int) -> Bool { cells[index].type == 0 }
    func integer(_ index: Int) -> Int64 {
        switch cells[index].type {
        case 8: 0
        case 9: 1
        default: Int64(bitPattern: word(index))
        }
    }
    func double(_ index: Int) -> Double {
        cells[index].type == 7
            ? Double(bitPattern: word(index)) : Double(integer(index))
    }
    func text(_ index: Int) -> UnsafeRawBufferPointer {
        let (type, at) = cells[index]
        return UnsafeRawBufferPointer(rebasing: buffer[at..<(at + Self.bytes(of: type))])
    }
    func blob(_ index: Int) -> UnsafeRawBufferPointer { text(index) }
    func storage(_ index: Int) -> CellStorage {
        switch cells[index].type {
        case 0: .null
        case 7: .double
        case let type where type < 12: .integer
        case let type: type & 1 == 1 ? .text : .blob
        }
    }
}
