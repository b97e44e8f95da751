import Glibc

/// Reads a run, row by row.
final class RunCursor {
    /// The current row.
    let row: RecordCursor
    private let file: OpenFile
    private let size: Int
    private var position = 0
    private var buffer: UnsafeMutableRawBufferPointer
    private var start = 0
    private var filled = 0
    private let schema: TableSchema
    /// The current row's key.
    let key: PackedKey
    /// Rows before this key are skipped; nil once a row that is not before it was found.
    private var lower: PackedKey?
    /// The key at which the wanted rows end, exclusive.
    private let upper: PackedKey?

    /// - Parameters:
    ///   - start: Where a row begins, in bytes.
    ///   - lower: Only rows from this key on are wanted.
    ///   - upper: Only rows before this key are wanted.
    init(
        _ path: String, _ schema: TableSchema, at start: Int = 0, from lower: PackedKey? = nil,
        before upper: PackedKey? = nil, bufferBytes: Int = 1 << 17
    ) throws(KappaError) {
        self.schema = schema
        key = PackedKey(schema)
        self.lower = lower
        self.upper = upper
        position = start
        file = try OpenFile(reading: path)
        size = file.size
        row = RecordCursor(schema)
        buffer = .allocate(byteCount: bufferBytes, alignment: 8)
    }

    deinit { buffer.deallocate() }

    /// Moves to the next wanted row; false after the last.
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
    func key(at place: Int) throws(KappaError) -> PackedKey {
        (start, filled, position) = (0, 0, place)
        guard try read() else { throw damage() }
        let copy = PackedKey(schema)
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
            .damaged, "spilled rows cannot be read", at: file.path,
            advice: "`kappa rebuild VIEW` makes a new version; `kappa gc` then drops this one")
    }

    /// Makes sure that the buffer holds `count` bytes of the file, from `start` on.
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

/// The current rows of several runs, smallest key first; among rows of one key, the earliest run's first.
struct RunHeap {
    private struct Entry {
        let key: PackedKey.Start
        /// Index of the cursor; later runs have larger ones.
        let run: Int
    }

    private let cursors: [RunCursor]
    /// A binary heap: each entry sorts before the two at twice its index plus one and plus two.
    private var entries: [Entry] = []

    /// Takes cursors of runs, the earliest run first; nothing has been read from them yet.
    init(_ cursors: [RunCursor]) throws(KappaError) {
        self.cursors = cursors
        for run in cursors.indices { try advance(run) }
    }

    /// The run of the first row; nil where all are at their ends.
    var first: Int? { entries.first?.run }

    func cursor(_ run: Int) -> RunCursor { cursors[run] }

    /// Whether another row has the key of the first.
    var hasTwoOfFirst: Bool {
        for index in 1..<max(1, min(3, entries.count))
        where isSameKey(entries[0], entries[index]) { return true }
        return false
    }

    /// Removes all rows with the first one's key; their runs have no row here until ``advance(_:)``.
    mutating func takeFirstKey(into runs: inout [Int]) {
        runs.removeAll(keepingCapacity: true)
        guard let key = entries.first else { return }
        while let next = entries.first, isSameKey(key, next) {
            runs.append(next.run)
            let last = entries.removeLast()
            if !entries.isEmpty { siftDown(last) }
        }
    }

    /// Adds the next row of a run that has none here.
    mutating func advance(_ run: Int) throws(KappaError) {
        guard try cursors[run].next() else { return }
        let entry = Entry(key: cursors[run].key.start, run: run)
        entries.append(entry)
        var at = entries.count - 1
        while at > 0, isBefore(entry, entries[(at - 1) / 2]) {
            entries[at] = entries[(at - 1) / 2]
            at = (at - 1) / 2
        }
        entries[at] = entry
    }

    /// Replaces the first row by the next one of its run.
    mutating func advanceFirst() throws(KappaError) {
        let run = entries[0].run
        if try cursors[run].next() {
            siftDown(Entry(key: cursors[run].key.start, run: run))
        } else {
            let last = entries.removeLast()
            if !entries.isEmpty { siftDown(last) }
        }
    }

    /// Puts an entry into the first place and sifts it down.
    private mutating func siftDown(_ entry: Entry) {
        var at = 0
        while 2 * at + 1 < entries.count {
            var least = 2 * at + 1
            if least + 1 < entries.count, isBefore(entries[least + 1], entries[least]) {
                least += 1
            }
            guard isBefore(entries[least], entry) else { break }
            entries[at] = entries[least]
            at = least
        }
        entries[at] = entry
    }

    private func isBefore(_ a: Entry, _ b: Entry) -> Bool {
        if a.key.word != b.key.word { return a.key.word < b.key.word }
        if !a.key.isWhole {
            let order = compareKeys(a, b)
            if order != 0 { return order < 0 }
        }
        return a.run < b.run
    }

    private func isSameKey(_ a: Entry, _ b: Entry) -> Bool {
        a.key.word == b.key.word && (a.key.isWhole || compareKeys(a, b) == 0)
    }

    private func compareKeys(_ a: Entry, _ b: Entry) -> Int {
        ByteOrder.compare(cursors[a.run].key.bytes, cursors[b.run].key.bytes)
    }
}
