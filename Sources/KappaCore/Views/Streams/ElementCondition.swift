import CKappaJSON

/// Tells for which of a reader's elements a condition holds: by their columns where these are all that it
/// takes, else by their structs. Both say the same.
final class ElementCondition<Element> {
    private let reader: any ElementReader<Element>
    private let condition: Condition<Element>
    private let columns = ColumnConditions()
    /// For each row that was evaluated, whether it holds, where columns are enough to tell.
    let mask: RowMask?

    init(_ reader: any ElementReader<Element>, _ condition: Condition<Element>) {
        self.reader = reader
        self.condition = condition
        mask =
            ExpressionInputOptions.forbidColumns
            ? nil : columns.mask(of: condition) { reader.field(of: $0) }
    }

    /// Some rows are there for which it may be asked, until the next reading.
    func evaluate(_ rows: ArraySlice<Int32>) {
        if mask != nil { columns.evaluate(rows) { reader.column($0) } }
    }

    /// Whether it holds for the element in a row.
    func holds(_ row: Int32) throws -> Bool {
        if let mask { return mask.bytes[Int(row)] != 0 }
        var holds = false
        try reader.with(Int(row)) { holds = try condition.holds(for: $0.pointee) }
        return holds
    }
}

/// Leaves elements of another stream out.
final class FilterReader<Element>: PassingReader {
    let upstream: any ElementReader<Element>
    private let condition: ElementCondition<Element>
    let list = ElementList()
    private var mark = 0

    init(_ upstream: any ElementReader<Element>, _ condition: Condition<Element>) {
        self.upstream = upstream
        self.condition = ElementCondition(upstream, condition)
    }

    var remembers: Bool { upstream.remembers }

    func load(_ batch: EventBatch) {
        upstream.load(batch)
        list.clear()
    }

    func read(_ range: Range<Int>) {
        list.begin()
        mark = list.count
        let first = upstream.list.count
        let failures = upstream.list.failures.count
        upstream.read(range)
        list.adoptFailures(of: upstream.list, from: failures)
        if list.isSpoilt { return }
        let new = first..<upstream.list.count
        condition.evaluate(upstream.list.rows[new])
        if let mask = condition.mask { return list.append(upstream.list, new, where: mask) }
        let rows = upstream.list.rows
        upstream.list.forEachEvent(new) { event, elements in
            let count = list.count
            do {
                for index in elements where try condition.holds(rows[index]) {
                    list.append(row: Int(rows[index]), event: event)
                }
            } catch {
                list.truncate(to: count)
                fail(event, error)
            }
        }
    }

    func settle() { upstream.settle() }
    func undo() {
        list.truncate(to: mark)
        upstream.undo()
    }
}
