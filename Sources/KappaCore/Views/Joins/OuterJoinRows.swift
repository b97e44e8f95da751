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
    private let halves: JoinHalves<Left, Right>
    private let failures = ElementList()
    private let codec: RowCodec<New>
    /// The rows that have changed; nil where one is gone.
    private var pending: [JoinedKey: New?] = [:]
    /// What the reading at hand changes; kept only if it stands.
    private var changed: [(key: JoinedKey, row: New?)] = []

    init(
        _ join: OuterJoin<Left, Right, New>, _ context: any StreamContext
    ) throws(KappaError) {
        self.join = join
        codec = try RowCodec()
        halves = try JoinHalves(join.left, join.right, join.bound, context)
    }

    func take(
        _ batch: EventBatch, _ range: Range<Int>, _ outcome: (Int, EventOutcome) -> Void
    ) {
        halves.load(batch)
        failures.clear()
        failures.forEachReading(range) { range in
            read(range, outcome)
        } settle: { stands in
            if stands {
                for change in changed { pending[change.key] = .some(change.row) }
                halves.settle()
            } else {
                halves.undo()
            }
            changed.removeAll(keepingCapacity: true)
        }
        for (event, failure) in failures.failures { outcome(event, failure) }
    }

    private func read(_ range: Range<Int>, _ outcome: (Int, EventOutcome) -> Void) {
        var count = 0
        failures.begin()
        halves.read(range, failures) { _ in
            count = changed.count
        } left: { index, meta in
            try meet(left: index, meta)
            outcome(Int(halves.left.list.events[index]), .applied)
        } right: { index, meta in
            try meet(right: index, meta)
            outcome(Int(halves.right.list.events[index]), .applied)
        } undo: { _ in
            changed.removeLast(changed.count - count)
        }
    }

    private func meet(left index: Int, _ meta: JoinMeta) throws {
        let (left, right) = (halves.left, halves.right)
        var meta = meta
        _ = try halves.meet(index, meta, left, right) { element, number, _ in
            try right.withKept(number) { other in
                guard try join.isJoined?(element.pointee, other.pointee) ?? true else { return }
                meta.isMatched = true
                let otherMeta = right.side.meta(number)
                if join.showsRight, !otherMeta.isMatched {
                    changed.append((JoinedKey(right: otherMeta), nil))
                    right.match(number)
                }
                try add(JoinedKey(left: meta, right: otherMeta), element.pointee, other.pointee)
            }
        }
        if !meta.isMatched, join.showsLeft {
            try left.with(index) { try add(JoinedKey(left: meta), $0.pointee, nil) }
        }
        if meta.isMatched, right.isUnique { return }
        try left.keep(index, meta)
    }

    private func meet(right index: Int, _ meta: JoinMeta) throws {
        let (left, right) = (halves.left, halves.right)
        var meta = meta
        _ = try halves.meet(index, meta, right, left) { element, number, _ in
            try left.withKept(number) { other in
                guard try join.isJoined?(other.pointee, element.pointee) ?? true else { return }
                meta.isMatched = true
                let otherMeta = left.side.meta(number)
                if join.showsLeft, !otherMeta.isMatched {
                    changed.append((JoinedKey(left: otherMeta), nil))
                    left.match(number)
                }
                try add(JoinedKey(left: otherMeta, right: meta), other.pointee, element.pointee)
            }
        }
        if !meta.isMatched, join.showsRight {
            try right.with(index) { try add(JoinedKey(right: meta), nil, $0.pointee) }
        }
        if meta.isMatched, left.isUnique { return }
        try right.keep(index, meta)
    }

    private func add(_ key: JoinedKey, _ a: Left?, _ b: Right?) throws {
        changed.append((key, try join.combine(a, b)))
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
