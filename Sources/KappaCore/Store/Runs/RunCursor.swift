import Glibc

/// Reads a run, row by row.
final class RunCursor {
    /// The present row.
    let row: RecordCursor
    private let file: OpenFile
    private let size: Int
    private var position = 0
    private var buffer: UnsafeMutableRawBufferPointer
    private var start = 0
    private var filled = 0
    private let keys: [(column: Int, isText: Bool)]
    private let schema: TableSchema
    /// The present row's key where it has to be compared as a whole.
    private let comparedKey: RowKey
    /// Rows before this one's key are passed over; nil once one was found that is not.
    private var lower: RunBound?
    /// Where the rows that are wanted end.
    private let upper: RunBound?
    private(set) var keyStart = KeyStart()

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
        row = RecordCursor(schema)
        keys = schema.keyColumns.map { column in
            (column, [.text, .json].contains(schema.columns[column].kind))
        }
        buffer = .allocate(byteCount: bufferBytes, alignment: 8)
    }

    deinit { buffer.deallocate() }

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
            if isText {
                key.set(part, row.text(column))
            } else {
                key.set(part, row.integer(column))
            }
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
        guard row.take(UnsafeRawBufferPointer(rebasing: buffer[start..<end])) else {
            throw damage()
        }
        start = end
        keyStart = findKeyStart()
        return true
    }

    /// The first part of the key, of a text up to 16 bytes with zeros behind them.
    private func findKeyStart() -> KeyStart {
        guard let (column, isText) = keys.first else { return KeyStart() }
        guard isText else {
            let word = UInt64(bitPattern: row.integer(column)) ^ (1 << 63)
            return KeyStart(word: UInt128(word), isWhole: keys.count == 1)
        }
        let text = row.text(column)
        var word = sixteenBytes(at: text)
        if text.count < 16 { word &= UInt128.max << UInt128(8 * (16 - text.count)) }
        // Zeros behind a text look like zeros in it.
        let isWhole = keys.count == 1 && text.count <= 16 && text.last != 0
        return KeyStart(word: word, isWhole: isWhole)
    }

    /// Bytes of the buffer, from a text's on, as a number, the first the highest.
    private func sixteenBytes(at text: UnsafeRawBufferPointer) -> UInt128 {
        guard let start = buffer.baseAddress, let first = text.baseAddress else { return 0 }
        let place = first - UnsafeRawPointer(start)
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
                let order = ByteOrder.compare(row.text(column), other.row.text(column))
                if order != 0 { return order }
            } else {
                let (a, b) = (row.integer(column), other.row.integer(column))
                if a != b { return a < b ? -1 : 1 }
            }
        }
        return 0
    }

    private func damage() -> KappaError {
        KappaError(
            .damaged, "rows that did not fit memory cannot be read", at: file.path,
            advice: "`kappa rebuild VIEW` makes a new version; `kappa gc` drops this one then")
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
}
