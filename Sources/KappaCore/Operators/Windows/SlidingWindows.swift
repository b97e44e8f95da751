import Glibc

/// Computes the aggregates of sliding windows from their elements.
///
/// Elements are merged in log order, so that sums of doubles equal those of adding the values one by one. If
/// the order does not matter, one sweep computes the windows of a key together. A window holds the elements
/// that came before it closed, no matter when its row is computed.
final class SlidingWindows {
    private let elements: SlidingElements
    private let rows: GroupRows
    private let size: Int64
    private let lateness: Int64?
    private let lateElements: [UInt32: [UInt32]]
    private let sweep: SlidingSweep?
    private var sweptKey: UInt32?
    private let record: UnsafeMutableRawPointer
    let recordBytes: Int

    /// - Parameter lateElements: By key, the elements since the last commit whose own windows had closed when
    ///   they came: they are only in those later windows that were still open. All other elements came before
    ///   any of the windows to be computed had closed.
    init(
        _ elements: SlidingElements, _ rows: GroupRows, size: Int64, lateness: Int64?,
        _ lateElements: [UInt32: [UInt32]]
    ) {
        (self.elements, self.rows, self.size) = (elements, rows, size)
        (self.lateness, self.lateElements) = (lateness, lateElements)
        recordBytes = SlidingElements.stateOffset + rows.stateBytes
        record = .allocate(byteCount: recordBytes, alignment: 16)
        let canSweep = rows.accumulators.allSatisfy(\.mergesInAnyOrder)
        sweep = canSweep ? SlidingSweep(elements, rows) : nil
    }

    deinit { record.deallocate() }

    /// Whether it is cheaper to ask for windows key by key, in the order of their ends.
    var areSwept: Bool { sweep != nil }

    /// Computes the window that ends with an element, and passes its record to `body`; valid during the call.
    func with(_ id: UInt32, _ body: (UnsafeMutableRawPointer) throws -> Void) throws {
        clear()
        defer { rows.free(record) }
        let (key, end) = (elements.key(id), elements.time(id))
        let (start, overflow) = end.subtractingReportingOverflow(size)
        try make(key, from: overflow ? .min : start, upTo: end)
        try body(record)
    }

    private func clear() {
        record.initializeMemory(as: UInt8.self, repeating: 0, count: recordBytes)
    }

    private func make(_ key: UInt32, from start: Int64, upTo end: Int64) throws(KappaError) {
        guard let sweep else { return try mergeAll(key, from: start, upTo: end) }
        do {
            try sweepOn(sweep, key, from: start, upTo: end)
        } catch {
            // Only a partial sum may have overflowed. Merging in log order decides whether the window's sum
            // fits.
            clear()
            try mergeAll(key, from: start, upTo: end)
        }
    }

    private func sweepOn(
        _ sweep: SlidingSweep, _ key: UInt32, from start: Int64, upTo end: Int64
    ) throws(KappaError) {
        let late = lateElements[key]
        if sweptKey != key {
            sweptKey = key
            var ids = elements.elements(of: key)
            if let late {
                let late = Set(late)
                ids.removeAll { late.contains($0) }
            }
            sweep.begin(ids, at: start)
        }
        try sweep.aggregate(from: start, upTo: end, into: record)
        for id in late ?? [] where (start...end).contains(elements.time(id)) {
            try take(id, end)
        }
    }

    /// Merges the elements of a window in log order.
    private func mergeAll(_ key: UInt32, from start: Int64, upTo end: Int64) throws(KappaError) {
        let first = elements.place(from: start, of: key)
        var inside = elements.elements(of: key)[first..<elements.place(behind: end, of: key)]
        let isInOrder = zip(inside, inside.dropFirst()).allSatisfy { elements.isBefore($0, $1) }
        if !isInOrder { inside.sort { elements.isBefore($0, $1) } }
        for id in inside { try take(id, end) }
    }

    /// Merges an element in, if it came before the window closed.
    private func take(_ id: UInt32, _ end: Int64) throws(KappaError) {
        if let lateness, end &+ lateness <= elements.streamTime(id) { return }
        try rows.merge(later: elements.record(id), into: record)
    }
}

/// Aggregates the sliding windows of one key, in the order of their ends.
///
/// A queue made of two stacks. Windows only move forward, so it keeps the aggregates of all suffixes of an
/// older part, and one aggregate of the newer part as a whole. Each element is merged about three times,
/// however many windows hold it. It works for aggregates that merge in any order.
final class SlidingSweep {
    private let elements: SlidingElements
    private let rows: GroupRows
    private let byteCount: Int
    private var ids: [UInt32] = []
    /// The window is `ids[low..<high]`. The suffixes are those of `ids[base..<middle]`, and `newer` is the
    /// aggregate of `ids[middle..<high]`.
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

    /// Starts a key with its elements in the order of time, at the window that begins at `start`.
    func begin(_ ids: [UInt32], at start: Int64) {
        self.ids = ids
        restart(at: start)
    }

    private func restart(at start: Int64) {
        low = SlidingElements.firstIndex(in: ids) { elements.time($0) >= start }
        (base, middle, high) = (low, low, low)
        newer.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    /// Merges the elements from `start` to `end`, both included, into an empty record. Neither bound may be
    /// earlier than in the previous call.
    /// - Throws: If a partial sum does not fit; the sum of all may still fit.
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

    /// Makes the whole window the older part.
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
    /// Whether the result does not depend on the order of merging, and a state can be copied by its bytes
    /// alone.
    var mergesInAnyOrder: Bool {
        switch form {
        case .counter: true
        case .sum, .mean: kind != .double
        case .extreme: kind != .text && kind != .json
        case .end, .argument, .object, .spread: false
        }
    }
}
