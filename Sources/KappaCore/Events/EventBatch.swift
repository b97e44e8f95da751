import CKappaJSON
import Synchronization

/// Consecutive events as columns. The columns point into the payload, which must outlive them.
package final class EventBatch {
    private let batch: OpaquePointer
    private let plan: ExtractionPlan
    package private(set) var firstOffset = Offset.zero
    package private(set) var count = 0
    /// The events' JSON text.
    private(set) var payload = UnsafeRawBufferPointer(start: nil, count: 0)
    private(set) var columns: [kj_column] = []
    private var contents: [ColumnContents] = []
    private var ingestion: IngestionColumn?
    private var limited: [LimitedTimes] = []
    /// The indices of erased events and of ticks, which nobody takes.
    private(set) var withheld: Set<Int32> = []
    /// The events in the order in which their times count.
    private(set) var stretches: [Stretch] = []

    enum Stretch {
        /// Consecutive events of one time partition; nil for the one of all sources that declare none.
        case events(Range<Int>, partition: String?)
        /// A tick, with its index and its run.
        case tick(Int, IngestionRun)
    }

    package init(plan: ExtractionPlan) {
        self.plan = plan
        batch = plan.makeBatch()
    }
    deinit { kj_batch_free(batch) }

    /// Extracts `count` events. The payload needs ``padding`` readable bytes after it.
    /// - Parameter runs: When the events were appended, according to their block.
    package func load(
        _ payload: UnsafeRawBufferPointer, count: Int, firstOffset: Offset,
        runs: [IngestionRun] = []
    ) throws(KappaError) {
        try load(payload, count: count, firstOffset: firstOffset, runs: runs, by: nil)
    }

    /// The same, on a thread other than the plan's.
    func load(
        _ payload: UnsafeRawBufferPointer, count: Int, firstOffset: Offset,
        runs: [IngestionRun], by extractor: BlockExtractor?
    ) throws(KappaError) {
        // No event is shorter than `{}` and its newline. So a wrong count cannot allocate much memory.
        guard count <= payload.count,
            plan.extract(payload, count: count, into: batch, by: extractor)
        else {
            throw KappaError(
                .damaged, "a block of the log does not hold the events that its header states",
                at: "offsets \(firstOffset) to \(firstOffset + count)",
                because: "its payload is not \(count) JSON objects",
                advice: "Run `kappa log verify`")
        }
        self.payload = payload
        self.count = count
        self.firstOffset = firstOffset
        columns = (0..<plan.columnCount).map { kj_batch_column(batch, UInt32($0)) }
        for (column, clock) in plan.zoned { clock.place(columns[column], count) }
        contents = columns.map { ColumnContents($0, count) }
        take(runs)
        guard plan.hasIngestionTimes else { return }
        let ingestion = ingestion ?? IngestionColumn()
        ingestion.fill(runs, count: count)
        self.ingestion = ingestion
        while limited.count < plan.limited.count { limited.append(LimitedTimes()) }
        for (times, limit) in zip(limited, plan.limited) {
            times.fill(
                columns[limit.column], ingestion.column, atMostAhead: limit.ahead, count: count)
        }
    }

    private func take(_ runs: [IngestionRun]) {
        if !withheld.isEmpty { withheld = [] }
        stretches.removeAll(keepingCapacity: true)
        // Where the current stretch begins, and of which partition it is.
        var (start, partition) = (0, String?.none)
        func end(at event: Int) {
            if event > start { stretches.append(.events(start..<event, partition: partition)) }
            start = event
        }
        var first = 0
        for run in runs {
            for event in run.erased {
                withheld.insert(Int32(truncatingIfNeeded: first + event.index))
            }
            if run.tick != nil {
                end(at: first)
                stretches.append(.tick(first, run))
                withheld.insert(Int32(truncatingIfNeeded: first))
                start = first + 1
            } else if run.partition != partition {
                end(at: first)
                partition = run.partition
            }
            first += run.events
        }
        end(at: count)
    }

    /// Whether a column has a value in every event, and no decimal whose digits are too many for the column.
    func isFull(_ column: Int) -> Bool { contents[column].isFull }
    /// Whether a column is missing or null in every event.
    func isEmpty(_ column: Int) -> Bool { contents[column].isEmpty }

    /// What is known of one event beside its JSON, for a batch of only that event.
    func runs(of event: Int) -> [IngestionRun] {
        var run = IngestionRun(
            events: 1, ingestedAtMicros: ingestion?.column.integers[event] ?? 0)
        for stretch in stretches {
            switch stretch {
            case .tick(event, let tick): return [tick]
            case .events(let range, let partition) where range.contains(event):
                run.partition = partition
            default: continue
            }
        }
        if withheld.contains(Int32(truncatingIfNeeded: event)) {
            run.erased = [.init(index: 0, bytes: 0, crc: 0)]
        }
        return [run]
    }

    /// The time to which a tick moves a clock; nil if it does not.
    /// - Parameter columns: The columns of the event times that the clock follows; none if they are computed.
    func time(of tick: IngestionRun.Tick, _ run: IngestionRun, on columns: [Int]) -> Int64? {
        if tick.timeMicros == .min { return nil }
        if columns.isEmpty { return tick.timeMicros }
        return columns.compactMap { column in
            if column >= 0 { return tick.timeMicros }
            if column == ExtractionPlan.ingestionTimes { return run.ingestedAtMicros }
            let limit = plan.limited[ExtractionPlan.ingestionTimes - 1 - column]
            let (latest, overflow) = run.ingestedAtMicros.addingReportingOverflow(limit.ahead)
            return overflow || tick.timeMicros <= latest ? tick.timeMicros : nil
        }.max()
    }

    /// A column of times: one of the plan's columns, a limited one, or the ingestion times.
    func times(_ column: Int) -> kj_column {
        guard column < 0 else { return columns[column] }
        if column < ExtractionPlan.ingestionTimes {
            return limited[ExtractionPlan.ingestionTimes - 1 - column].column
        }
        guard let ingestion else {
            preconditionFailure("a plan asks for ingestion times before a batch is loaded")
        }
        return ingestion.column
    }

    package static let padding = Int(KJ_PADDING)

    /// The JSON text of one event, without its newline.
    func event(_ index: Int) -> String { String(decoding: bytes(of: index), as: UTF8.self) }

    /// The bytes of one event, without its newline; valid as long as the payload is.
    func bytes(of index: Int) -> Slice<UnsafeRawBufferPointer> {
        guard let starts = kj_batch_starts(batch) else { return payload[0..<0] }
        let slice = payload[Int(starts[index])..<Int(starts[index + 1])]
        var end = slice.endIndex
        while end > slice.startIndex, [0x20, 0x09, 0x0A, 0x0D].contains(slice[end - 1]) { end -= 1 }
        return slice[slice.startIndex..<end]
    }
}

/// What holds for all events of a batch in one column; computed once for all views.
struct ColumnContents {
    let isFull: Bool
    let isEmpty: Bool

    init(_ column: kj_column, _ count: Int) {
        guard let states = column.states else {
            (isFull, isEmpty) = (false, false)
            return
        }
        // Loops without branches, which the compiler vectorizes.
        var (all, any): (UInt8, UInt8) = (.max, 0)
        for row in 0..<count {
            all &= states[row]
            any |= states[row]
        }
        isEmpty = any & ~UInt8(KJ_NULL.rawValue) == UInt8(KJ_MISSING.rawValue)
        guard all == any, any == UInt8(KJ_VALUE.rawValue) else {
            isFull = false
            return
        }
        var widest: UInt8 = 0
        if column.kind == KJ_DECIMAL, let scales = column.scales {
            for row in 0..<count { widest = max(widest, scales[row]) }
        }
        isFull = widest < UInt8(KJ_WIDE)
    }
}

/// The ingestion time of each event of a batch, as a column.
final class IngestionColumn {
    private var times = UnsafeMutablePointer<Int64>.allocate(capacity: 1)
    private var states = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
    private var capacity = 1

    deinit {
        times.deallocate()
        states.deallocate()
    }

    /// Fills the column from the runs of a block of `count` events.
    func fill(_ runs: [IngestionRun], count: Int) {
        if count > capacity {
            times.deallocate()
            states.deallocate()
            capacity = count
            times = .allocate(capacity: count)
            states = .allocate(capacity: count)
        }
        states.update(repeating: UInt8(KJ_VALUE.rawValue), count: count)
        var event = 0
        for run in runs {
            let end = min(count, event + run.events)
            for index in event..<end { times[index] = run.ingestedAtMicros }
            event = end
        }
        // A block's runs cover all its events. If they did not, the rest of the events would have no time.
        for index in event..<count {
            times[index] = 0
            states[index] = UInt8(KJ_MISSING.rawValue)
        }
    }

    /// Valid until the next batch.
    var column: kj_column {
        var column = kj_column()
        column.kind = KJ_TIMESTAMP
        column.states = states
        column.integers = times
        return column
    }
}

/// A column of times in which times too far ahead of their events' ingestion are missing.
final class LimitedTimes {
    private var states = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
    private var capacity = 1
    /// Valid until the next batch.
    private(set) var column = kj_column()

    deinit { states.deallocate() }

    func fill(_ times: kj_column, _ ingestion: kj_column, atMostAhead ahead: Int64, count: Int) {
        if count > capacity {
            states.deallocate()
            capacity = count
            states = .allocate(capacity: count)
        }
        column = times
        for event in 0..<count {
            states[event] =
                Self.isAhead(times, ingestion, event, by: ahead)
                ? UInt8(KJ_MISSING.rawValue) : times.states[event]
        }
        column.states = states
    }

    /// Whether an event's time is more than `ahead` microseconds ahead of its ingestion.
    static func isAhead(
        _ times: kj_column, _ ingestion: kj_column, _ event: Int, by ahead: Int64
    ) -> Bool {
        guard times.states[event] == UInt8(KJ_VALUE.rawValue) else { return false }
        return isAhead(times.integers[event], ingestion, event, by: ahead)
    }

    static func isAhead(
        _ time: Int64, _ ingestion: kj_column, _ event: Int, by ahead: Int64
    ) -> Bool {
        guard ingestion.states[event] == UInt8(KJ_VALUE.rawValue) else { return false }
        let (limit, overflow) = ingestion.integers[event].addingReportingOverflow(ahead)
        return !overflow && time > limit
    }
}
