/// The rows of an outer join that have changed since the last commit, without their types.
package protocol JoinedRowsInput: AnyObject {
    /// Takes the elements of the events in `range`, and reports the outcome of each event.
    func take(
        _ batch: EventBatch, _ range: Range<Int>, _ outcome: (Int, EventOutcome) -> Void)
    /// Visits the changed rows in the order of their keys: the cells of the row, nil if it was deleted, and
    /// the cells of its key.
    func forEachChange(_ body: (_ row: [Value]?, _ key: [Value]) throws -> Void) throws
    /// Forgets the changes, which have been committed.
    func clear()
    var changes: Int { get }
    /// How much memory a change takes, roughly.
    var bytesPerChange: Int { get }
}

/// The two elements of a row; offset -1 for a missing one.
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
    private let typed: TypedJoin<Left, Right>
    private let halves: JoinHalves
    private let failures = ElementList()
    private let codec: RowCodec<New>
    /// The rows that have changed; nil for a deleted row.
    private var pending: [JoinedKey: New?] = [:]
    /// The changes of the current reading; they are discarded if it is undone.
    private var changed: [(key: JoinedKey, row: New?, event: Int32)] = []

    init(
        _ join: OuterJoin<Left, Right, New>, _ context: any StreamContext
    ) throws(KappaError) {
        self.join = join
        codec = try RowCodec()
        typed = try TypedJoin(join.left, join.right, join.bound, context)
        halves = typed.halves
    }

    func take(
        _ batch: EventBatch, _ range: Range<Int>, _ outcome: (Int, EventOutcome) -> Void
    ) {
        halves.load(batch)
        failures.clear()
        failures.forEachReading(range) { range in
            read(range, outcome)
        } settle: { succeeded in
            if succeeded {
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
        failures.begin()
        halves.read(range, failures) { index, event, meta in
            try meet(left: index, event, meta)
            outcome(Int(event), .applied)
        } right: { index, event, meta in
            try meet(right: index, event, meta)
            outcome(Int(event), .applied)
        } undo: { event in
            while let last = changed.last, last.event >= event { changed.removeLast() }
        }
    }

    private func meet(left index: Int, _ event: Int32, _ meta: JoinMeta) throws {
        let (left, right) = (typed.left, typed.right)
        var meta = meta
        let hasMet = try halves.meet(index, event, meta, left, right)
        try left.with(index, if: hasMet || join.showsLeft) { element in
            for number in halves.met.lazy.map(\.number) {
                try right.withKept(number) { partner in
                    guard try join.isJoined?(element.pointee, partner.pointee) ?? true else {
                        return
                    }
                    meta.isMatched = true
                    let otherMeta = right.side.meta(number)
                    if join.showsRight, !otherMeta.isMatched {
                        change(JoinedKey(right: otherMeta), nil, event)
                        right.match(number, event)
                    }
                    let row = try combined(element.pointee, partner.pointee)
                    change(JoinedKey(left: meta, right: otherMeta), row, event)
                }
            }
            if !meta.isMatched, join.showsLeft {
                change(JoinedKey(left: meta), try combined(element.pointee, nil), event)
            }
        }
        if !hasMet || !right.isUnique { try left.keep(index, event, meta) }
    }

    private func meet(right index: Int, _ event: Int32, _ meta: JoinMeta) throws {
        let (left, right) = (typed.left, typed.right)
        var meta = meta
        let hasMet = try halves.meet(index, event, meta, right, left)
        try right.with(index, if: hasMet || join.showsRight) { element in
            for number in halves.met.lazy.map(\.number) {
                try left.withKept(number) { partner in
                    guard try join.isJoined?(partner.pointee, element.pointee) ?? true else {
                        return
                    }
                    meta.isMatched = true
                    let otherMeta = left.side.meta(number)
                    if join.showsLeft, !otherMeta.isMatched {
                        change(JoinedKey(left: otherMeta), nil, event)
                        left.match(number, event)
                    }
                    let row = try combined(partner.pointee, element.pointee)
                    change(JoinedKey(left: otherMeta, right: meta), row, event)
                }
            }
            if !meta.isMatched, join.showsRight {
                change(JoinedKey(right: meta), try combined(nil, element.pointee), event)
            }
        }
        if !hasMet || !left.isUnique { try right.keep(index, event, meta) }
    }

    private func combined(_ left: Left?, _ right: Right?) throws -> New? {
        let row = try join.combine(left, right)
        try DecimalOverflow.check()
        return row
    }

    private func change(_ key: JoinedKey, _ row: New?, _ event: Int32) {
        changed.append((key, row, event))
    }

    // MARK: Rows

    var changes: Int { pending.count }
    // Assumes 64 bytes for what a row points to, such as texts.
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
