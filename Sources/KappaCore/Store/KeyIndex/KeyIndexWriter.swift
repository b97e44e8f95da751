/// Notes which events touched which keys of a table, until a checkpoint writes them to the table's index.
///
/// A step passes it the records in which it has found its keys, so the index costs no lookup of its own.
/// The writer never reads what it has written.
final class KeyIndexWriter {
    /// The table of the index in the store.
    private let table: Int
    /// Whether the step must report the stream time before each event.
    let keepsTimes: Bool
    private let notes: KeyNotes
    /// The stream time before each event of the current batch.
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

    /// Writes what was noted since the last checkpoint, and the mark that says up to which offset the index
    /// holds events.
    func write(to transaction: any StoreTransaction, end: Offset) throws {
        let writer = transaction.upsert(into: table)
        try Self.upsert(KeyIndexFormat.markHash, 0, KeyIndexFormat.mark(end), writer)
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
    func written() { notes.removeAll() }
}

/// The key indexes that a version keeps, one for each indexed table.
final class KeyIndexes {
    private let store: any RowStore
    private let checkpoint: Checkpoint?
    private var writers: [KeyIndexWriter] = []

    /// - Parameter checkpoint: The store's last checkpoint; nil where nothing was committed.
    init(_ store: any RowStore, _ checkpoint: Checkpoint?) {
        self.store = store
        self.checkpoint = checkpoint
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
        let writer = KeyIndexWriter(table: index, keepsTimes: keepsTimes)
        writers.append(writer)
        return writer
    }

    var isEmpty: Bool { writers.isEmpty }
    var memoryBytes: Int { writers.reduce(0) { $0 + $1.memoryBytes } }

    func write(to transaction: any StoreTransaction, end: Offset) throws {
        for writer in writers { try writer.write(to: transaction, end: end) }
    }

    func writeSpilled(_ rows: any SpilledRows, to transaction: any StoreTransaction) throws {
        for writer in writers { try writer.writeSpilled(rows, to: transaction) }
    }

    func written() { for writer in writers { writer.written() } }
}

/// Which events touched which keys since the last checkpoint: in the order of the log, then sorted by the
/// hash of the key.
///
/// It uses raw memory, since a replay notes some bytes for each event. One word holds the hash and the
/// event's offset, as its distance from the first offset. So sorting leaves everything in the order in
/// which it is written, without random access.
final class KeyNotes {
    private var words: UnsafeMutablePointer<UInt64>
    /// Used only where times are kept.
    private var times: UnsafeMutablePointer<Int64>
    private let keepsTimes: Bool
    private var capacity = 0
    private(set) var count = 0
    /// The offset from which the others are counted.
    private var base: UInt64 = 0
    private var last: UInt64 = 0

    init(keepsTimes: Bool) {
        self.keepsTimes = keepsTimes
        words = .allocate(capacity: 0)
        times = .allocate(capacity: 0)
    }

    deinit {
        words.deallocate()
        times.deallocate()
    }

    /// Includes what sorting takes temporarily. Before offsets get too far apart for a word, this exceeds
    /// any budget, which forces a checkpoint.
    var memoryBytes: Int {
        count > 0 && last - base > 1 << 31 ? 1 << 60 : count * (keepsTimes ? 32 : 16)
    }

    func removeAll() { count = 0 }

    /// Notes events under the hashes of their records.
    /// - Parameter timesBefore: The stream time before each event of the batch, if times are kept.
    func add(
        _ events: ArraySlice<Int32>, _ ids: [UInt32], of keys: GroupTable, firstOffset: Offset,
        _ timesBefore: [Int64]
    ) {
        guard !ids.isEmpty else { return }
        reserve(count + ids.count)
        if count == 0 { base = firstOffset.rawValue }
        last = firstOffset.rawValue
        let (words, times) = (words, times)
        let first = firstOffset.rawValue - base
        var count = count
        var newest: UInt64?
        events.withUnsafeBufferPointer { events in
            timesBefore.withUnsafeBufferPointer { timesBefore in
                ids.withUnsafeBufferPointer { ids in
                    for index in 0..<min(ids.count, events.count) {
                        let event = Int(events[index])
                        let distance = (first &+ UInt64(truncatingIfNeeded: event)) & 0xFFFF_FFFF
                        let word = UInt64(keys.hash(ids[index])) << 32 | distance
                        // An event may produce several rows of one key.
                        if word == newest { continue }
                        newest = word
                        words[count] = word
                        if keepsTimes { times[count] = timesBefore[event] }
                        count &+= 1
                    }
                }
            }
        }
        self.count = count
    }

    private func reserve(_ needed: Int) {
        guard needed > capacity else { return }
        capacity = max(needed, 2 * capacity, 4_096)
        words = Self.moved(words, count, capacity)
        if keepsTimes { times = Self.moved(times, count, capacity) }
    }

    private static func moved<Word>(
        _ memory: UnsafeMutablePointer<Word>, _ count: Int, _ capacity: Int
    ) -> UnsafeMutablePointer<Word> {
        let larger = UnsafeMutablePointer<Word>.allocate(capacity: capacity)
        larger.moveInitialize(from: memory, count: count)
        memory.deallocate()
        return larger
    }

    // MARK: Sorted

    /// The events of one hash, by number from 0.
    struct Events {
        let hash: UInt32
        fileprivate let base: UInt64
        fileprivate let words: UnsafePointer<UInt64>
        fileprivate let times: UnsafePointer<Int64>?
        let count: Int

        @inline(__always)
        subscript(_ index: Int) -> KeyIndexFormat.Entry {
            KeyIndexFormat.Entry(
                offset: base &+ words[index] & 0xFFFF_FFFF, streamTime: times?[index] ?? .min)
        }

        /// Whether the events are in the order of the log.
        var isInOrder: Bool {
            for index in 1..<max(1, count) where words[index] < words[index - 1] { return false }
            return true
        }
    }

    /// Visits the events of each hash, in the order of the hashes.
    func forEachHash(_ visit: (Events) throws -> Void) rethrows {
        sort()
        var start = 0
        while start < count {
            let hash = words[start] >> 32
            var end = start + 1
            while end < count, words[end] >> 32 == hash { end += 1 }
            try visit(
                Events(
                    hash: UInt32(hash), base: base, words: words + start,
                    times: keepsTimes ? UnsafePointer(times + start) : nil, count: end - start))
            start = end
        }
    }

    /// Sorts by the upper half of the words; the order of the events of one hash stays.
    private func sort() {
        var (toWords, toTimes) = (words, times)
        toWords = .allocate(capacity: capacity)
        toTimes = .allocate(capacity: keepsTimes ? capacity : 0)
        for shift in stride(from: UInt64(32), to: 64, by: 8) where !isSorted(by: shift) {
            sort(by: shift, toWords, toTimes)
            swap(&words, &toWords)
            swap(&times, &toTimes)
        }
        toWords.deallocate()
        toTimes.deallocate()
    }

    private func isSorted(by shift: UInt64) -> Bool {
        for index in 1..<max(1, count)
        where words[index] >> shift & 0xFF < words[index - 1] >> shift & 0xFF { return false }
        return true
    }

    private func sort(
        by shift: UInt64, _ toWords: UnsafeMutablePointer<UInt64>,
        _ toTimes: UnsafeMutablePointer<Int64>
    ) {
        let (words, times, count, keepsTimes) = (words, times, count, keepsTimes)
        withUnsafeTemporaryAllocation(of: Int.self, capacity: 256) { places in
            RadixSort.pass(count, places) {
                Int(words[$0] >> shift & 0xFF)
            } move: {
                toWords[$1] = words[$0]
                if keepsTimes { toTimes[$1] = times[$0] }
            }
        }
    }
}
