import CKappaJSON
import Glibc

/// Sorts the numbers of records by key, as the store orders keys: integers by value, texts by their
/// bytes.
///
/// The parts of a key are sorted one by one, from the last to the first. Each sort is stable, so the order of
/// later parts holds where earlier ones are equal. Neighboring integers that fit one word together are sorted
/// in one go. A word costs a radix pass for each digit in which words differ.
struct KeySort: ~Copyable {
    private struct Entry {
        var word: UInt64
        var id: UInt32
    }

    /// The memory that sorting takes for each row, in bytes.
    static let bytesPerRow = 2 * MemoryLayout<Entry>.stride + 8

    private var entries: UnsafeMutableBufferPointer<Entry>
    private var scratch: UnsafeMutableBufferPointer<Entry>

    init(_ ids: [UInt32]) {
        entries = Self.memory(ids.count)
        scratch = Self.memory(ids.count)
        for (index, id) in ids.enumerated() { entries[index] = Entry(word: 0, id: id) }
    }

    deinit {
        free(entries.baseAddress)
        free(scratch.baseAddress)
    }

    private static func memory(_ count: Int) -> UnsafeMutableBufferPointer<Entry> {
        let bytes = max(1, count) * MemoryLayout<Entry>.stride
        return UnsafeMutableBufferPointer(
            start: LargeMemory.resized(nil, byteCount: bytes)
                .bindMemory(to: Entry.self, capacity: count),
            count: count)
    }

    /// The numbers in order.
    var ids: [UInt32] { entries.map(\.id) }

    // MARK: Integers

    mutating func sortByIntegers(_ integer: (UInt32) -> Int64) {
        sortByIntegers(parts: 0..<1) { id, _ in integer(id) }
    }

    /// Sorts by several integers, the first of which counts most.
    mutating func sortByIntegers(parts: Range<Int>, _ integer: (UInt32, Int) -> Int64) {
        var used = 0
        for part in parts.reversed() {
            var values = load { integer($0, part) }
            if used + values.bits > 64 {
                sortWords()
                used = 0
                values = load { integer($0, part) }
            }
            add(values, above: used)
            used += values.bits
        }
        sortWords()
    }

    /// How integers can be shortened: the distance of each from the least, divided by a power of two that
    /// divides all distances, fits `bits` bits.
    private struct Values {
        var least: UInt64 = 0
        var shift: UInt64 = 0
        var bits = 0
    }

    /// Puts the integer of each entry into the scratch memory, as a word; the words have the integers' order.
    private func load(_ integer: (UInt32) -> Int64) -> Values {
        guard let first = entries.first else { return Values() }
        let firstWord = ByteOrder.word(integer(first.id))
        var (least, most, differing) = (firstWord, firstWord, UInt64(0))
        for index in entries.indices {
            let word = ByteOrder.word(integer(entries[index].id))
            least = min(least, word)
            most = max(most, word)
            differing |= word ^ firstWord
            scratch[index].word = word
        }
        if differing == 0 { return Values(least: least) }
        let shift = differing.trailingZeroBitCount
        let bits = 64 - ((most - least) >> UInt64(shift)).leadingZeroBitCount
        return Values(least: least, shift: UInt64(shift), bits: bits)
    }

    /// Adds the loaded integers to the words, above the bits that are used.
    private mutating func add(_ values: Values, above used: Int) {
        if used == 0 {
            for index in entries.indices {
                entries[index].word = (scratch[index].word &- values.least) &>> values.shift
            }
        } else if values.bits > 0 {
            let used = UInt64(used)
            for index in entries.indices {
                let word = (scratch[index].word &- values.least) &>> values.shift
                entries[index].word |= word &<< used
            }
        }
    }

    // MARK: Texts

    /// Sorts by texts: by the eight bytes after the common prefix, and where these are equal, by the whole
    /// text.
    mutating func sortByTexts(_ text: (UInt32) -> UnsafeRawBufferPointer) {
        let common = commonPrefix(text)
        for index in entries.indices {
            entries[index].word = ByteOrder.word(of: text(entries[index].id), from: common)
        }
        sortWords()
        var start = 0
        while start < entries.count {
            var end = start + 1
            while end < entries.count, entries[end].word == entries[start].word { end += 1 }
            if end - start > 1 { sortRun(start..<end, text) }
            start = end
        }
    }

    /// The length of the texts' common prefix, in bytes.
    private func commonPrefix(_ text: (UInt32) -> UnsafeRawBufferPointer) -> Int {
        guard let first = entries.first.map({ text($0.id) }) else { return 0 }
        var common = first.count
        for entry in entries where common > 0 {
            let other = text(entry.id)
            common = min(common, other.count)
            var same = 0
            while same < common, first[same] == other[same] { same += 1 }
            common = same
        }
        return common
    }

    private mutating func sortRun(
        _ run: Range<Int>, _ text: (UInt32) -> UnsafeRawBufferPointer
    ) {
        let first = text(entries[run.lowerBound].id)
        if run.dropFirst().allSatisfy({ ByteOrder.compare(first, text(entries[$0].id)) == 0 }) {
            return
        }
        // Positions break ties, which keeps the sort stable.
        let sorted = run.sorted { a, b in
            let order = ByteOrder.compare(text(entries[a].id), text(entries[b].id))
            return order != 0 ? order < 0 : a < b
        }
        move(sorted, to: run.lowerBound)
    }

    // MARK: Words

    private static let fewEntries = 256

    private mutating func sortWords() {
        if zip(entries, entries.dropFirst()).allSatisfy({ $0.word <= $1.word }) { return }
        guard entries.count > Self.fewEntries else {
            let sorted = entries.indices.sorted { a, b in
                (entries[a].word, a) < (entries[b].word, b)
            }
            return move(sorted, to: 0)
        }
        var differing: UInt64 = 0
        for entry in entries { differing |= entry.word ^ entries[0].word }
        let low = differing.trailingZeroBitCount
        let bits = 64 - differing.leadingZeroBitCount - low
        // At most as many digits as a processor's first-level cache has lines; for many entries, fewer
        // passes are worth more.
        let mostBits = entries.count < 1 << 14 ? 8 : 11
        let passes = (bits + mostBits - 1) / mostBits
        let digit = (bits + passes - 1) / passes
        for number in 0..<passes { pass(UInt64(low + number * digit), bits: digit) }
    }

    /// Sorts by some bits of the words.
    private mutating func pass(_ shift: UInt64, bits: Int) {
        let (source, target) = (entries, scratch)
        let mask: UInt64 = 1 << UInt64(bits) - 1
        withUnsafeTemporaryAllocation(of: Int.self, capacity: 1 << bits) { places in
            RadixSort.pass(source.count, places) {
                Int(source[$0].word &>> shift & mask)
            } move: {
                target[$1] = source[$0]
            }
        }
        swap(&entries, &scratch)
    }

    /// Moves the entries at some indices to consecutive positions, from `start` on.
    private mutating func move(_ indices: [Int], to start: Int) {
        let moved = indices.map { entries[$0] }
        for (index, entry) in moved.enumerated() { entries[start + index] = entry }
    }
}

/// The order of keys, as the store has it: integers by value, texts by their bytes.
enum KeyOrder {
    static func sort(_ ids: inout [UInt32], in table: GroupTable) {
        guard ids.count > 1, table.keyParts > 0 else { return }
        var sort = KeySort(ids)
        var end = table.keyParts
        while end > 0 {
            var start = end - 1
            if table.isText(start) {
                sort.sortByTexts { table.textKey($0, start) }
            } else {
                while start > 0, !table.isText(start - 1) { start -= 1 }
                sort.sortByIntegers(parts: start..<end) { table.integerKey($0, $1) }
            }
            end = start
        }
        ids = sort.ids
    }

    /// The numbers of windows, sorted by the windows' starts and keys. Each key is sorted only once: windows
    /// are sorted by their keys' ranks.
    /// - Parameter startsFirst: Whether the start comes before the key.
    static func sorted(
        _ windows: [UInt32], in keys: GroupTable, key: (UInt32) -> UInt32,
        start: (UInt32) -> Int64, startsFirst: Bool
    ) -> [UInt32] {
        var ranks = [UInt32](repeating: .max, count: keys.count)
        var used: [UInt32] = []
        for id in windows where ranks[Int(key(id))] == .max {
            ranks[Int(key(id))] = 0
            used.append(key(id))
        }
        sort(&used, in: keys)
        for (rank, key) in used.enumerated() { ranks[Int(key)] = UInt32(rank) }
        var sort = KeySort(windows)
        if !startsFirst { sort.sortByIntegers(start) }
        sort.sortByIntegers { Int64(ranks[Int(key($0))]) }
        if startsFirst { sort.sortByIntegers(start) }
        return sort.ids
    }
}
