import CKappaJSON

/// An event that may touch the row of a key.
struct KeyCandidate {
    /// Its index in the batch.
    var event: Int
    /// The step's stream times before it; nil if they do not matter.
    var streamTimes: StreamTimes?
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
    private let clocks = PartitionClocks(StreamTimes())
    private let clock: PartitionClock

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
        clock = clocks.add(columns: isWindowed ? input.timeColumns : nil)
    }

    func find(in batch: EventBatch, into candidates: inout [KeyCandidate]) {
        for stretch in batch.stretches {
            switch stretch {
            case .events(let events, let partition):
                clocks.enter(partition)
                find(events, of: batch, into: &candidates)
            case .tick(_, let run): clocks.pass(run, in: batch)
            }
        }
    }

    private func find(
        _ events: Range<Int>, of batch: EventBatch, into candidates: inout [KeyCandidate]
    ) {
        let rows = input.rows(of: batch, events).value
        let times = isWindowed ? rows.time?.integers : nil
        var running = clock.start(batch, from: events.lowerBound)
        var before = running.reached
        var event: Int32 = -1
        for (row, of) in zip(rows.rows, rows.events) {
            if of != event {
                event = of
                running.advance(through: Int(of) - 1)
                before = running.reached
            }
            if let time = times?[Int(row)] {
                running.meet(time)
                if let window, !window.contains(time) { continue }
            }
            guard candidates.last?.event != Int(of), key.matches(rows.keys, Int(row)) else {
                continue
            }
            clock.stop(reached: before)
            candidates.append(
                KeyCandidate(event: Int(of), streamTimes: isWindowed ? clocks.times : nil))
        }
        running.advance(through: events.upperBound - 1)
        clock.stop(running)
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

    func clock(columns: [Int]) -> StreamTimekeeper {
        StreamTimekeeper(PartitionClocks(StreamTimes()).add(columns: columns))
    }
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
