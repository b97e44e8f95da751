import CKappaJSON

/// The rows that one batch of events gives an aggregation: columns, and which of their rows count.
///
/// Where columns of the batch itself serve, a row's index is that of its event; computed columns are
/// dense.
struct AggregationRows {
    /// Indices into the columns, in log order.
    var rows: [Int32] = []
    /// The event of each row, as an index into the batch.
    var events: [Int32] = []
    var time: kj_column?
    /// The batch's columns in which the view's event times stand, of all events.
    var clockColumns: [kj_column] = []
    var keys: [kj_column] = []
    /// The input of each aggregate.
    var inputs: [AggregateColumns] = []
    /// Events that could not be taken.
    var dead: [(event: Int, reason: String)] = []
    /// Events that came too late for the stream before.
    var late: [Int] = []
}

/// Makes rows for an aggregation out of batches.
package protocol AggregationInput: AnyObject {
    /// The rows of the events in `range`; valid until the next call.
    func rows(of batch: EventBatch, _ range: Range<Int>) -> AggregationRowsRef
}

/// Keeps ``AggregationRows`` in one place, so that its arrays are reused from batch to batch.
package final class AggregationRowsRef {
    var value = AggregationRows()
}

/// Evaluates expressions over a stream: on columns where all of them are plain properties, else on
/// decoded elements. Both give the same rows.
final class ExpressionInput<Element>: AggregationInput {
    private let reader: any ElementReader<Element>
    private let keys: [Expression<Element>]
    private let result = AggregationRowsRef()
    private var selection: [Int32] = []
    private let direct: DirectColumns?
    private let computedTime = ComputedColumn(kind: .timestamp)
    private let computedKeys: [ComputedColumn]
    private let computedConditions: ComputedConditions<Element>
    private let computedInputs: [ComputedInput<Element>]

    /// The plan's columns that stand for the expressions.
    private struct DirectColumns {
        var time: Int?
        var keys: [Int]
        var conditions: ColumnConditions
        var inputs: [DirectInput]
        var required: [RequiredColumn]
    }

    init(
        reader: any ElementReader<Element>, keys: [Expression<Element>],
        inputs: [AggregateInput<Element>], allowColumns: Bool = true
    ) {
        self.reader = reader
        self.keys = keys
        computedKeys = keys.map { ComputedColumn(kind: $0.kind) }
        let conditions = ComputedConditions<Element>()
        computedConditions = conditions
        computedInputs = inputs.map { ComputedInput($0, conditions) }
        let useColumns = allowColumns && !ExpressionInputOptions.forbidColumns
        direct = useColumns ? Self.direct(reader.columns, keys, inputs) : nil
    }

    private static func direct(
        _ columns: ElementColumns<Element>?, _ keys: [Expression<Element>],
        _ inputs: [AggregateInput<Element>]
    ) -> DirectColumns? {
        guard let columns else { return nil }
        let keyColumns = keys.compactMap { $0.keyPath.flatMap { columns.column($0) } }
        let conditions = ColumnConditions()
        let inputColumns = inputs.compactMap { DirectInput($0, conditions, columns.column) }
        guard keyColumns.count == keys.count, inputColumns.count == inputs.count else {
            return nil
        }
        return DirectColumns(
            time: columns.time, keys: keyColumns, conditions: conditions, inputs: inputColumns,
            required: columns.required)
    }

    func rows(of batch: EventBatch, _ range: Range<Int>) -> AggregationRowsRef {
        selection.removeAll(keepingCapacity: true)
        result.value.dead.removeAll(keepingCapacity: true)
        result.value.late.removeAll(keepingCapacity: true)
        reader.load(batch)
        reader.select(range, into: &selection)
        result.value.clockColumns = reader.timeColumns.map { batch.times($0) }
        if let direct { readColumns(direct, batch) } else { readElements() }
        return result
    }

    private func readColumns(_ direct: DirectColumns, _ batch: EventBatch) {
        for required in direct.required { check(required, batch) }
        result.value.rows = selection
        result.value.events = selection
        result.value.time = direct.time.map { batch.times($0) }
        result.value.keys = direct.keys.map { batch.columns[$0] }
        direct.conditions.evaluate(selection, in: batch)
        result.value.inputs = direct.inputs.map { $0.columns(in: batch) }
    }

    /// Takes the events out of the selection whose field is not what the type needs.
    private func check(_ required: RequiredColumn, _ batch: EventBatch) {
        let column = batch.columns[required.column]
        guard let states = column.states else { return }
        let allGood = selection.withUnsafeBufferPointer { rows in
            var good = true
            for row in rows {
                good = good && states[Int(row)] == UInt8(KJ_VALUE.rawValue)
            }
            return good
        }
        if allGood, !required.isDecimal { return }
        let isGood = { (row: Int32) in required.isGood(column, Int(row)) }
        if selection.allSatisfy(isGood) { return }
        selection.removeAll { row in
            if isGood(row) { return false }
            let failure = required.failure(kj_state(UInt32(states[Int(row)])))
            result.value.dead.append((Int(row), failure.description))
            return true
        }
    }

    private func readElements() {
        result.value.rows.removeAll(keepingCapacity: true)
        result.value.events.removeAll(keepingCapacity: true)
        computedTime.clear()
        for column in computedKeys { column.clear() }
        for input in computedInputs { input.clear() }
        for event in selection {
            let count = result.value.rows.count
            do {
                try reader.take(Int(event)) { element, time in try append(element, time, event) }
            } catch {
                truncate(to: count)
                switch EventOutcome(error) {
                case .dead(let reason): result.value.dead.append((Int(event), reason))
                case .late, .applied: result.value.late.append(Int(event))
                }
            }
        }
        result.value.time = computedTime.column
        result.value.keys = computedKeys.map(\.column)
        result.value.inputs = computedInputs.map(\.columns)
    }

    private func append(_ element: Element, _ time: Timestamp?, _ event: Int32) throws {
        let row = result.value.rows.count
        computedTime.set(row, time.map { .timestamp($0) } ?? .null)
        for (column, key) in zip(computedKeys, keys) {
            column.set(row, try key.evaluate(element))
        }
        try computedConditions.set(row, element)
        for input in computedInputs { try input.set(row, element) }
        result.value.rows.append(Int32(row))
        result.value.events.append(event)
    }

    private func truncate(to count: Int) {
        result.value.rows.removeLast(result.value.rows.count - count)
        result.value.events.removeLast(result.value.events.count - count)
    }
}

/// Lets tests hold the two paths together.
package enum ExpressionInputOptions {
    @TaskLocal package static var forbidColumns = false
}
