/// Notes which events touched which keys of a table, until a checkpoint writes them to the table's index.
///
/// A step passes it the records in which it has found its keys, so the index costs no lookup of its own.
/// The writer reads nothing that it has written but recent events, once, when the version is opened.
final class KeyIndexWriter {
    /// The table of the index in the store.
    private let table: Int
    /// Whether the step must report the stream time before each event.
    let keepsTimes: Bool
    private let notes: KeyNotes
    /// The stream time before each event of the current batch.
    private var timesBefore: [Int64] = []
    private var chunk: KeyIndexFormat.Chunk
    /// How many of the notes, from the first on, are in the store as recent events, and in which rows.
    private var recent = 0
    private var recentRows: [Int64] = []
    /// The row of recent events that the open commit adds; nil if it writes chunks.
    private var newRow: Int64?
    private let mostRecentBytes: Int

    /// - Parameters:
    ///   - keepsTimes: Whether the stream time before each event is kept with it.
    ///   - mostRecentBytes: How much memory the recent events may take.
    init(table: Int, keepsTimes: Bool, mostRecentBytes: Int) {
        self.table = table
        self.keepsTimes = keepsTimes
        self.mostRecentBytes = mostRecentBytes
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

    /// Reads the recent events of the store.
    func load(_ store: any RowStore) throws {
        var events: [KeyIndexFormat.Recent] = []
        try store.scan(table: table, prefix: 1) {
            $0.bind(0, KeyIndexFormat.recentHash)
        } _: { row in
            let first = row.integer(KeyIndexFormat.columns.first)
            events += try KeyIndexFormat.recent(
                from: UInt64(bitPattern: first), row.blob(KeyIndexFormat.columns.blob))
            recentRows.append(first)
        }
        notes.add(events)
        recent = notes.count
    }

    /// Writes what was noted since the last checkpoint, and the mark that says up to which offset the index
    /// holds events.
    /// - Parameter isSmall: Whether the commit may add recent events rather than chunks.
    func write(to transaction: any StoreTransaction, end: Offset, isSmall: Bool) throws {
        let writer = transaction.upsert(into: table)
        try Self.upsert(KeyIndexFormat.markHash, 0, KeyIndexFormat.mark(end), writer)
        newRow = nil
        if notes.count == recent { return }
        if isSmall, notes.memoryBytes <= mostRecentBytes {
            // Rows of recent events have smaller offsets the earlier they were added; the mark's is 0.
            let first = max(notes[recent].entry.offset, UInt64((recentRows.last ?? -1) + 1))
            newRow = Int64(first)
            let blob = KeyIndexFormat.recent(
                (recent..<notes.count).lazy.map { self.notes[$0] }, from: first)
            return try Self.upsert(KeyIndexFormat.recentHash, first, blob, writer)
        }
        try writeChunks(writer)
        if recentRows.isEmpty { return }
        let delete = transaction.delete(from: table)
        for first in recentRows {
            delete.bind(0, KeyIndexFormat.recentHash)
            delete.bind(1, first)
            try delete.execute()
        }
    }

    /// Writes all notes under the hashes of their keys.
    private func writeChunks(_ writer: any RowWriter) throws {
        // A failed commit may have left something.
        chunk.removeAll()
        try notes.forEachHash { events in
            // Several handlers of a batch run one after the other, so the events may be out of order.
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

    /// Merges what has spilled. Each run has its own chunks; of the marks, the last one is valid.
    func writeSpilled(_ rows: any SpilledRows, to transaction: any StoreTransaction) throws {
        try transaction.merge(rows, into: table, sideBySide: true, observer: nil) { marks, writer in
            guard let last = marks.last else { return }
            let end = KeyIndexFormat.end(ofMark: last.blob(KeyIndexFormat.columns.blob))
            try Self.upsert(
                KeyIndexFormat.markHash, 0, KeyIndexFormat.mark(end ?? .zero), writer)
        }
    }

    /// Call this once what was noted is in the store.
    func written() {
        if let newRow {
            recentRows.append(newRow)
            recent = notes.count
        } else if notes.count > recent {
            notes.removeAll()
            (recent, recentRows) = (0, [])
        }
        newRow = nil
    }
}

/// The key indexes that a version keeps, one for each indexed table.
final class KeyIndexes {
    private let store: any RowStore
    private let checkpoint: Checkpoint?
    private var writers: [KeyIndexWriter] = []
    private let mostRecentBytes: Int

    /// Recent events take this much memory at most: those of some ten thousand events.
    private static let mostRecentBytes = 1 << 18

    /// - Parameters:
    ///   - checkpoint: The store's last checkpoint; nil where nothing was committed.
    ///   - budgetBytes: How much memory the notes of all indexes may take.
    init(_ store: any RowStore, _ checkpoint: Checkpoint?, budgetBytes: Int) {
        self.store = store
        self.checkpoint = checkpoint
        mostRecentBytes = min(Self.mostRecentBytes, budgetBytes / 8)
    }

    /// Notes the events of a table; nil where the version keeps no index of it, or where the index ends
    /// short of the checkpoint: an index with a gap is useless, and its mark shows the gap.
    func writer(of table: Int?, keepsTimes: Bool) throws -> KeyIndexWriter? {
        guard let table, let index = store.keyIndex(of: table) else { return nil }
        if let checkpoint, store.spilled == nil {
            var end: Offset?
            _ = try store.lookUp(table: index) {
                $0.bind(0, KeyIndexFormat.markHash)
                $0.bind(1, Int64(0))
            } read: {
                end = KeyIndexFormat.end(ofMark: $0.blob(KeyIndexFormat.columns.blob))
            }
            guard end == checkpoint.offset else { return nil }
        }
        let writer = KeyIndexWriter(
            table: index, keepsTimes: keepsTimes, mostRecentBytes: mostRecentBytes)
        if checkpoint != nil, store.spilled == nil { try writer.load(store) }
        writers.append(writer)
        return writer
    }

    var isEmpty: Bool { writers.isEmpty }
    var memoryBytes: Int { writers.reduce(0) { $0 + $1.memoryBytes } }

    /// - Parameter isSmall: Whether it is a commit after the first one, so that recent events may stay recent.
    func write(to transaction: any StoreTransaction, end: Offset, isSmall: Bool) throws {
        for writer in writers { try writer.write(to: transaction, end: end, isSmall: isSmall) }
    }

    func writeSpilled(_ rows: any SpilledRows, to transaction: any StoreTransaction) throws {
        for writer in writers { try writer.writeSpilled(rows, to: transaction) }
    }

    func written() { for writer in writers { writer.written() } }
}
