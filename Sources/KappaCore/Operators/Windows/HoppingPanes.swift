import CKappaJSON

/// Finds the groups of rows that each fall into several windows.
///
/// Rows of one key and one pane (see ``WindowCut/Pane``) fall into the same windows, so the groups of these
/// windows are looked up once and cached with the pane. Each further row costs one lookup, however many
/// windows it is in.
final class HoppingPanes {
    private let most: Int
    private let every: Int64
    private let windowPart: Int
    let panes: GroupTable
    /// For each row of the batch: its newest window, and how many of its windows are open.
    private var rows = UnsafeMutableBufferPointer<Row>.allocate(capacity: 1_024)
    /// The same rows' panes and windows, as key columns.
    private var paneStarts = UnsafeMutablePointer<Int64>.allocate(capacity: 1_024)
    private var windowStarts = UnsafeMutablePointer<Int64>.allocate(capacity: 1_024)

    /// The pane of each row of the last chunk.
    private(set) var paneIDs: [UInt32] = []
    private var freshPanes: [UInt32] = []
    private var unfilled: [(row: Int32, pane: UInt32, from: Int)] = []
    /// Whether rows may need windows that were closed for an earlier row of their pane: those of a time partition that
    /// lags behind another one.
    var mayReopen = false
    private var unfilledRows: [Int32] = []
    private var found: [UInt32] = []

    private struct Row {
        var newest: Int64
        var open: Int
    }

    init(_ cut: WindowCut, keyIsText: [Bool], windowPart: Int) {
        most = cut.mostWindows
        every = cut.every
        self.windowPart = windowPart
        panes = GroupTable(keyIsText: keyIsText, stateBytes: 4 + 4 * cut.mostWindows)
    }

    deinit {
        rows.deallocate()
        paneStarts.deallocate()
        windowStarts.deallocate()
    }

    var memoryBytes: Int { panes.memoryBytes }

    /// How many rows to take at once: few enough that the records of all pairs of a row and a window stay in
    /// the processor's cache.
    var chunkRows: Int { max(1, min(2_048, 8_192 / most)) }

    /// Forgets the panes, because the groups have been renumbered.
    func reset() { panes.reset() }

    func reserve(rows count: Int) {
        guard count > rows.count else { return }
        let capacity = max(count, 2 * rows.count)
        rows.deallocate()
        paneStarts.deallocate()
        windowStarts.deallocate()
        rows = .allocate(capacity: capacity)
        paneStarts = .allocate(capacity: capacity)
        windowStarts = .allocate(capacity: capacity)
    }

    /// Sets the windows of a row.
    @inline(__always)
    func set(_ row: Int, _ pane: WindowCut.Pane, open: Int) {
        rows[row] = Row(newest: pane.newest, open: open)
        paneStarts[row] = pane.start
    }

    /// One entry for each row of `chunk` and each of its open windows.
    struct Pairs {
        var rows = AggregationRows()
        var ids: [UInt32] = []

        fileprivate mutating func resize(to count: Int) {
            rows.rows.resize(to: count)
            rows.events.resize(to: count)
            ids.resize(to: count)
        }

        /// Lets `body` set all entries.
        fileprivate mutating func fill(
            _ body: (
                _ rows: UnsafeMutableBufferPointer<Int32>,
                _ events: UnsafeMutableBufferPointer<Int32>,
                _ ids: UnsafeMutableBufferPointer<UInt32>
            ) -> Void
        ) {
            rows.rows.withUnsafeMutableBufferPointer { pairRows in
                rows.events.withUnsafeMutableBufferPointer { pairEvents in
                    ids.withUnsafeMutableBufferPointer { body(pairRows, pairEvents, $0) }
                }
            }
        }
    }

    /// Finds the groups of a chunk's rows in `groups`, adding those that are new.
    /// - Parameter keys: The columns of the key without the window.
    func find(
        _ input: AggregationRows, _ chunk: Range<Int>, keys: [KeyColumn], in groups: KeyedTable,
        into pairs: inout Pairs
    ) {
        if panes.memoryBytes > Self.mostBytes { panes.reset() }
        freshPanes.removeAll(keepingCapacity: true)
        panes.find(
            rows: input.rows[chunk], keys: adding(paneStarts, to: keys), into: &paneIDs,
            fresh: &freshPanes)
        if !freshPanes.isEmpty || mayReopen {
            fill(input.rows[chunk], adding(windowStarts, to: keys), groups)
        }
        let (rows, ids) = (input.rows[chunk], paneIDs)
        pairs.resize(to: rows.reduce(0) { $0 + self.rows[Int($1)].open })
        var next = 0
        pairs.fill { pairRows, pairEvents, pairIDs in
            for index in 0..<ids.count {
                let row = rows[rows.startIndex + index]
                let event = input.events[chunk.lowerBound + index]
                let windows = windows(ids[index])
                for window in 0..<self.rows[Int(row)].open {
                    pairRows[next] = row
                    pairEvents[next] = event
                    pairIDs[next] = windows[window]
                    next += 1
                }
            }
        }
    }

    /// The cache of panes is reset above this size: it only saves lookups, and may be forgotten at any time.
    private static let mostBytes = 16 << 20

    private func adding(_ starts: UnsafeMutablePointer<Int64>, to keys: [KeyColumn]) -> [KeyColumn]
    {
        var keys = keys
        keys.insert(.integers(UnsafePointer(starts)), at: windowPart)
        return keys
    }

    /// How many of the pane's windows have been looked up.
    private func filled(_ pane: UInt32) -> UnsafeMutablePointer<UInt32> {
        (panes.record(pane) + GroupTable.stateOffset(keyParts: panes.keyParts))
            .assumingMemoryBound(to: UInt32.self)
    }
    /// The groups of the pane's windows, newest first.
    @inline(__always)
    private func windows(_ pane: UInt32) -> UnsafeMutablePointer<UInt32> { filled(pane) + 1 }

    /// Looks up the open windows that no row of their panes has needed before.
    private func fill(
        _ chunk: ArraySlice<Int32>, _ keys: [KeyColumn], _ groups: KeyedTable
    ) {
        unfilled.removeAll(keepingCapacity: true)
        for (row, pane) in zip(chunk, paneIDs) {
            let (known, open) = (filled(pane).pointee, UInt32(rows[Int(row)].open))
            if known >= open { continue }
            filled(pane).pointee = open
            unfilled.append((row, pane, Int(known)))
        }
        var window = 0
        while !unfilled.isEmpty {
            unfilledRows.removeAll(keepingCapacity: true)
            for (row, _, from) in unfilled where from <= window {
                unfilledRows.append(row)
                windowStarts[Int(row)] = rows[Int(row)].newest &- Int64(window) &* every
            }
            groups.find(rows: unfilledRows[...], keys: keys, into: &found)
            var index = 0
            for (_, pane, from) in unfilled where from <= window {
                windows(pane)[window] = found[index]
                index += 1
            }
            window += 1
            unfilled.removeAll { rows[Int($0.row)].open <= window }
        }
    }
}

extension Array where Element: FixedWidthInteger {
    /// Resizes the array to this count; new values are zero.
    fileprivate mutating func resize(to newCount: Int) {
        if newCount < count { return removeLast(count - newCount) }
        append(contentsOf: repeatElement(0, count: newCount - count))
    }
}
