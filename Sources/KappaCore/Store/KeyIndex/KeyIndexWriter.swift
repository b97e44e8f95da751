/// Notes which events touched which key of a table, until a checkpoint writes them to the table's index.
///
/// It is told the records in which a step has found its keys, so it costs no look-up of its own. What is
/// written is never read here.
final class KeyIndexWriter {
    /// The table of the index in the store.
    private let table: Int
    /// Whether the step is to tell the stream time before each event.
    let keepsTimes: Bool
    private let notes: KeyNotes
    /// The stream time before each event of the batch at hand.
    private var timesBefore: [Int64] = []
    private var chunk: KeyIndexFormat.Chunk

    /// - Parameter keepsTimes: Whether the stream time before each event is kept with it.
    init(table: Int, keepsTimes: Bool) {
        self.table = table
        self.keepsTimes = keepsTimes
        notes = KeyNotes(keepsTimes: keepsTimes)
        chunk = KeyIndexFormat.Chunk(keepsTimes: keepsTimes)
    }

    var memoryBytes: Int { notes.memoryBytes }

    // MARK: Noting

    func begin(events count: Int) {
        guard keepsTimes, timesBefore.count < count else { return }
        timesBefore = [Int64](repeating: .min, count: count)
    }

    @inline(__always)
    func note(_ event: Int32, streamTimeBefore time: Int64) { timesBefore[Int(event)] = time }

    /// Notes the events of a batch under the keys of their records.
    func add(
        _ events: ArraySlice<Int32>, _ ids: [UInt32], of keys: GroupTable, firstOffset: Offset
    ) {
        notes.add(events, ids, of: keys, firstOffset: firstOffset, timesBefore)
    }

    // MARK: Writing

    /// Writes what was noted since the last checkpoint, and up to where events are in the index.
    func write(to transaction: any StoreTransaction, end: Offset) throws {
        let writer = transaction.upsert(into: table)
        try Self.upsert(KeyIndexFormat.markHash, 0, KeyIndexFormat.mark(end), writer)
        // Of a commit that failed, something may be left.
        chunk.removeAll()
        try notes.forEachHash { events in
            // Where several handlers take the events of a batch, they do so one after the other.
            if events.isInOrder {
                for index in 0..<events.count { try add(events[index], events.hash, writer) }
            } else {
                let sorted = (0..<events.count).map { events[$0] }.sorted { $0.offset < $1.offset }
                for entry in sorted { try add(entry, events.hash, writer) }
            }
            try writeChunk(events.hash, writer)
        }
    }

    @inline(__always)
    private func add(
        _ entry: KeyIndexFormat.Entry, _ hash: UInt32, _ writer: any RowWriter
    ) throws {
        if chunk.isLast(entry) { return }
        if chunk.isFull { try writeChunk(hash, writer) }
        chunk.add(entry)
    }

    private func writeChunk(_ hash: UInt32, _ writer: any RowWriter) throws {
        if chunk.isEmpty { return }
        try Self.upsert(Int64(hash), chunk.first, chunk.bytes, writer)
        chunk.removeAll()
    }

    private static func upsert(
        _ hash: Int64, _ first: UInt64, _ blob: [UInt8], _ writer: any RowWriter
    ) throws {
        try blob.withUnsafeBytes { bytes in
            writer.bind(KeyIndexFormat.columns.hash, hash)
            writer.bind(KeyIndexFormat.columns.first, Int64(bitPattern: first))
            writer.bind(KeyIndexFormat.columns.blob, blob: bytes)
            try writer.execute()
        }
    }

    /// Merges what has spilled: each run has chunks of its own, and of the marks the last one holds.
    func writeSpilled(_ rows: any SpilledRows, to transaction: any StoreTransaction) throws {
        try transaction.merge(rows, into: table, sideBySide: true, telling: nil) { marks, writer in
            guard let last = marks.last else { return }
            let end = KeyIndexFormat.end(ofMark: last.blob(KeyIndexFormat.columns.blob))
            try Self.upsert(
                KeyIndexFormat.markHash, 0, KeyIndexFormat.mark(end ?? .zero), writer)
        }
    }

    /// What was noted is in the store.
    func written() { notes.removeAll() }
}
