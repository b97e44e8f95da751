/// The two halves of a join, read event by event in log order.
final class JoinHalves<Left: ViewRow, Right: ViewRow> {
    let left: JoinHalf<Left>
    let right: JoinHalf<Right>
    private let bound: JoinBound
    private let clock: JoinClock
    private var firstOffset: Int64 = 0

    init(
        _ left: JoinInput<Left>, _ right: JoinInput<Right>, _ bound: JoinBound,
        _ context: any StreamContext
    ) throws(KappaError) {
        self.bound = bound
        let leftReader = try left.source.open(context)
        let rightReader = try right.source.open(context)
        let (keys, sides) = try context.joinSides(
            cells: [left.cells, right.cells], kind: left.key.kind,
            window: { bound.window(of: $0) })
        self.left = try JoinHalf(leftReader, left, bound, keys, sides[0])
        self.right = try JoinHalf(rightReader, right, bound, keys, sides[1])
        clock = JoinClock(
            context.clock(),
            columns: bound.needsTime ? self.left.timeColumns(and: self.right) : [])
    }

    var timeColumns: [Int] { left.timeColumns(and: right) }

    func load(_ batch: EventBatch) {
        firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        let past = bound.past(streamTime: clock.time)
        clock.load(batch)
        left.load(batch, past: past)
        right.load(batch, past: past)
    }

    /// Reads a range of events and visits their elements in log order.
    /// - Parameters:
    ///   - list: Where it is noted what failed.
    ///   - begin: Called before the elements of each event.
    ///   - undo: Called for an event that cannot be taken, of which some elements may have been.
    func read(
        _ range: Range<Int>, _ list: ElementList, begin: (_ event: Int32) -> Void,
        left visitLeft: (_ index: Int, JoinMeta) throws -> Void,
        right visitRight: (_ index: Int, JoinMeta) throws -> Void,
        undo: (_ event: Int32) -> Void
    ) {
        clock.pass(range)
        left.read(range)
        right.read(range)
        let remembers = left.reader.remembers || right.reader.remembers
        let failed = adoptFailures(list, remembers: remembers)
        if list.isSpoilt { return }
        var (l, r) = (left.new.lowerBound, right.new.lowerBound)
        let (endL, endR) = (left.new.upperBound, right.new.upperBound)
        let (ofLeft, ofRight) = (left.list.events, right.list.events)
        while l < endL || r < endR {
            let event = min(l < endL ? ofLeft[l] : .max, r < endR ? ofRight[r] : .max)
            let position = (left.position, right.position)
            begin(event)
            do {
                if failed.contains(Int(event)) { throw FailedElsewhere() }
                var part: Int64 = 0
                while l < endL, ofLeft[l] == event {
                    try visitLeft(l, meta(event, part, left.time(l)))
                    l += 1
                    part += 1
                }
                part = 0
                while r < endR, ofRight[r] == event {
                    try visitRight(r, meta(event, part, right.time(r)))
                    r += 1
                    part += 1
                }
            } catch {
                while l < endL, ofLeft[l] == event { l += 1 }
                while r < endR, ofRight[r] == event { r += 1 }
                left.undo(to: position.0)
                right.undo(to: position.1)
                undo(event)
                // The other side has told why already.
                if error is FailedElsewhere { continue }
                list.fail(Int(event), EventOutcome(error), remembers: remembers)
                if list.isSpoilt { return }
            }
        }
    }

    private struct FailedElsewhere: Error {}

    /// Takes over what the streams could not take; the events of which one could not and the other
    /// could.
    private func adoptFailures(_ list: ElementList, remembers: Bool) -> Set<Int> {
        var failed: Set<Int> = []
        for (event, outcome) in left.newFailures + right.newFailures {
            failed.insert(event)
            list.fail(event, outcome, remembers: false)
        }
        func isSpoilt(_ other: ElementList, _ new: Range<Int>) -> Bool {
            // What one side has taken of an event that the other refuses may have left traces.
            other.isSpoilt
                || remembers && !failed.isEmpty
                    && new.contains { failed.contains(Int(other.events[$0])) }
        }
        if isSpoilt(left.list, left.new) || isSpoilt(right.list, right.new) { list.spoil() }
        return failed
    }

    private func meta(_ event: Int32, _ part: Int64, _ time: Int64) -> JoinMeta {
        JoinMeta(offset: firstOffset + Int64(event), part: part, time: time)
    }

    /// Lets a new element of one half meet those that wait in the other; whether it has met any.
    /// - Parameter pair: Gets the new element, the number of the other one, and the pair's time.
    func meet<Mine: ViewRow, Theirs: ViewRow>(
        _ index: Int, _ meta: JoinMeta, _ mine: JoinHalf<Mine>, _ theirs: JoinHalf<Theirs>,
        _ pair: (UnsafePointer<Mine>, UInt32, Int64) throws -> Void
    ) throws -> Bool {
        let key = try mine.keyID(index)
        let now = try admit(meta)
        let side = theirs.side
        guard let first = side.first(key) else { return false }
        var hasMet = false
        try mine.with(index) { element in
            var next: UInt32? = first
            while let number = next {
                next = side.next(number)
                let other = side.meta(number)
                guard bound.canMeet(meta, other, now: now) else { continue }
                hasMet = true
                try pair(element, number, max(meta.time, other.time))
                // No other element of my key will come: what has met me need not wait.
                if mine.isUnique { theirs.forgetLater(number) }
            }
        }
        return hasMet
    }

    /// The stream time as of an element.
    /// - Throws: ``LateElement``.
    func admit(_ meta: JoinMeta) throws -> Int64 {
        let now = clock.time(at: Int(meta.offset - firstOffset), meta.time)
        try bound.admit(meta, now: now)
        return now
    }

    func settle() {
        left.settle()
        right.settle()
    }

    func undo() {
        left.undo()
        right.undo()
        clock.undo()
    }
}
