import CKappaJSON

/// Evaluates a condition for a reader's elements: from their columns if these suffice, else from their
/// structs. Both give the same answer.
final class ElementCondition<Element> {
    private let reader: any ElementReader<Element>
    private let condition: Condition<Element>
    private let columns = ColumnConditions()
    /// For each evaluated row, whether the condition holds; nil if columns do not suffice.
    let mask: RowMask?

    init(_ reader: any ElementReader<Element>, _ condition: Condition<Element>) {
        self.reader = reader
        self.condition = condition
        mask =
            ExpressionInputOptions.forbidColumns
            ? nil : columns.mask(of: condition) { reader.field(of: $0) }
    }

    /// Prepares the answers for some rows; valid until the next reading.
    func evaluate(_ rows: ArraySlice<Int32>) {
        if mask != nil { columns.evaluate(rows) { reader.column($0) } }
    }

    /// The loop that applies the condition to many structs, if the condition is a closure.
    var loop: ChoosingLoop<Element>? {
        if case .closure(_, let loop) = condition.form { loop } else { nil }
    }

    /// Whether the condition holds for the element in a row.
    func holds(_ row: Int32) throws -> Bool {
        if let mask { return mask.bytes[Int(row)] != 0 }
        var holds = false
        try reader.with(Int(row)) { holds = try condition.holds(for: $0.pointee) }
        return holds
    }
}

/// Passes on the elements of another stream for which a condition holds.
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
        guard let new = upstream.readNew(range, adopting: list) else { return }
        condition.evaluate(upstream.list.rows[new])
        if let mask = condition.mask { return list.append(upstream.list, new, where: mask) }
        if let loop = condition.loop { choose(new, loop) } else { chooseOneByOne(new) }
    }

    /// Lets a closure choose the elements.
    private func choose(_ new: Range<Int>, _ loop: ChoosingLoop<Element>) {
        let (rows, events) = (upstream.list.rows, upstream.list.events)
        var failed: [Int32: any Error] = [:]
        withUnsafeTemporaryAllocation(of: Bool.self, capacity: max(1, new.count)) { isWanted in
            isWanted.initialize(repeating: false)
            guard let first = isWanted.baseAddress.map({ $0 - new.lowerBound }) else { return }
            let fail = { (number: Int, error: any Error) in
                failed[events[number]] = failed[events[number]] ?? error
            }
            upstream.forStructs(rows[new]) { structs, numbers in
                loop(structs, numbers, first, fail)
            } failed: { number, error in
                fail(number, error)
            }
            for number in new where first[number] && failed[events[number]] == nil {
                list.append(row: Int(rows[number]), event: events[number])
            }
        }
        for (event, error) in failed.sorted(by: { $0.key < $1.key }) { fail(event, error) }
    }

    private func chooseOneByOne(_ new: Range<Int>) {
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
