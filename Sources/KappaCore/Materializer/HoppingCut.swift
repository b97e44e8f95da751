/// Cuts a batch's rows into windows that overlap.
///
/// A row is in up to `passes` windows that follow each other. They are taken in as many passes as
/// that: window number w, counted from 1970, belongs to pass w mod `passes` alone. So each row meets
/// each of its windows in a pass of its own, and a window meets its rows in log order.
final class HoppingCut {
    let size: Int64
    let every: Int64
    let offset: Int64
    let passes: Int64

    /// What is known of each row, in the order of the rows.
    private var places: [Place] = []

    private struct Place {
        /// The start of the newest window that holds the row.
        var newest: Int64
        /// The pass of that window.
        var pass: Int64
        /// A window that begins less than this before the newest one holds the row and is open.
        var room: Int64
    }

    init(size: Int64, every: Int64, offset: Int64) {
        self.size = size
        self.every = every
        self.offset = offset
        passes = Window.most(size: size, every: every)
    }

    /// Finds each row's windows. Takes out the rows that no window holds, and those that are late
    /// because all their windows have closed.
    /// - Parameters:
    ///   - partition: The stream time as of each event, where the rows alone do not tell it.
    ///   - streamTime: Before the first row; then as of the last one.
    func place(
        _ input: inout AggregationRows, _ times: UnsafePointer<Int64>, lateness: Int64?,
        _ partition: UnsafePointer<Int64>?, _ streamTime: inout Int64, _ pass: BatchPass
    ) {
        places.removeAll(keepingCapacity: true)
        places.reserveCapacity(input.rows.count)
        var slot = Place(newest: 0, pass: 0, room: 0)
        var slotEnd: Int64 = 0
        var time = streamTime
        var kept = 0
        input.rows.withUnsafeMutableBufferPointer { rows in
            input.events.withUnsafeMutableBufferPointer { events in
                for index in 0..<rows.count {
                    let at = times[Int(rows[index])]
                    time = max(time, at)
                    if let partition { time = max(time, partition[Int(events[index])]) }
                    // Most events stand in the slot of the one before: dividing is dear.
                    if at < slot.newest || at >= slotEnd {
                        slot = self.slot(at)
                        slotEnd = slot.newest &+ every
                    }
                    let end = slot.newest &+ size
                    slot.room = end &- at
                    // Where windows leave gaps, some times are in none.
                    if slot.room <= 0 { continue }
                    if let lateness { slot.room = min(slot.room, end &+ lateness &- time) }
                    if slot.room <= 0 {
                        pass.mark(Int(events[index]), .late)
                        continue
                    }
                    places.append(slot)
                    rows[kept] = rows[index]
                    events[kept] = events[index]
                    kept += 1
                }
            }
        }
        input.rows.removeLast(input.rows.count - kept)
        input.events.removeLast(input.events.count - kept)
        streamTime = time
    }

    private func slot(_ time: Int64) -> Place {
        let start = Window.start(of: time &- offset, size: every)
        let pass = Window.start(of: start / every, size: passes)
        return Place(newest: start &+ offset, pass: start / every &- pass, room: 0)
    }

    /// Makes `part` the rows of `chunk` that have a window in a pass, and fills in its start for each.
    func select(
        _ number: Int64, of input: AggregationRows, _ chunk: Range<Int>,
        into part: inout AggregationRows, starts: UnsafeMutableBufferPointer<Int64>
    ) {
        part.rows.removeAll(keepingCapacity: true)
        part.events.removeAll(keepingCapacity: true)
        for index in chunk {
            let place = places[index]
            let back = place.pass &- number
            let before = (back < 0 ? back &+ passes : back) &* every
            guard before < place.room else { continue }
            starts[Int(input.rows[index])] = place.newest &- before
            part.rows.append(input.rows[index])
            part.events.append(input.events[index])
        }
    }
}
