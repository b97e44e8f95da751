import Glibc

/// Aggregates sliding windows of one key after another, in the order of their ends.
///
/// A queue of two stacks: windows only move on, so what is merged is kept as the aggregates of all
/// suffixes of an older stretch and that of a newer one as a whole. Each element is merged some three
/// times, however many windows hold it. For aggregates that merge in any order.
final class SlidingSweep {
    private let elements: SlidingElements
    private let rows: GroupRows
    private let byteCount: Int
    private var ids: [UInt32] = []
    /// The window is `ids[low..<high]`. The suffixes are those of `ids[base..<middle]`, and what is
    /// behind is in `newer`.
    private var (base, low, middle, high) = (0, 0, 0, 0)
    private var suffixes: UnsafeMutableRawPointer
    private var capacity = 64
    private let newer: UnsafeMutableRawPointer

    init(_ elements: SlidingElements, _ rows: GroupRows) {
        self.elements = elements
        self.rows = rows
        byteCount = SlidingElements.stateOffset + rows.stateBytes
        suffixes = .allocate(byteCount: capacity * byteCount, alignment: 16)
        newer = .allocate(byteCount: byteCount, alignment: 16)
    }

    deinit {
        suffixes.deallocate()
        newer.deallocate()
    }

    /// Begins with a key's elements by time, and the window that begins at `start`.
    func begin(_ ids: [UInt32], at start: Int64) {
        self.ids = ids
        restart(at: start)
    }

    private func restart(at start: Int64) {
        low = SlidingElements.firstIndex(in: ids) { elements.time($0) >= start }
        (base, middle, high) = (low, low, low)
        newer.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    /// Merges the elements from `start` to `end`, both included, into an empty record. Neither may be
    /// earlier than those of the call before.
    /// - Throws: where a sum of some of them does not fit. The sum of all may.
    func aggregate(
        from start: Int64, upTo end: Int64, into record: UnsafeMutableRawPointer
    ) throws(KappaError) {
        do {
            while high < ids.count, elements.time(ids[high]) <= end {
                try rows.merge(later: elements.record(ids[high]), into: newer)
                high += 1
            }
            while low < high, elements.time(ids[low]) < start { low += 1 }
            if low > middle { try turn() }
            if low < middle { memcpy(record, suffix(low), byteCount) }
            try rows.merge(later: newer, into: record)
        } catch {
            restart(at: start)
            throw error
        }
    }

    /// All of the window becomes the older stretch.
    private func turn() throws(KappaError) {
        (base, middle) = (low, high)
        if high - low > capacity {
            suffixes.deallocate()
            capacity = max(high - low, 2 * capacity)
            suffixes = .allocate(byteCount: capacity * byteCount, alignment: 16)
        }
        for place in (low..<high).reversed() {
            memcpy(suffix(place), elements.record(ids[place]), byteCount)
            if place + 1 < high { try rows.merge(later: suffix(place + 1), into: suffix(place)) }
        }
        newer.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    private func suffix(_ place: Int) -> UnsafeMutableRawPointer {
        suffixes + (place - base) * byteCount
    }
}

extension Accumulator {
    /// Whether states come out the same in whichever order they are merged, and are nothing but their
    /// bytes.
    var mergesInAnyOrder: Bool {
        switch form {
        case .counter: true
        case .sum, .mean: kind != .double
        case .extreme: kind != .text && kind != .json
        case .end, .argument, .object, .spread: false
        }
    }
}
