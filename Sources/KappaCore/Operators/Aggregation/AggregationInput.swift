import CKappaJSON

/// The rows of one batch of events for an aggregation: columns, and which of their rows count.
///
/// In columns of the batch itself, a row's index is that of its event; computed columns are dense.
struct AggregationRows {
    /// Indices into the columns, in log order.
    var rows: [Int32] = []
    /// The event of each row, as an index into the batch.
    var events: [Int32] = []
    var time: kj_column?
    var keys: [kj_column] = []
    /// The input of each aggregate.
    var inputs: [AggregateColumns] = []
    /// Events that could not be processed.
    var dead: [(event: Int, reason: String)] = []
    /// Events that were too late for an earlier part of the stream, such as a join.
    var late: [Int] = []
}

extension AggregationRows {
    /// The columns of the keys, for looking up groups.
    func keyColumns(_ kinds: [ColumnKind]) -> [KeyColumn] {
        zip(keys, kinds).map { column, kind in
            kind.isText ? .texts(column.strings) : .integers(column.integers)
        }
    }

    /// Records the outcome of the dead and late events in a pass.
    func noteRefused(in pass: BatchPass) {
        for (event, reason) in dead { pass.kill(event, reason) }
        for event in late { pass.mark(event, .late) }
    }
}

/// Turns batches into rows for an aggregation.
package protocol AggregationInput: AnyObject {
    /// The rows of the events in `range`; valid until the next call.
    func rows(of batch: EventBatch, _ range: Range<Int>) -> AggregationRowsRef
    /// The plan's columns of the event times; see ``PartitionClocks/add(columns:)``.
    var timeColumns: [Int] { get }
}

/// Keeps ``AggregationRows`` in one place, so that its arrays are reused from batch to batch.
package final class AggregationRowsRef {
    var value = AggregationRows()
}

/// Evaluates expressions over a stream: from the columns of its elements where there are such columns, else
/// from the elements. Both give the same rows.
final class ExpressionInput<Element>: AggregationInput {
    private let reader: any ElementReader<Element>
    private let result = AggregationRowsRef()
    private let keys: ExpressionColumns<Element>
    private let conditions = ColumnConditions()
    private let computedConditions = ComputedConditions<Element>()
    private let inputs: [Input]
    private let needsStructs: Bool

    /// The input of an aggregate: fields only, or at least one computed part.
    private enum Input {
        case direct(DirectInput)
        case computed(ComputedInput<Element>)
    }

    init(
        reader: any ElementReader<Element>, keys: [Expression<Element>],
        inputs: [AggregateInput<Element>], allowColumns: Bool = true
    ) {
        self.reader = reader
        self.keys = ExpressionColumns(reader, keys, allowFields: allowColumns)
        let useColumns = allowColumns && !ExpressionInputOptions.forbidColumns
        let (conditions, computedConditions) = (conditions, computedConditions)
        let all = inputs.map { input -> Input in
            let direct =
                useColumns ? DirectInput(input, conditions) { reader.field(of: $0) } : nil
            return direct.map { .direct($0) } ?? .computed(ComputedInput(input, computedConditions))
        }
        self.inputs = all
        needsStructs =
            self.keys.needsStructs
            || all.contains { if case .computed = $0 { true } else { false } }
    }

    var timeColumns: [Int] { reader.timeColumns }

    func rows(of batch: EventBatch, _ range: Range<Int>) -> AggregationRowsRef {
        reader.load(batch)
        keys.clear()
        for case .computed(let input) in inputs { input.clear() }
        result.value.rows.removeAll(keepingCapacity: true)
        result.value.events.removeAll(keepingCapacity: true)
        var settledCount = 0
        reader.forEachReading(range) { new in
            take(new)
        } settled: { succeeded in
            if !succeeded { truncate(to: settledCount) }
            settledCount = result.value.rows.count
        }
        finish(batch)
        return result
    }

    private func take(_ new: Range<Int>) {
        let list = reader.list
        guard needsStructs else {
            result.value.rows.append(contentsOf: list.rows[new])
            result.value.events.append(contentsOf: list.events[new])
            return
        }
        list.forEachEvent(new) { event, elements in
            let count = result.value.rows.count
            do {
                for index in elements {
                    let row = list.rows[index]
                    try reader.with(Int(row)) { try compute(Int(row), $0) }
                    result.value.rows.append(row)
                    result.value.events.append(event)
                }
            } catch {
                truncate(to: count)
                reader.fail(event, error)
            }
        }
    }

    private func compute(_ row: Int, _ element: UnsafePointer<Element>) throws {
        try keys.compute(row, element)
        try computedConditions.set(row, element.pointee)
        for case .computed(let input) in inputs { try input.set(row, element.pointee) }
    }

    private func truncate(to count: Int) {
        guard count < result.value.rows.count else { return }
        result.value.rows.removeLast(result.value.rows.count - count)
        result.value.events.removeLast(result.value.events.count - count)
    }

    /// Fills in the rest of the result once it has all of the batch's rows.
    private func finish(_ batch: EventBatch) {
        result.value.dead.removeAll(keepingCapacity: true)
        result.value.late.removeAll(keepingCapacity: true)
        for (event, outcome) in reader.list.failures {
            switch outcome {
            case .dead(let reason): result.value.dead.append((event, reason))
            case .late, .applied: result.value.late.append(event)
            }
        }
        result.value.time = reader.times
        result.value.keys = keys.columns
        conditions.evaluate(result.value.rows[...]) { reader.column($0) }
        result.value.inputs = inputs.map { input in
            switch input {
            case .direct(let direct): direct.columns { reader.column($0) }
            case .computed(let computed): computed.columns
            }
        }
    }
}
