import CKappaJSON

extension EventStream {
    /// Only the first element of each key, in log order.
    ///
    /// It keeps every key that it has seen. A join on that key knows that no two elements share it, and so
    /// keeps less state.
    public func unique<Key: KeyValue>(
        by key: KeyPath<Element, Key> & Sendable
    ) -> MappedStream<Element> {
        let upstream = source
        let expression = Expression(key)
        let name = expression.propertyName ?? "computed"
        var source = upstream
        source.signature = { "\(upstream.signature()).unique(\(name))" }
        source.states = { upstream.states() + [.joinSide(key: expression.kind, [])] }
        source.condition = nil
        source.openAll = { context throws(KappaError) in
            try UniqueReader(upstream.open(context), expression, context)
        }
        source.uniqueBy = key
        return MappedStream(source: source)
    }
}

private final class UniqueReader<Element>: PassingReader {
    let upstream: any ElementReader<Element>
    private let key: ExpressionColumns<Element>
    private let keys: JoinKeyTable
    private let seen: JoinRows
    private let builder = PackedRowBuilder(cells: 0)
    private var firstOffset: Int64 = 0
    let list = ElementList()
    private var mark = 0
    private var ids: [UInt32] = []
    /// The rows of `seen` that were added since `settle()`, so that they can be undone.
    private var kept: [UInt32] = []

    init(
        _ upstream: any ElementReader<Element>, _ key: Expression<Element>,
        _ context: any StreamContext
    ) throws(KappaError) {
        self.upstream = upstream
        self.key = ExpressionColumns(upstream, [key])
        let (keys, sides) = try context.joinSides(cells: [0], kind: key.kind) { _ in 0 }
        self.keys = keys
        seen = sides[0]
    }

    var remembers: Bool { true }

    func load(_ batch: EventBatch) {
        firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        upstream.load(batch)
        key.clear()
        list.clear()
    }

    func read(_ range: Range<Int>) {
        list.begin()
        mark = list.count
        if key.needsStructs { return readOneByOne(range) }
        let first = upstream.list.count
        let failures = upstream.list.failures.count
        upstream.read(range)
        list.adoptFailures(of: upstream.list, from: failures)
        if list.needsRetry { return }
        let new = first..<upstream.list.count
        keys.find(upstream.list.rows[new], key.column(0), nil, into: &ids)
        let (rows, events) = (upstream.list.rows, upstream.list.events)
        var part: Int64 = 0
        for index in new {
            part = index > first && events[index] == events[index - 1] ? part + 1 : 0
            take(Int(rows[index]), of: events[index], ids[index - first], part: part)
        }
    }

    /// Reads event by event, because computing a key may fail.
    private func readOneByOne(_ range: Range<Int>) {
        guard let new = upstream.readNew(range, adopting: list) else { return }
        upstream.list.forEachEvent(new) { event, elements in
            let (count, keptBefore) = (list.count, kept.count)
            let rows = upstream.list.rows
            do {
                for (part, index) in elements.enumerated() {
                    let row = Int(rows[index])
                    try upstream.with(row) { try key.compute(row, $0) }
                    keys.find(rows[index...index], key.column(0), nil, into: &ids)
                    take(row, of: event, ids[0], part: Int64(part))
                }
            } catch {
                list.truncate(to: count)
                forget(downTo: keptBefore)
                list.fail(Int(event), EventOutcome(error), remembers: upstream.remembers)
            }
        }
    }

    private func take(_ row: Int, of event: Int32, _ key: UInt32, part: Int64) {
        guard seen.first(key) == nil else { return }
        builder.begin()
        let meta = JoinMeta(offset: firstOffset + Int64(event), part: part, time: 0)
        kept.append(seen.insert(builder, key: key, meta))
        list.append(row: row, event: event)
    }

    private func forget(downTo count: Int) {
        for number in kept[count...].reversed() { seen.remove(number) }
        kept.removeLast(kept.count - count)
    }

    func settle() {
        kept.removeAll(keepingCapacity: true)
        upstream.settle()
    }

    /// An event that could not be taken does not count as seen.
    func undo() {
        forget(downTo: 0)
        list.truncate(to: mark)
        upstream.undo()
    }

}
