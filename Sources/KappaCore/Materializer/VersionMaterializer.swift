import Glibc

/// Materializes one version of a view: runs its steps over its store.
///
/// Used by one thread at a time.
package final class VersionMaterializer {
    package let view: ViewDefinition
    package let store: any RowStore
    /// Its position and counters, including events applied but not yet committed.
    package private(set) var checkpoint: Checkpoint
    /// The position and counters of its committed rows.
    private var committed: Checkpoint
    /// Whether the store has a checkpoint. The first one is committed even before any event, so that
    /// a version of an empty log can be read.
    private var hasCommitted: Bool
    /// Whether commits add to the version's change feed.
    package var recordsChanges = false
    /// Records the events for which the view's code is called.
    private let crashMark: CrashMark?
    /// How long the last batch took; a scan starts with the slowest version.
    private(set) var applyNanoseconds = 0
    private let steps: [any StepRunner]
    private let states: StateTables
    private let clocks: PartitionClocks
    private let indexes: KeyIndexes
    private let budgetBytes: Int
    private let pass = BatchPass()
    /// Dead letters not committed yet.
    private var deadLetters = DeadLetters()
    /// The first dead letter since the version was opened.
    private(set) var firstDeadLetter: DeadLetter?

    /// Opens a version's state over its store and adds its fields to the plan of a scan.
    /// - Parameters:
    ///   - budgetBytes: How much memory its rows may take before clean ones are evicted.
    ///   - crashMark: Records the events for which the view's code is called, from now on.
    package init(
        _ view: ViewDefinition, store: any RowStore, plan: ExtractionPlan, budgetBytes: Int,
        crashMark: CrashMark? = nil
    ) throws {
        self.view = view
        self.store = store
        self.crashMark = crashMark
        // Keeps 30 % of the budget for the temporary memory of sorting, writing and growing.
        let budgetBytes = budgetBytes / 10 * 7
        self.budgetBytes = budgetBytes
        let stored = try store.lastCheckpoint()
        hasCommitted = stored != nil
        var checkpoint = stored ?? Checkpoint()
        committed = checkpoint
        let clocks = PartitionClocks(checkpoint.streamTimes)
        self.clocks = clocks
        let stepClocks = view.steps.map { _ in clocks.add(columns: nil) }
        let states = StateTables(
            plan, store, firstTable: view.tables.count { !$0.isInternal }, clocks)
        self.states = states
        // The notes for a key index get a part of the budget of their own.
        let isIndexed = view.tables.indices.contains { store.keyIndex(of: $0) != nil }
        let noteBytes = isIndexed ? min(budgetBytes / 4, Self.noteBytes) : 0
        let indexes = KeyIndexes(store, stored, budgetBytes: noteBytes)
        self.indexes = indexes
        let stepBytes = (budgetBytes - noteBytes) / view.steps.count
        // Opening a step may call the view's code.
        func open() throws -> [any StepRunner] {
            var table = 0
            return try view.steps.enumerated().map { index, step in
                defer { table += step.tables.count }
                return try Self.runner(
                    step, states: states, indexes: indexes, store: store, table: table,
                    clock: stepClocks[index], budgetBytes: stepBytes)
            }
        }
        steps = try crashMark?.during(.opening, .zero, .zero, open) ?? open()
        checkpoint.streamTimes = clocks.times
        self.checkpoint = checkpoint
        committed.streamTimes = clocks.times
    }

    private static let noteBytes = 1 << 26

    private static func runner(
        _ step: StepDefinition, states: StateTables, indexes: KeyIndexes, store: any RowStore,
        table: Int?, clock: PartitionClock, budgetBytes: Int
    ) throws -> any StepRunner {
        // A table that readers do not see comes after the states of its streams.
        func place() -> Int { table ?? states.reserve() }
        switch step.kind {
        case .fold(let fold):
            let keyIndexes = try fold.tables.indices.map { own in
                try indexes.writer(of: table.map { $0 + own }, keepsTimes: false)
            }
            return try FoldRunner(
                fold, plan: states.plan, store: store, firstTable: place(), indexes: keyIndexes,
                budgetBytes: budgetBytes)
        case .rows(let rows):
            let input = try rows.open(states)
            // A second step has to see each row as it is written, so its upstream does not write ahead.
            return RowsRunner(
                input: input, store: store, table: place(), writesAhead: table != nil)
        case .joinedRows(let rows):
            let input = try rows.open(states)
            return JoinedRowsRunner(input: input, table: place())
        case .ranking(let ranking):
            let input = try ranking.open(states)
            return try RankingRunner(ranking, input: input, store: store, table: place())
        case .derived(let derived):
            let upstream = try runner(
                derived.upstream, states: states, indexes: indexes, store: store, table: nil,
                clock: clock, budgetBytes: budgetBytes)
            return try DerivedRunner(
                derived, upstream: upstream, upstreamTable: states.lastTable, store: store,
                table: place(), budgetBytes: budgetBytes)
        case .aggregation(let aggregation):
            let input = try aggregation.open(states)
            if aggregation.window != nil { clock.columns = input.timeColumns }
            if case .sliding(let size) = aggregation.window, let elements = aggregation.elements {
                let state = states.reserve()
                return try SlidingRunner(
                    aggregation, size: size, input: input, store: store, table: place(),
                    elements: elements, elementsTable: state, clock: clock)
            }
            let keyIndex = try indexes.writer(of: table, keepsTimes: aggregation.judgesLateness)
            let table = place()
            if case .session(let gap) = aggregation.window {
                return try SessionRunner(
                    aggregation, gap: gap, input: input, store: store, table: table, clock: clock,
                    keyIndex: keyIndex, budgetBytes: budgetBytes)
            }
            return try AggregationRunner(
                aggregation, input: input, store: store, table: table, clock: clock,
                keyIndex: keyIndex, budgetBytes: budgetBytes)
        }
    }

    package var offset: Offset { checkpoint.offset }
    /// The position of its committed rows.
    package var committedOffset: Offset { committed.offset }
    package var isDirty: Bool { checkpoint.offset != committedOffset || !hasCommitted }
    /// Whether all events since the last commit are of no concern to the view: only its position has changed, and
    /// how many events it does not ask for.
    var tookNothing: Bool {
        guard hasCommitted, !hasSpilled, dirtyRows == 0 else { return false }
        var same = committed
        (same.offset, same.digest) = (checkpoint.offset, checkpoint.digest)
        same.counters.filtered = checkpoint.counters.filtered
        return same == checkpoint
    }
    /// Whether there are spilled rows that the first commit will merge.
    package var hasSpilled: Bool { store.spilled != nil }
    package var memoryBytes: Int {
        steps.reduce(states.memoryBytes + indexes.memoryBytes + deadLetters.memoryBytes) {
            $0 + $1.memoryBytes
        }
    }
    /// Whether its rows exceed the memory budget; a commit lets it evict them.
    package var isOverBudget: Bool { memoryBytes > budgetBytes && isDirty }
    package var dirtyRows: Int {
        steps.reduce(deadLetters.all.count + states.dirtyRows) { $0 + $1.dirtyRows }
    }

    /// Applies the events of a batch that the version has not applied yet. The batch must begin at or before
    /// the version's offset.
    /// - Throws: `.damaged` if events are missing between the version's offset and the batch, or if the
    ///   version was made from a different log.
    package func apply(_ batch: EventBatch, from before: LogDigest, to after: LogDigest) throws {
        let start = SystemClock.monotonicNanoseconds()
        defer { applyNanoseconds = SystemClock.monotonicNanoseconds() - start }
        let end = batch.firstOffset + batch.count
        guard end > checkpoint.offset else { return }
        let first = checkpoint.offset - batch.firstOffset
        guard first >= 0 else {
            throw KappaError(
                .damaged, "events are missing", at: "\(view.name), offset \(checkpoint.offset)",
                because: "the next events begin at \(batch.firstOffset)",
                advice: "Run `kappa log verify`")
        }
        if first == 0, before != checkpoint.digest {
            throw KappaError(
                .damaged, "the log is not the one that this version was made from",
                at: "\(view.name), offset \(checkpoint.offset)",
                because: "the digests of the events before this offset differ",
                advice:
                    "`kappa rebuild \(view.name)` makes a new version from the log that is there")
        }
        let range = first..<batch.count
        pass.begin(count: batch.count)
        try watched(.applying, checkpoint.offset, end) {
            do { try apply(batch, range) } catch let error as KappaError {
                throw located(error, batch.firstOffset, end)
            }
        }
        for (event, reason) in pass.dead {
            deadLetters.append(
                DeadLetter(
                    offset: batch.firstOffset + event, reason: reason, event: batch.event(event)))
        }
        firstDeadLetter = firstDeadLetter ?? deadLetters.all.min { $0.offset < $1.offset }
        pass.count(range, into: &checkpoint.counters)
        checkpoint.streamTimes = clocks.times
        checkpoint.offset = end
        checkpoint.digest = after
    }

    private func apply(_ batch: EventBatch, _ range: Range<Int>) throws {
        for stretch in batch.stretches {
            switch stretch {
            case .events(let events, let partition):
                let own = events.clamped(to: range)
                if own.isEmpty { continue }
                clocks.enter(partition)
                for step in steps { try step.apply(batch, own, pass) }
            case .tick(let event, let run):
                if range.contains(event) { clocks.pass(run, in: batch) }
            }
        }
    }

    /// Runs the view's code, so that a crash in it can be attributed to this version.
    @inline(__always)
    private func watched(
        _ stage: CrashMark.Stage, _ first: Offset, _ end: Offset, _ body: () throws -> Void
    ) rethrows {
        if let crashMark { try crashMark.during(stage, first, end, body) } else { try body() }
    }

    /// Begins at the first event of the log, unless it has begun already.
    /// - Parameter digest: That of all events before it.
    func begin(at first: Offset, _ digest: LogDigest) {
        guard checkpoint.offset == .zero, !hasCommitted else { return }
        checkpoint.offset = first
        checkpoint.digest = digest
        committed = checkpoint
    }

    /// Skips events that are known not to change its rows.
    /// - Parameter streamTimes: The stream times at `offset`; nil if they do not matter.
    func skip(to offset: Offset, digest: LogDigest, streamTimes: StreamTimes?) {
        if dirtyRows == 0 { committed.offset = offset }
        checkpoint.offset = offset
        checkpoint.digest = digest
        if let streamTimes { clocks.set(streamTimes) }
        checkpoint.streamTimes = clocks.times
    }

    private func located(_ error: KappaError, _ first: Offset, _ end: Offset) -> KappaError {
        guard error.place == nil else { return error }
        var error = error
        error.place =
            error.event.map { "\(view.name), offset \($0)" }
            ?? "\(view.name), offsets \(first) to \(end)"
        return error
    }

    /// Whether a checkpoint may spill rows instead of committing them.
    private var canSpill: Bool {
        store.canSpill && !recordsChanges && states.isEmpty && steps.allSatisfy(\.canSpill)
    }

    /// Makes an intermediate checkpoint: rows and position become durable together. Before the first commit,
    /// a large number of rows spills instead; the first commit merges them.
    package func save() throws {
        guard isDirty else { return }
        guard canSpill, store.isLoading || dirtyRows >= Self.manyRows || isOverBudget else {
            return try commit()
        }
        try watched(.committing, committedOffset, checkpoint.offset, spill)
    }

    /// From this many rows on, spilling is cheaper than committing and looking rows up again.
    private static let manyRows = 200_000

    private func spill() throws {
        try store.spill(checkpoint) { transaction in
            for letter in deadLetters.all { try transaction.add(letter) }
            for step in steps { try step.writeToSpill(transaction) }
            try indexes.write(to: transaction, end: checkpoint.offset, isSmall: false)
        }
        deadLetters.removeAll()
        // About as many rows will come again, but it is unknown how several steps will share them.
        for step in steps { step.spill(keepingMemory: steps.count == 1) }
        indexes.written()
        committed = checkpoint
    }

    /// Commits rows and position in one transaction.
    package func commit(mayEvict: Bool = true) throws {
        guard isDirty || store.spilled != nil else { return }
        let first = committedOffset
        try watched(.committing, first, checkpoint.offset) {
            // Second steps run the view's code here.
            do { try writeAll(mayEvict: mayEvict) } catch let error as KappaError {
                throw located(error, first, checkpoint.offset)
            }
        }
    }

    private func writeAll(mayEvict: Bool) throws {
        if store.spilled != nil, isDirty { try spill() }
        try store.commit(checkpoint, recordsChanges: recordsChanges) { transaction in
            for letter in deadLetters.all { try transaction.add(letter) }
            for step in steps {
                if let spilled = store.spilled {
                    try step.writeSpilled(spilled, to: transaction)
                } else {
                    try step.write(to: transaction)
                }
            }
            try states.write(to: transaction)
            if let spilled = store.spilled {
                try indexes.writeSpilled(spilled, to: transaction)
            } else {
                try indexes.write(
                    to: transaction, end: checkpoint.offset, isSmall: hasCommitted)
            }
        }
        deadLetters.removeAll()
        for step in steps { step.committed(mayEvict: mayEvict) }
        states.committed()
        indexes.written()
        committed = checkpoint
        hasCommitted = true
    }
}

/// Dead letters not committed yet, and the memory that they take.
private struct DeadLetters {
    private(set) var all: [DeadLetter] = []
    private(set) var memoryBytes = 0

    mutating func append(_ letter: DeadLetter) {
        all.append(letter)
        // Each of the two texts has storage of its own.
        memoryBytes +=
            MemoryLayout<DeadLetter>.stride + 64 + letter.reason.utf8.count
            + letter.event.utf8.count
    }

    mutating func removeAll() {
        all.removeAll()
        memoryBytes = 0
    }
}
