import CKappaJSON

/// An event that may touch the row of a key.
struct KeyCandidate {
    /// Its index in the batch.
    var event: Int
    /// The event time that it comes with, where the step has any.
    var time: Int64?
    /// The largest event time of the events before it; `Int64.min` before the first.
    var streamTime = Int64.min
}

/// Finds the events that may touch the row of a key, by the column of the key alone.
protocol KeyFinder: AnyObject {
    /// Appends the candidates of a batch, in log order. Batches come in log order, too: event times
    /// add up.
    func find(in batch: EventBatch, into candidates: inout [KeyCandidate])
}

/// Finds the events of an aggregation's group.
final class GroupFinder: KeyFinder {
    private let input: any AggregationInput
    private let key: [KeyPart]
    /// The size and the start of the only window that is looked for.
    private let window: (size: Int64, start: Int64)?
    private let isWindowed: Bool
    private var streamTime = Int64.min

    /// Nil where the stream remembers something from event to event: then what it makes of an event
    /// depends on those before.
    init?(
        _ definition: AggregationDefinition, key: [KeyPart], plan: ExtractionPlan
    ) throws(KappaError) {
        guard definition.stateTables.isEmpty else { return nil }
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
        if case .tumbling(let size)? = definition.window, let start {
            window = (size, start)
        } else {
            window = nil
        }
        input = try definition.open(PlanContext(plan))
    }

    func find(in batch: EventBatch, into candidates: inout [KeyCandidate]) {
        let rows = input.rows(of: batch, 0..<batch.count).value
        let times = isWindowed ? rows.time?.integers : nil
        var before = streamTime
        var event: Int32 = -1
        for (row, of) in zip(rows.rows, rows.events) {
            let time = times?[Int(row)]
            if of != event {
                event = of
                before = streamTime
            }
            if let time {
                streamTime = max(streamTime, time)
                if let window, time < window.start || time >= window.start &+ window.size {
                    continue
                }
            }
            guard key.matches(rows.keys, Int(row)) else { continue }
            if candidates.last?.event == Int(of) {
                candidates[candidates.count - 1].time = time
            } else {
                candidates.append(
                    KeyCandidate(event: Int(of), time: time, streamTime: before))
            }
        }
    }
}

/// For streams that remember nothing.
private final class PlanContext: StreamContext {
    let plan: ExtractionPlan

    init(_ plan: ExtractionPlan) { self.plan = plan }

    func joinSide<Element: ViewRow>(
        _ type: Element.Type, kind: ColumnKind,
        key: @escaping (Element, Int64) throws -> JoinKey
    ) throws(KappaError) -> any JoinSide<Element> {
        throw KappaError(.bug, "a stream remembers more than it says")
    }

    func clock() -> StreamClock { StreamClock(.min) }
}

/// Finds the events that the handlers of one table of a fold take under a key.
final class HandlerFinder: KeyFinder {
    private let readers: [any FoldReader]
    private let key: [KeyPart]
    private var selection: [Int32] = []
    private var found: Set<Int> = []

    /// Nil where handlers look at other rows than those under their keys.
    init?(
        _ definition: FoldDefinition, table: Int, key: [KeyPart], plan: ExtractionPlan
    ) throws(KappaError) {
        if definition.handlers.contains(where: \.handler.seesTables) { return nil }
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
            // A computed column has no memory before its first value.
            if selection.isEmpty { continue }
            for event in selection where key.matches([column], Int(event)) {
                found.insert(Int(event))
            }
        }
        candidates += found.sorted().map { KeyCandidate(event: $0) }
    }
}

/// Takes every event for a candidate: for steps of which nothing else is known.
final class EveryEventFinder: KeyFinder {
    /// Finds the event times, where they are needed.
    private let times: (any KeyFinder)?
    private var timed: [KeyCandidate] = []

    init(times: (any KeyFinder)? = nil) { self.times = times }

    func find(in batch: EventBatch, into candidates: inout [KeyCandidate]) {
        timed.removeAll(keepingCapacity: true)
        times?.find(in: batch, into: &timed)
        var next = 0
        for event in 0..<batch.count {
            var candidate = KeyCandidate(event: event)
            if next < timed.count, timed[next].event == event {
                candidate.time = timed[next].time
                next += 1
            }
            candidates.append(candidate)
        }
    }
}
