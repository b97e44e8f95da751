/// The rows of an outer join that have changed since the last commit, without their types.
package protocol JoinedRowsInput: AnyObject {
    /// Takes the elements of the events in `range`, and tells what became of each event.
    func take(
        _ batch: EventBatch, _ range: Range<Int>, _ outcome: (Int, EventOutcome) -> Void)
    /// Visits the rows that have changed in the order of their keys: the cells of the row, nil if it
    /// is gone, and those of its key.
    func forEachChange(_ body: (_ row: [Value]?, _ key: [Value]) throws -> Void) throws
    /// Forgets the changes: they are committed.
    func clear()
    var changes: Int { get }
    /// How much memory a change takes, roughly.
    var bytesPerChange: Int { get }
}

/// Which two elements a row was made of; offset -1 for one that is not there.
private struct JoinedKey: Hashable, Comparable {
    var leftOffset: Int64 = -1
    var leftPart: Int64 = 0
    var rightOffset: Int64 = -1
    var rightPart: Int64 = 0

    init(left: JoinMeta? = nil, right: JoinMeta? = nil) {
        if let left { (leftOffset, leftPart) = (left.offset, left.part) }
        if let right { (rightOffset, rightPart) = (right.offset, right.part) }
    }

    static func < (a: JoinedKey, b: JoinedKey) -> Bool {
        (a.leftOffset, a.leftPart, a.rightOffset, a.rightPart)
            < (b.leftOffset, b.leftPart, b.rightOffset, b.rightPart)
    }
}

final class OuterJoinRows<Left: ViewRow, Right: ViewRow, New: ViewRow>: JoinedRowsInput {
    private let join: OuterJoin<Left, Right, New>
    private let left: JoinHalf<Left>
    private let right: JoinHalf<Right>
    private let clock: JoinClock
    private var firstOffset: Int64 = 0
    private let codec: RowCodec<New>
    /// The rows that have changed; nil where one is gone.
    private var pending: [JoinedKey: New?] = [:]
    /// What the event at hand changes; kept only if all of it can be taken.
    private var ofEvent: [(key: JoinedKey, row: New?)] = []

    init(
        _ join: OuterJoin<Left, Right, New>, _ context: any StreamContext
    ) throws(KappaError) {
        self.join = join
        codec = try RowCodec()
        let leftReader = try join.left.source.open(context)
        let rightReader = try join.right.source.open(context)
        left = JoinHalf(leftReader, join.left, try context.joinSide(join.left.key, join.bound))
        right = JoinHalf(
            rightReader, join.right, try context.joinSide(join.right.key, join.bound))
        clock = JoinClock(
            context.clock(), columns: join.bound.needsTime ? left.timeColumns(and: right) : [])
    }

    func take(
        _ batch: EventBatch, _ range: Range<Int>, _ outcome: (Int, EventOutcome) -> Void
    ) {
        left.load(batch)
        right.load(batch)
        if let past = join.bound.past(streamTime: clock.time) {
            left.side.removeAll(upTo: past)
            right.side.removeAll(upTo: past)
        }
        clock.pass(batch, range)
        left.select(range)
        right.select(range)
        firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        for event in range where left.isSelected(event) || right.isSelected(event) {
            do {
                if try take(event) { outcome(event, .applied) }
            } catch {
                left.undo()
                right.undo()
                outcome(event, EventOutcome(error))
            }
        }
    }

    /// Takes one event; whether it had any elements.
    private func take(_ event: Int) throws -> Bool {
        ofEvent.removeAll(keepingCapacity: true)
        var elements = 0
        if left.isSelected(event) {
            try left.forEach(event, at: firstOffset) { element, meta in
                elements += 1
                try meet(left: element, meta)
            }
        }
        if right.isSelected(event) {
            try right.forEach(event, at: firstOffset) { element, meta in
                elements += 1
                try meet(right: element, meta)
            }
        }
        for change in ofEvent { pending[change.key] = .some(change.row) }
        left.settle()
        right.settle()
        return elements > 0
    }

    private func meet(left element: Left, _ meta: JoinMeta) throws {
        var meta = meta
        let now = clock.time(at: Int(meta.offset - firstOffset), meta.time)
        let key = try join.bound.admit(meta, now: now, try left.key(element))
        try right.side.forEach(key) { number, other, otherMeta in
            guard join.bound.canMeet(meta, otherMeta, now: now),
                try join.isJoined?(element, other) ?? true
            else { return }
            meta.isMatched = true
            if join.showsRight, !otherMeta.isMatched {
                ofEvent.append((JoinedKey(right: otherMeta), nil))
                right.matchLater(number)
            }
            try add(JoinedKey(left: meta, right: otherMeta), element, other)
            if left.isUnique { right.forgetLater(number) }
        }
        if !meta.isMatched, join.showsLeft { try add(JoinedKey(left: meta), element, nil) }
        if meta.isMatched, right.isUnique { return }
        try left.keep(element, key, meta)
    }

    private func meet(right element: Right, _ meta: JoinMeta) throws {
        var meta = meta
        let now = clock.time(at: Int(meta.offset - firstOffset), meta.time)
        let key = try join.bound.admit(meta, now: now, try right.key(element))
        try left.side.forEach(key) { number, other, otherMeta in
            guard join.bound.canMeet(meta, otherMeta, now: now),
                try join.isJoined?(other, element) ?? true
            else { return }
            meta.isMatched = true
            if join.showsLeft, !otherMeta.isMatched {
                ofEvent.append((JoinedKey(left: otherMeta), nil))
                left.matchLater(number)
            }
            try add(JoinedKey(left: otherMeta, right: meta), other, element)
            if right.isUnique { left.forgetLater(number) }
        }
        if !meta.isMatched, join.showsRight { try add(JoinedKey(right: meta), nil, element) }
        if meta.isMatched, left.isUnique { return }
        try right.keep(element, key, meta)
    }

    private func add(_ key: JoinedKey, _ a: Left?, _ b: Right?) throws {
        ofEvent.append((key, try join.combine(a, b)))
    }

    // MARK: Rows

    var changes: Int { pending.count }
    // What texts point to is counted as one of 64 bytes.
    var bytesPerChange: Int { 2 * MemoryLayout<New>.stride + 64 + 64 }

    func forEachChange(_ body: (_ row: [Value]?, _ key: [Value]) throws -> Void) throws {
        for (key, row) in pending.sorted(by: { $0.key < $1.key }) {
            let parts = [
                (key.leftOffset, true), (key.leftPart, join.left.source.fansOut),
                (key.rightOffset, true), (key.rightPart, join.right.source.fansOut),
            ]
            let cells = parts.filter(\.1).map { Value.integer($0.0) }
            try body(try row.map { cells + (try codec.values($0)) }, cells)
        }
    }

    func clear() { pending.removeAll(keepingCapacity: true) }
}
