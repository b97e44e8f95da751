import CKappaJSON

/// An event that may touch the row of a key.
struct KeyCandidate {
    /// Its index in the batch.
    var event: Int
    /// The step's stream time before it.
    var streamTime = Int64.min
}

/// Finds the events that may touch the row of a key, by the columns of the key alone.
protocol KeyFinder: AnyObject {
    /// Appends the candidates of a batch, in log order. The batches must come in log order too, since stream
    /// time carries over from one to the next.
    func find(in batch: EventBatch, into candidates: inout [KeyCandidate])
}

/// Finds the events of an aggregation's group.
final class GroupFinder: KeyFinder {
    private let input: any AggregationInput
    private let key: [KeyPart]
    /// The bounds of the requested window.
    private let window: Range<Int64>?
    private let isWindowed: Bool
    private var streamTime = Int64.min

    /// Nil if the stream keeps state from event to event: what it makes of an event then depends on earlier
    /// ones.
    init?(
        _ definition: AggregationDefinition, key: [KeyPart], plan: ExtractionPlan
    ) throws(KappaError) {
        guard definition.readsOwnKeyOnly else { return nil }
        var parts: [KeyPart] = []
        var start: Int64?
        for (column, part) in zip(definition.table.keyColumns, key) {
            if case .key = definition.origins[column] {
                parts.append(part)
            } else if case .integer(let time) = part {
                start = time
            }
        }
        self.key = parts
        isWindowed = definition.window != nil
        window = start.flatMap { start in
            WindowCut(definition).map { start..<max(start, $0.end(ofStart: start)) }
        }
        input = try definition.open(PlanContext(plan))
    }

    func find(in batch: EventBatch, into candidates: inout [KeyCandidate]) {
        let rows = input.rows(of: batch, 0..<batch.count).value
        let times = isWindowed ? rows.time?.integers : nil
        var clock = StreamClock(
            streamTime, columns: isWindowed ? rows.clockColumns : [], from: 0)
        var before = streamTime
        var event: Int32 = -1
        for (row, of) in zip(rows.rows, rows.events) {
            if of != event {
                event = of
                clock.advance(through: Int(of) - 1)
                before = clock.time
            }
            if let time = times?[Int(row)] {
                clock.meet(time)
                if let window, !window.contains(time) { continue }
            }
            guard candidates.last?.event != Int(of), key.matches(rows.keys, Int(row)) else {
                continue
            }
            candidates.append(KeyCandidate(event: Int(of), streamTime: before))
        }
        clock.advance(through: batch.count - 1)
        streamTime = clock.time
    }
}

/// The context for streams without state.
private final class PlanContext: StreamContext {
    let plan: ExtractionPlan

    init(_ plan: ExtractionPlan) { self.plan = plan }

    func joinSides(
        cells: [Int], kind: ColumnKind, window: @escaping (Int64) -> Int64
    ) throws(KappaError) -> (keys: JoinKeyTable, sides: [JoinRows]) {
        throw KappaError(.bug, "a stream remembers more than it says")
    }

    func clock(columns: [Int]) -> StreamTimekeeper { StreamTimekeeper(.min, columns: columns) }
}

/// Finds the events that the handlers of one table of a fold apply to a key.
final class HandlerFinder: KeyFinder {
    private let readers: [any FoldReader]
    private let key: [KeyPart]
    private var selection: [Int32] = []
    private var found: Set<Int> = []

    /// Nil if handlers read rows of other keys than their own.
    init?(
        _ definition: FoldDefinition, table: Int, key: [KeyPart], plan: ExtractionPlan
    ) throws(KappaError) {
        guard definition.readsOwnKeyOnly else { return nil }
        self.key = key
        var readers: [any FoldReader] = []
        for (index, handler) in definition.handlers where index == table {
            readers.append(try handler.open(plan, definition.tables[index].initial))
        }
        self.readers = readers
    }

    func find(in batch: EventBatch, into candidates: inout [KeyCandidate]) {
        found.removeAll(keepingCapacity: true)
        for reader in readers {
            selection.removeAll(keepingCapacity: true)
            reader.load(batch)
            reader.select(0..<batch.count, into: &selection)
            let column = reader.keys(of: &selection, batch) { _, _ in }
            // The buffer of a computed column is not allocated before its first value.
            if selection.isEmpty { continue }
            for event in selection where key.matches([column], Int(event)) {
                found.insert(Int(event))
            }
        }
        candidates += found.sorted().map { KeyCandidate(event: $0) }
    }
}

/// Makes every event a candidate, for steps whose events cannot be found by key.
final class EveryEventFinder: KeyFinder {
    func find(in batch: EventBatch, into candidates: inout [KeyCandidate]) {
        for event in 0..<batch.count { candidates.append(KeyCandidate(event: event)) }
    }
}
