import CKappaJSON

/// Finds the windows of a batch's rows, and removes the rows whose windows have all closed.
final class WindowSorter {
    private let cut: WindowCut
    private let definition: AggregationDefinition
    /// Set if a row may be in several windows.
    private let panes: HoppingPanes?
    /// The writer of the key index, if it needs the stream time before each event.
    private let timed: KeyIndexWriter?
    /// The start of each row's window in the current batch, if each row is in one window.
    private var starts = UnsafeMutableBufferPointer<Int64>.allocate(capacity: 1_024)

    init(
        _ cut: WindowCut, _ definition: AggregationDefinition, panes: HoppingPanes?,
        keyIndex: KeyIndexWriter?
    ) {
        self.cut = cut
        self.definition = definition
        self.panes = panes
        timed = keyIndex?.keepsTimes == true ? keyIndex : nil
    }

    deinit { starts.deallocate() }

    /// The rows' windows as a key column, if each row is in one window.
    var column: KeyColumn? {
        panes == nil ? starts.baseAddress.map { .integers(UnsafePointer($0)) } : nil
    }

    /// - Parameters:
    ///   - range: The events of the rows.
    ///   - clock: The step's clock. It passes these events.
    func sort(
        _ input: inout AggregationRows, _ range: Range<Int>, of batch: EventBatch,
        _ clock: PartitionClock, _ pass: BatchPass
    ) {
        let start = clock.start(batch, from: range.lowerBound)
        // Without rows there are no times.
        let times = input.time?.integers
        reserve(rows: Int(input.rows.last ?? -1) + 1)
        var kept = 0
        let count = input.rows.count
        input.rows.withUnsafeMutableBufferPointer { rows in
            input.events.withUnsafeMutableBufferPointer { events in
                var sorting = Sorting(
                    clock: start, rows: rows, events: events, times: times, pass: pass)
                var first = 0
                while times != nil, first < count {
                    let piece = first..<min(first + Self.pieceRows, count)
                    if !sortOpen(piece, &sorting) { judge(piece, &sorting) }
                    first = piece.upperBound
                }
                sorting.clock.advance(through: range.upperBound - 1)
                kept = sorting.kept
                clock.stop(sorting.clock)
            }
        }
        input.rows.removeLast(count - kept)
        input.events.removeLast(count - kept)
    }

    /// Rows are judged in pieces, small enough that their times seldom lie further apart than the windows'
    /// size and the lateness.
    private static let pieceRows = 256

    private struct Sorting {
        var clock: StreamClock
        let rows: UnsafeMutableBufferPointer<Int32>
        let events: UnsafeMutableBufferPointer<Int32>
        let times: UnsafeMutablePointer<Int64>?
        let pass: BatchPass
        var pane = WindowCut.Pane(start: 0, end: 0, newest: 0, newestEnd: 0, windows: 0)
        /// How many rows are kept, at the front of the array.
        var kept = 0
        /// The last event for which the stream time before it was noted.
        var noted: Int32 = -1

        @inline(__always)
        mutating func keep(_ index: Int) {
            rows[kept] = rows[index]
            events[kept] = events[index]
            kept += 1
        }
    }

    private func reserve(rows count: Int) {
        panes?.reserve(rows: count)
        guard count > starts.count else { return }
        starts.deallocate()
        starts = .allocate(capacity: max(count, 2 * starts.count))
    }

    /// Finds the windows of the rows, if it can prove all at once that none is late; else returns false.
    private func sortOpen(_ piece: Range<Int>, _ sorting: inout Sorting) -> Bool {
        guard timed == nil, let times = sorting.times, let last = piece.last else { return false }
        var (earliest, latest) = (Int64.max, Int64.min)
        for index in piece {
            let time = times[Int(sorting.rows[index])]
            earliest = min(earliest, time)
            latest = max(latest, time)
        }
        var clock = sorting.clock
        clock.advance(through: Int(sorting.events[last]))
        clock.meet(latest)
        if let lateness = definition.latenessMicroseconds {
            let pane = cut.pane(at: earliest)
            let open = cut.openWindows(pane, lateness: lateness, streamTime: clock.time)
            if open < pane.windows { return false }
        }
        for index in piece {
            let row = Int(sorting.rows[index])
            let time = times[row]
            // Most events fall into the pane of the previous one, which saves a costly division.
            if time < sorting.pane.start || time >= sorting.pane.end {
                sorting.pane = cut.pane(at: time)
            }
            set(row, sorting.pane, open: sorting.pane.windows)
            sorting.keep(index)
        }
        sorting.clock = clock
        return true
    }

    /// Checks each row against the stream time at its event.
    private func judge(_ piece: Range<Int>, _ sorting: inout Sorting) {
        guard let times = sorting.times else { return }
        for index in piece {
            let row = Int(sorting.rows[index])
            let event = sorting.events[index]
            let time = times[row]
            if let timed, event != sorting.noted {
                sorting.noted = event
                sorting.clock.advance(through: Int(event) - 1)
                timed.note(event, streamTimeBefore: sorting.clock.time)
            }
            sorting.clock.advance(through: Int(event))
            sorting.clock.meet(time)
            if time < sorting.pane.start || time >= sorting.pane.end {
                sorting.pane = cut.pane(at: time)
            }
            var open = sorting.pane.windows
            if let lateness = definition.latenessMicroseconds {
                let streamTime = sorting.clock.time
                open = cut.openWindows(sorting.pane, lateness: lateness, streamTime: streamTime)
                if open == 0 {
                    sorting.pass.markLate(
                        Int(event), definition.late, time: time, streamTime: streamTime)
                    continue
                }
            }
            set(row, sorting.pane, open: open)
            sorting.keep(index)
        }
    }

    @inline(__always)
    private func set(_ row: Int, _ pane: WindowCut.Pane, open: Int) {
        if let panes {
            panes.set(row, pane, open: open)
        } else {
            starts[row] = pane.newest
        }
    }
}
