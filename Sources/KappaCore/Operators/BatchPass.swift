/// What the steps of a view did with the events of one batch.
///
/// Each event counts once for the whole view: dead if any step could not process it, else late if any step
/// dropped it as late, else applied if any step used it, else filtered.
final class BatchPass {
    enum Outcome: UInt8 {
        case filtered = 0
        case applied, late, dead
    }

    private(set) var outcomes: [UInt8] = []
    private(set) var dead: [(event: Int, reason: String)] = []
    func begin(count: Int) {
        outcomes.removeAll(keepingCapacity: true)
        outcomes.append(contentsOf: repeatElement(Outcome.filtered.rawValue, count: count))
        dead.removeAll(keepingCapacity: true)
    }

    @inline(__always)
    func mark(_ event: Int, _ outcome: Outcome) {
        if outcomes[event] < outcome.rawValue { outcomes[event] = outcome.rawValue }
    }

    func note(_ event: Int, _ outcome: EventOutcome) {
        switch outcome {
        case .applied: mark(event, .applied)
        case .late: mark(event, .late)
        case .dead(let reason): kill(event, reason)
        }
    }

    func note(_ events: [Int32], _ outcome: EventOutcome) {
        if case .applied = outcome { return markApplied(events) }
        for event in events { note(Int(event), outcome) }
    }

    func markApplied(_ events: [Int32]) {
        outcomes.withUnsafeMutableBufferPointer { outcomes in
            for event in events {
                outcomes[Int(event)] = max(outcomes[Int(event)], Outcome.applied.rawValue)
            }
        }
    }

    func kill(_ event: Int, _ reason: String) {
        if outcomes[event] != Outcome.dead.rawValue { dead.append((event, reason)) }
        outcomes[event] = Outcome.dead.rawValue
    }

    /// An event at `time` came after its windows had closed.
    func markLate(_ event: Int, _ late: LateEvents, time: Int64, streamTime: Int64) {
        guard late == .deadLetters else { return mark(event, .late) }
        kill(
            event,
            "late: its time is \(Timestamp(microseconds: time)), and its windows have closed: "
                + "the stream time is \(Timestamp(microseconds: streamTime))")
    }

    /// Adds up the outcomes of the events in `range`.
    func count(_ range: Range<Int>, into counters: inout Counters) {
        let applied = count(.applied, range)
        let isAll = applied == UInt64(range.count)
        let late = isAll ? 0 : count(.late, range)
        let dead = isAll ? 0 : count(.dead, range)
        counters.applied += applied
        counters.late += late
        counters.dead += dead
        counters.filtered += UInt64(range.count) - applied - late - dead
    }

    /// Counts in bytes, 255 events at a time, so that the compiler vectorizes the loop.
    private func count(_ outcome: Outcome, _ range: Range<Int>) -> UInt64 {
        outcomes.withUnsafeBufferPointer { outcomes in
            var count: UInt64 = 0
            var start = range.lowerBound
            while start < range.upperBound {
                let end = min(start + Int(UInt8.max), range.upperBound)
                var some: UInt8 = 0
                for index in start..<end {
                    some &+= outcomes[index] == outcome.rawValue ? 1 : 0
                }
                count += UInt64(some)
                start = end
            }
            return count
        }
    }
}

/// The outcome of an event that a step reads.
package enum EventOutcome {
    case applied
    case late
    case dead(String)

    /// The outcome of an event whose processing threw `error`.
    init(_ error: any Error) {
        self = error is LateElement ? .late : .dead(FieldFailure.reason(error))
    }
}
