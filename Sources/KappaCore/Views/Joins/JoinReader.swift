/// Reads the pairs that each event completes.
final class JoinReader<Left: ViewRow, Right: ViewRow, New>: ElementReader {
    typealias Element = New

    private let join: InnerJoin<Left, Right, New>
    private let left: JoinHalf<Left>
    private let right: JoinHalf<Right>
    private let clock: StreamClock
    private var firstOffset: Int64 = 0
    /// The clock before the event at hand.
    private var timeBefore: Int64?

    init(
        _ join: InnerJoin<Left, Right, New>, _ context: any StreamContext
    ) throws(KappaError) {
        self.join = join
        let leftReader = try join.left.source.open(context)
        let rightReader = try join.right.source.open(context)
        left = JoinHalf(leftReader, join.left, try context.joinSide(join.left.key, join.bound))
        right = JoinHalf(rightReader, join.right, try context.joinSide(join.right.key, join.bound))
        clock = context.clock()
    }

    var columns: ElementColumns<New>? { nil }

    func load(_ batch: EventBatch) {
        firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        left.load(batch)
        right.load(batch)
        if let past = join.bound.past(streamTime: clock.time) {
            left.side.removeAll(upTo: past)
            right.side.removeAll(upTo: past)
        }
    }

    func select(_ range: Range<Int>, into selection: inout [Int32]) {
        left.select(range)
        right.select(range)
        for event in range where left.isSelected(event) || right.isSelected(event) {
            selection.append(Int32(event))
        }
    }

    func read(_ event: Int, _ body: (New, Timestamp?) throws -> Void) throws {
        timeBefore = clock.time
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
        timeBefore = nil
        left.settle()
        right.settle()
    }

    func undo(isLate: Bool) {
        // The time of a late event has passed all the same.
        if let timeBefore, !isLate { clock.time = timeBefore }
        timeBefore = nil
        left.undo(isLate: isLate)
        right.undo(isLate: isLate)
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
        clock.time = max(clock.time, meta.time)
        if bound.isPast(meta.time, streamTime: clock.time) { throw LateElement() }
        let key = JoinKey(value: try mine.key(element), window: bound.window(of: meta.time))
        var hasMet = false
        try theirs.side.forEach(key) { number, other, otherMeta in
            guard bound.allows(meta.time, otherMeta.time),
                !bound.isPast(otherMeta.time, streamTime: clock.time)
            else { return }
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

/// One half of a join: its stream, and the elements that wait.
private final class JoinHalf<Element: ViewRow> {
    let side: any JoinSide<Element>
    let isUnique: Bool
    let hasTime: Bool
    private let reader: any ElementReader<Element>
    private let expression: Expression<Element>
    private var selection: [Int32] = []
    private var isTaken: [Bool] = []
    /// What the event at hand has kept, and what it makes unneeded.
    private var kept: [UInt32] = []
    private var toForget: [UInt32] = []

    init(
        _ reader: any ElementReader<Element>, _ input: JoinInput<Element>,
        _ side: any JoinSide<Element>
    ) {
        self.reader = reader
        self.side = side
        isUnique = input.isUnique
        hasTime = input.source.hasTime
        expression = input.key
    }

    func key(_ element: Element) throws -> Value { try expression.evaluate(element) }

    func load(_ batch: EventBatch) {
        reader.load(batch)
        isTaken.removeAll(keepingCapacity: true)
        isTaken.append(contentsOf: repeatElement(false, count: batch.count))
    }

    func select(_ range: Range<Int>) {
        selection.removeAll(keepingCapacity: true)
        reader.select(range, into: &selection)
        for event in selection { isTaken[Int(event)] = true }
    }

    func isSelected(_ event: Int) -> Bool { isTaken[event] }

    func forEach(
        _ event: Int, at firstOffset: Int64, _ body: (Element, JoinMeta) throws -> Void
    ) throws {
        var part: Int64 = 0
        try reader.read(event) { element, time in
            try body(
                element,
                JoinMeta(
                    offset: firstOffset + Int64(event), part: part,
                    time: time?.microseconds ?? 0))
            part += 1
        }
    }

    func keep(_ element: Element, _ key: JoinKey, _ meta: JoinMeta) throws {
        kept.append(try side.insert(element, key: key, meta))
    }
    func forgetLater(_ number: UInt32) { toForget.append(number) }
    func settle() {
        for number in toForget { side.remove(number) }
        forgetEvent()
        reader.settle()
    }
    func undo(isLate: Bool) {
        for number in kept { side.remove(number) }
        forgetEvent()
        reader.undo(isLate: isLate)
    }
    private func forgetEvent() {
        kept.removeAll(keepingCapacity: true)
        toForget.removeAll(keepingCapacity: true)
    }
}

extension StreamContext {
    fileprivate func joinSide<Element: ViewRow>(
        _ key: Expression<Element>, _ bound: JoinBound
    ) throws(KappaError) -> any JoinSide<Element> {
        try joinSide(Element.self, kind: key.kind) { element, time in
            JoinKey(value: try key.evaluate(element), window: bound.window(of: time))
        }
    }
}
