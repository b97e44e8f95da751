/// Reads the pairs that each event completes.
final class JoinReader<Left: ViewRow, Right: ViewRow, New>: ElementReader {
    typealias Element = New

    private let join: InnerJoin<Left, Right, New>
    private let left: JoinHalf<Left>
    private let right: JoinHalf<Right>
    private let clock: JoinClock
    private var batch: EventBatch?
    private var firstOffset: Int64 = 0

    init(
        _ join: InnerJoin<Left, Right, New>, _ context: any StreamContext
    ) throws(KappaError) {
        self.join = join
        let leftReader = try join.left.source.open(context)
        let rightReader = try join.right.source.open(context)
        left = JoinHalf(leftReader, join.left, try context.joinSide(join.left.key, join.bound))
        right = JoinHalf(rightReader, join.right, try context.joinSide(join.right.key, join.bound))
        clock = JoinClock(
            context.clock(), columns: join.bound.needsTime ? left.timeColumns(and: right) : [])
    }

    var columns: ElementColumns<New>? { nil }
    var timeColumns: [Int] {
        left.timeColumns(and: right)
    }

    func load(_ batch: EventBatch) {
        self.batch = batch
        firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        left.load(batch)
        right.load(batch)
        if let past = join.bound.past(streamTime: clock.time) {
            left.side.removeAll(upTo: past)
            right.side.removeAll(upTo: past)
        }
    }

    func select(_ range: Range<Int>, into selection: inout [Int32]) {
        clock.pass(batch, range)
        left.select(range)
        right.select(range)
        for event in range where left.isSelected(event) || right.isSelected(event) {
            selection.append(Int32(event))
        }
    }

    func read(_ event: Int, _ body: (New, Timestamp?) throws -> Void) throws {
        if left.isSelected(event) {
            try left.forEach(event, at: firstOffset) { element, time in
                try meet(element, time, left, right) { other, pairTime in
                    try emit(element, other, pairTime, body)
                }
            }
        }
        if right.isSelected(event) {
            try right.forEach(event, at: firstOffset) { element, time in
                try meet(element, time, right, left) { other, pairTime in
                    try emit(other, element, pairTime, body)
                }
            }
        }
    }

    func settle() {
        left.settle()
        right.settle()
    }

    func undo() {
        left.undo()
        right.undo()
    }

    private func emit(
        _ a: Left, _ b: Right, _ time: Int64, _ body: (New, Timestamp?) throws -> Void
    ) throws {
        if let isJoined = join.isJoined, try !isJoined(a, b) { return }
        let new = try join.combine(a, b)
        try body(new, join.bound.needsTime || left.hasTime ? Timestamp(microseconds: time) : nil)
    }

    /// Lets a new element meet those of the other side, and keeps it for those to come.
    private func meet<Mine: ViewRow, Theirs: ViewRow>(
        _ element: Mine, _ meta: JoinMeta, _ mine: JoinHalf<Mine>, _ theirs: JoinHalf<Theirs>,
        _ pair: (Theirs, Int64) throws -> Void
    ) throws {
        let bound = join.bound
        let now = clock.time(at: Int(meta.offset - firstOffset), meta.time)
        let key = try bound.admit(meta, now: now, try mine.key(element))
        var hasMet = false
        try theirs.side.forEach(key) { number, other, otherMeta in
            guard bound.canMeet(meta, otherMeta, now: now) else { return }
            hasMet = true
            try pair(other, max(meta.time, otherMeta.time))
            // No other element of my key will come: what has met me need not wait.
            if mine.isUnique { theirs.forgetLater(number) }
        }
        // What is alone on the other side, and has been met, is all that I could wait for.
        if hasMet, theirs.isUnique { return }
        try mine.keep(element, key, meta)
    }
}
