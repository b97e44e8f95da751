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
    private let schema: TableSchema
    /// The present row's key.
    let key: RowKey
    /// Rows before this key are passed over; nil once one was found that is not.
    private var lower: RowKey?
    /// Where the rows that are wanted end.
    private let upper: RowKey?

    /// - Parameters:
    ///   - start: Where a row begins, in bytes.
    ///   - lower: Only rows from this key on are wanted.
    ///   - upper: Only rows before this key are wanted.
    init(
        _ path: String, _ schema: TableSchema, at start: Int = 0, from lower: RowKey? = nil,
        before upper: RowKey? = nil, bufferBytes: Int = 1 << 17
    ) throws(KappaError) {
        self.schema = schema
        key = RowKey(schema)
        self.lower = lower
        self.upper = upper
        position = start
        file = try OpenFile(reading: path)
        size = file.size
        row = RecordCursor(schema)
        buffer = .allocate(byteCount: bufferBytes, alignment: 8)
    }

    deinit { buffer.deallocate() }

    /// Goes to the next row that is wanted; false behind the last.
    func next() throws(KappaError) -> Bool {
        guard try read() else { return false }
        while let bound = lower {
            guard key.isBefore(bound) else {
                lower = nil
                break
            }
            guard try read() else { return false }
        }
        return upper.map { key.isBefore($0) } ?? true
    }

    /// The key of the row that begins at a place.
    func key(at place: Int) throws(KappaError) -> RowKey {
        (start, filled, position) = (0, 0, place)
        guard try read() else { throw damage() }
        let copy = RowKey(schema)
        copy.set(key)
        return copy
    }

    private func read() throws(KappaError) -> Bool {
        if start == filled, position == size { return false }
        try need(4)
        let length = Int(UnsafeRawBufferPointer(buffer).number(UInt32.self, at: start))
        try need(4 + length)
        start += 4
        let end = start + length
        guard row.take(UnsafeRawBufferPointer(rebasing: buffer[start..<end])) else {
            throw damage()
        }
        start = end
        key.set(row)
        return true
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
