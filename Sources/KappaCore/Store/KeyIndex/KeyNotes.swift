/// Which events touched which keys and are not in the index yet: in the order of the log, then sorted by the
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

    /// Adds events that were read back, before all others.
    func add(_ events: [KeyIndexFormat.Recent]) {
        reserve(events.count)
        base = events.map(\.entry.offset).min() ?? 0
        last = events.map(\.entry.offset).max() ?? 0
        for event in events {
            words[count] = UInt64(event.hash) << 32 | (event.entry.offset &- base) & 0xFFFF_FFFF
            if keepsTimes { times[count] = event.entry.streamTime }
            count += 1
        }
    }

    /// A note, in the order in which they were added, until they are sorted.
    subscript(_ index: Int) -> KeyIndexFormat.Recent {
        KeyIndexFormat.Recent(
            hash: UInt32(words[index] >> 32),
            entry: KeyIndexFormat.Entry(
                offset: base &+ words[index] & 0xFFFF_FFFF,
                streamTime: keepsTimes ? times[index] : 0))
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
