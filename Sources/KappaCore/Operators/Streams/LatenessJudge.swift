import CKappaJSON

/// Tells which elements of a stream come after their window has closed.
final class LatenessJudge {
    private let bound: JoinBound
    private let clock: JoinClock
    /// By the number of an element in its list.
    private var isLate: [Bool] = []

    init(_ bound: JoinBound, _ clock: JoinClock) {
        self.bound = bound
        self.clock = clock
    }

    func load(_ batch: EventBatch) { clock.load(batch) }
    /// Passes over the events of a range, whose elements are judged next.
    func pass(_ range: Range<Int>) { clock.pass(range) }
    func undo() { clock.undo() }

    /// Judges the elements of a list from one on.
    /// - Returns: Whether each is late, by its number; valid until the next call.
    func judge(_ list: ElementList, from first: Int, times: kj_column?) -> [Bool] {
        let (rows, events) = (list.rows, list.events)
        isLate.removeAll(keepingCapacity: true)
        isLate.append(contentsOf: repeatElement(false, count: rows.count))
        guard let times else { return isLate }
        for number in first..<rows.count {
            guard let time = times.time(Int(rows[number]))?.microseconds else { continue }
            let now = clock.time(at: Int(events[number]), time)
            if bound.isPast(time, streamTime: now) { isLate[number] = true }
        }
        return isLate
    }
}

extension kj_column {
    /// The time in a row.
    func time(_ row: Int) -> Timestamp? {
        states[row] == UInt8(KJ_VALUE.rawValue) ? Timestamp(microseconds: integers[row]) : nil
    }
}
