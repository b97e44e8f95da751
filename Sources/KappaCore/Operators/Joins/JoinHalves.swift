import CKappaJSON

/// The two halves of a join with the types of their elements.
struct TypedJoin<Left: ViewRow, Right: ViewRow> {
    let left: TypedJoinHalf<Left>
    let right: TypedJoinHalf<Right>
    let halves: JoinHalves

    init(
        _ left: JoinInput<Left>, _ right: JoinInput<Right>, _ bound: JoinBound,
        _ context: any StreamContext
    ) throws(KappaError) {
        let leftReader = try left.open(context)
        let rightReader = try right.open(context)
        let refused = (left.refusedTables + right.refusedTables).map { _ in 0 }
        let (keys, sides) = try context.joinSides(
            cells: [left.cells, right.cells] + refused, kind: left.key.kind,
            window: { bound.window(of: $0) })
        self.left = TypedJoinHalf(
            leftReader, try RowCodec(spread: true), left, bound, keys, sides[0],
            refused: left.judges ? sides[2] : nil)
        self.right = TypedJoinHalf(
            rightReader, try RowCodec(spread: true), right, bound, keys, sides[1],
            refused: right.judges ? sides.last : nil)
        halves = JoinHalves(self.left, self.right, bound, context)
    }
}

/// The two halves of a join, read event by event in log order.
final class JoinHalves {
    let left: JoinHalf
    let right: JoinHalf
    private let bound: JoinBound
    private let clock: StreamTimekeeper
    private var firstOffset: Int64 = 0
    /// The kept elements that match the current new element by key and time.
    let met = PlainList<Met>()

    /// A kept element that matches, and the pair's time.
    struct Met {
        let number: UInt32
        let time: Int64
    }

    fileprivate init(
        _ left: JoinHalf, _ right: JoinHalf, _ bound: JoinBound, _ context: any StreamContext
    ) {
        self.left = left
        self.right = right
        self.bound = bound
        let all = Self.timeColumns(left, right)
        clock = context.clock(columns: bound.needsTime ? all : [])
    }

    /// The columns of both halves' event times.
    private static func timeColumns(_ left: JoinHalf, _ right: JoinHalf) -> [Int] {
        left.timeColumns + right.timeColumns.filter { !left.timeColumns.contains($0) }
    }

    var timeColumns: [Int] { Self.timeColumns(left, right) }

    func load(_ batch: EventBatch) {
        firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        let past = bound.past(streamTime: clock.least)
        clock.load(batch)
        left.load(batch, past: past)
        right.load(batch, past: past)
    }

    /// Reads a range of events and visits the pairs that they complete, in log order: each new element that
    /// has matches, while ``met`` holds them.
    /// - Parameters:
    ///   - list: Receives the failures.
    ///   - undo: Called for an event that fails, some of whose pairs may have been visited already.
    func readPairs(
        _ range: Range<Int>, _ list: ElementList,
        left visitLeft: (_ index: Int, _ event: Int32) throws -> Void,
        right visitRight: (_ index: Int, _ event: Int32) throws -> Void,
        undo: (_ event: Int32) -> Void
    ) {
        read(
            range, list,
            left: { try pair($0, $1, $2, left, right, visitLeft) },
            right: { try pair($0, $1, $2, right, left, visitRight) }, undo: undo)
    }

    /// Matches a new element against the other half, and keeps it for later elements.
    private func pair(
        _ index: Int, _ event: Int32, _ meta: JoinMeta, _ mine: JoinHalf,
        _ theirs: JoinHalf,
        _ visit: (_ index: Int, _ event: Int32) throws -> Void
    ) throws {
        let hasMet = try meet(index, event, meta, mine, theirs)
        if !met.isEmpty { try visit(index, event) }
        // If the key is unique on the other side, and that element has come, no other match can follow.
        if !hasMet || !theirs.isUnique { try mine.keep(index, event, meta) }
    }

    /// Reads a range of events and visits their elements in log order.
    /// - Parameters:
    ///   - list: Receives the failures.
    ///   - undo: Called for an event that fails, some of whose elements may have been visited already.
    func read(
        _ range: Range<Int>, _ list: ElementList,
        left visitLeft: (_ index: Int, _ event: Int32, JoinMeta) throws -> Void,
        right visitRight: (_ index: Int, _ event: Int32, JoinMeta) throws -> Void,
        undo: (_ event: Int32) -> Void
    ) {
        clock.pass(range)
        left.read(range)
        right.read(range)
        let remembers = left.remembers || right.remembers
        let failed = adoptFailures(list, remembers: remembers)
        if list.needsRetry { return }
        var (l, r) = (left.new.lowerBound, right.new.lowerBound)
        let (endL, endR) = (left.new.upperBound, right.new.upperBound)
        let (ofLeft, ofRight) = (left.list.events, right.list.events)
        let (rowsL, rowsR) = (left.list.rows, right.list.rows)
        let (timesL, timesR) = (left.times, right.times)
        let (judgesL, judgesR) = (left.judges, right.judges)
        while l < endL || r < endR {
            let event = min(l < endL ? ofLeft[l] : .max, r < endR ? ofRight[r] : .max)
            do {
                if !failed.isEmpty, failed.contains(Int(event)) { throw FailedElsewhere() }
                var (part, out): (Int64, Int64) = (0, 0)
                while l < endL, ofLeft[l] == event {
                    let time = timesL.microseconds(rowsL[l])
                    if try !judgesL || left.isIn(rowsL[l]) {
                        try visitLeft(l, event, meta(event, part, time))
                        part += 1
                    } else {
                        refuse(l, event, meta(event, out, time), left, right)
                        out += 1
                    }
                    l += 1
                }
                (part, out) = (0, 0)
                while r < endR, ofRight[r] == event {
                    let time = timesR.microseconds(rowsR[r])
                    if try !judgesR || right.isIn(rowsR[r]) {
                        try visitRight(r, event, meta(event, part, time))
                        part += 1
                    } else {
                        refuse(r, event, meta(event, out, time), right, left)
                        out += 1
                    }
                    r += 1
                }
            } catch {
                while l < endL, ofLeft[l] == event { l += 1 }
                while r < endR, ofRight[r] == event { r += 1 }
                left.undo(from: event)
                right.undo(from: event)
                undo(event)
                // `adoptFailures` has already reported the reason.
                if error is FailedElsewhere { continue }
                list.fail(Int(event), EventOutcome(error), remembers: remembers)
                if list.needsRetry { return }
            }
        }
    }

    private struct FailedElsewhere: Error {}

    /// Adds the failures of both streams to `list`, and returns the events that failed.
    private func adoptFailures(_ list: ElementList, remembers: Bool) -> Set<Int> {
        var failed: Set<Int> = []
        for (event, outcome) in left.newFailures + right.newFailures {
            failed.insert(event)
            list.fail(event, outcome, remembers: false)
        }
        func needsRetry(_ other: ElementList, _ new: Range<Int>) -> Bool {
            // If one side has processed an event that failed on the other, its reader may have kept state of
            // it.
            other.needsRetry
                || remembers && !failed.isEmpty
                    && new.contains { failed.contains(Int(other.events[$0])) }
        }
        if needsRetry(left.list, left.new) || needsRetry(right.list, right.new) {
            list.requireRetry()
        }
        return failed
    }

    private func meta(_ event: Int32, _ part: Int64, _ time: Int64) -> JoinMeta {
        JoinMeta(offset: firstOffset + Int64(event), part: part, time: time)
    }

    /// Handles an element that fails its stream's condition. It is the only one of its key, so no kept
    /// element need wait for another.
    private func refuse(
        _ index: Int, _ event: Int32, _ meta: JoinMeta, _ mine: JoinHalf,
        _ theirs: JoinHalf
    ) {
        guard let key = try? mine.keyID(index) else { return }
        var next = theirs.side.first(key)
        while let number = next {
            next = theirs.side.next(number)
            theirs.forgetLater(number, event)
        }
        mine.refuse(index, event, meta)
    }

    /// Matches a new element of one half against the kept elements of the other; ``met`` then holds the
    /// matches.
    /// - Returns: Whether it has matches, or whether the only element of its key on the other side failed the
    ///   condition.
    func meet(
        _ index: Int, _ event: Int32, _ meta: JoinMeta, _ mine: JoinHalf,
        _ theirs: JoinHalf
    ) throws -> Bool {
        met.truncate(to: 0)
        let key = try mine.keyID(index)
        let passed = try admit(event, meta)
        let side = theirs.side
        guard let first = side.first(key) else { return theirs.hasRefused(key) }
        var next: UInt32? = first
        while let number = next {
            next = side.next(number)
            let other = side.meta(number)
            guard bound.canMeet(meta, other, passed: passed) else { continue }
            met.append(Met(number: number, time: max(meta.time, other.time)))
            // No other element of this key will come on this side, so its match need not wait any longer.
            if mine.isUnique { theirs.forgetLater(number, event) }
        }
        return !met.isEmpty
    }

    /// Returns the time that all partitions have passed at an element.
    /// - Throws: ``LateElement``.
    private func admit(_ event: Int32, _ meta: JoinMeta) throws -> Int64 {
        guard bound.needsTime else { return .min }
        let (now, passed) = clock.times(at: Int(event), meta.time)
        try bound.admit(meta, now: now)
        return passed
    }

    func settle() {
        left.settle()
        right.settle()
        clock.settle()
    }

    func undo() {
        left.undo()
        right.undo()
        clock.undo()
    }
}

extension kj_column? {
    /// The event time in a row; zero if it has none.
    @inline(__always)
    fileprivate func microseconds(_ row: Int32) -> Int64 {
        guard let column = self else { return 0 }
        let isThere = column.states[Int(row)] == UInt8(KJ_VALUE.rawValue)
        return isThere ? column.integers[Int(row)] : 0
    }
}
