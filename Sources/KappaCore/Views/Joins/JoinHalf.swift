/// One half of a join: its stream, and the elements that wait.
final class JoinHalf<Element: ViewRow> {
    let side: any JoinSide<Element>
    let isUnique: Bool
    let hasTime: Bool
    fileprivate let reader: any ElementReader<Element>
    private let expression: Expression<Element>
    private var selection: [Int32] = []
    private var isTaken: [Bool] = []
    /// What the event at hand has kept, and what it makes unneeded or matched.
    private var kept: [UInt32] = []
    private var toForget: [UInt32] = []
    private var toMatch: [UInt32] = []

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
    /// The columns of both halves' event times.
    func timeColumns<Other>(and other: JoinHalf<Other>) -> [Int] {
        reader.timeColumns + other.reader.timeColumns.filter { !reader.timeColumns.contains($0) }
    }

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
    func matchLater(_ number: UInt32) { toMatch.append(number) }

    /// The event cannot be taken: what was kept of it is forgotten.
    func undo() {
        for number in kept { side.remove(number) }
        forgetEvent()
        reader.undo()
    }

    /// The event has been taken: what was put off is done.
    func settle() {
        for number in toMatch { side.setMatched(number) }
        for number in toForget { side.remove(number) }
        forgetEvent()
        reader.settle()
    }

    private func forgetEvent() {
        kept.removeAll(keepingCapacity: true)
        toForget.removeAll(keepingCapacity: true)
        toMatch.removeAll(keepingCapacity: true)
    }
}

extension StreamContext {
    func joinSide<Element: ViewRow>(
        _ key: Expression<Element>, _ bound: JoinBound
    ) throws(KappaError) -> any JoinSide<Element> {
        try joinSide(Element.self, kind: key.kind) { element, time in
            JoinKey(value: try key.evaluate(element), window: bound.window(of: time))
        }
    }
}
