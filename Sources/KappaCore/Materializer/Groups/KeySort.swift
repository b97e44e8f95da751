import CKappaJSON
import Glibc

/// Sorts the numbers of records by key, as the store orders keys: integers by value, texts by their
/// bytes.
///
/// Parts of a key are sorted by from the last to the first; each sort is stable, so the order of the
/// later parts holds where earlier ones are equal. One part costs a radix pass for each byte in which
/// its words differ.
struct KeySort {
    private struct Entry {
        var word: UInt64
        var id: UInt32
    }

    /// What sorting takes for each row.
    static let bytesPerRow = 2 * MemoryLayout<Entry>.stride + 8

    private var entries: [Entry]
    private var scratch: [Entry] = []

    init(_ ids: [UInt32]) { entries = ids.map { Entry(word: 0, id: $0) } }

    /// The numbers in order.
    var ids: [UInt32] { entries.map(\.id) }

    mutating func sortByIntegers(_ integer: (UInt32) -> Int64) {
        for index in entries.indices {
            // With the sign turned round, the words order as the integers do.
            entries[index].word = UInt64(bitPattern: integer(entries[index].id)) ^ (1 << 63)
        }
        sortWords()
    }

    /// Sorts by texts: by the eight bytes behind what all of them begin with, and where these are
    /// equal by the whole text.
    mutating func sortByTexts(_ text: (UInt32) -> UnsafeRawBufferPointer) {
        let common = commonPrefix(text)
        for index in entries.indices {
            entries[index].word = Self.word(of: text(entries[index].id), from: common)
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

    /// How many bytes all texts begin with alike.
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

    /// Eight bytes of a text as a number that orders as they do; zeros behind the end.
    private static func word(of text: UnsafeRawBufferPointer, from start: Int) -> UInt64 {
        if text.count >= start + 8 {
            return UInt64(
                bigEndian: text.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        }
        var word: UInt64 = 0
        for index in start..<max(start, text.count) {
            word |= UInt64(text[index]) << UInt64(56 - 8 * (index - start))
        }
        return word
    }

    private mutating func sortRun(
        _ run: Range<Int>, _ text: (UInt32) -> UnsafeRawBufferPointer
    ) {
        let first = text(entries[run.lowerBound].id)
        if run.dropFirst().allSatisfy({ KeyOrder.compare(first, text(entries[$0].id)) == 0 }) {
            return
        }
        // Places break ties, which keeps the sort stable.
        let sorted = run.sorted { a, b in
            let order = KeyOrder.compare(text(entries[a].id), text(entries[b].id))
            return order != 0 ? order < 0 : a < b
        }
        entries.replaceSubrange(run, with: sorted.map { entries[$0] })
    }

    // MARK: Words

    private static let fewEntries = 256

    private mutating func sortWords() {
        if zip(entries, entries.dropFirst()).allSatisfy({ $0.word <= $1.word }) { return }
        guard entries.count > Self.fewEntries else {
            let sorted = entries.indices.sorted { a, b in
                (entries[a].word, a) < (entries[b].word, b)
            }
            entries = sorted.map { entries[$0] }
            return
        }
        var differing: UInt64 = 0
        for entry in entries { differing |= entry.word ^ entries[0].word }
        scratch = entries
        for byte in 0..<8 where differing >> UInt64(8 * byte) & 0xFF != 0 { pass(UInt64(8 * byte)) }
        scratch = []
    }

    /// Sorts by one byte of the words.
    private mutating func pass(_ shift: UInt64) {
        entries.withUnsafeBufferPointer { source in
            scratch.withUnsafeMutableBufferPointer { target in
                withUnsafeTemporaryAllocation(of: Int.self, capacity: 256) { places in
                    places.initialize(repeating: 0)
                    for entry in source { places[Int(entry.word >> shift & 0xFF)] += 1 }
                    var next = 0
                    for digit in 0..<256 {
                        let count = places[digit]
                        places[digit] = next
                        next += count
                    }
                    for entry in source {
                        let digit = Int(entry.word >> shift & 0xFF)
                        target[places[digit]] = entry
                        places[digit] += 1
                    }
                }
            }
        }
        swap(&entries, &scratch)
    }
}
