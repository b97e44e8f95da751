import Glibc

/// One pass over the log that several versions share: each event is read and extracted once.
package final class Scan {
    /// What a scan's owner hears of, on the scan's own thread.
    package protocol Observer: AnyObject {
        /// Calls `perform` to commit a version, or returns false: then the scan leaves it out.
        func commit(_ version: VersionMaterializer, _ perform: () throws -> Void) throws -> Bool
        /// A batch was applied.
        func didApply(to offset: Offset)
        /// Everything durable is applied and committed.
        func didCatchUp(at offset: Offset) throws
        /// A version cannot go on; the scan goes on without it.
        func didFail(_ version: VersionMaterializer, _ error: any Error)
    }

    package struct Options: Sendable {
        /// Where to stop; nil goes on until stopped.
        package var end: Offset?
        /// Whether to wait for more at the log's end.
        package var follows = false
        /// How long changes wait for a commit while more events keep coming, in milliseconds.
        package var commitMilliseconds = 3_000
        /// How much of the time commits may take while more events keep coming, in percent: where
        /// they are dear, they come more seldom than ``commitMilliseconds`` says.
        package var commitPercent = 5
        /// The most events of a batch; nil for what the log's blocks hold.
        package var batchEvents: Int?

        package init(
            end: Offset? = nil, follows: Bool = false, commitMilliseconds: Int = 3_000
        ) {
            self.end = end
            self.follows = follows
            self.commitMilliseconds = commitMilliseconds
        }
    }

    package private(set) var versions: [VersionMaterializer]
    private let pipeline: BatchPipeline
    private let options: Options
    private let crew = WorkCrew()
    /// How long changes may wait for a commit while more events keep coming, in milliseconds.
    package var commitMilliseconds: Int
    /// Has the versions committed after the batch at hand, whatever a commit costs.
    package var wantsCommit = false
    /// When the last event that was applied was appended.
    package private(set) var ingestedAtMicros: Int64 = 0
    private weak var observer: (any Observer)?
    private var lastCommit = SystemClock.monotonicNanoseconds() / 1_000_000
    private var commitCost = CommitCost()

    /// Starts at the offset of the version that is furthest behind.
    /// - Parameter plan: The one that the versions were made with.
    package init(
        _ log: String, _ versions: [VersionMaterializer], plan: ExtractionPlan, options: Options,
        observer: (any Observer)? = nil
    ) throws {
        self.versions = versions
        self.options = options
        commitMilliseconds = options.commitMilliseconds
        self.observer = observer
        let reader = try LogReader(log)
        let start = versions.map(\.offset).min() ?? .zero
        try reader.seek(to: start)
        pipeline = try BatchPipeline(
            reader, plan: plan, upTo: options.end, batchEvents: options.batchEvents,
            waits: options.follows)
    }

    deinit { pipeline.stop() }

    /// Ends the scan from another thread; it stops after the batch at hand, with all committed.
    package var stopper: @Sendable () -> Void { pipeline.stopper }

    /// Runs until the end is reached or the scan is stopped, and commits what was applied.
    package func run() throws {
        defer { pipeline.stop() }
        while true {
            switch pipeline.next() {
            case .batch(let slot):
                if let block = slot.block {
                    try apply(slot.batch, block)
                    ingestedAtMicros = block.runs.last?.ingestedAtMicros ?? ingestedAtMicros
                    observer?.didApply(to: block.nextOffset)
                }
                pipeline.recycle(slot)
                if wantsCommit || isCommitDue { try commit(isOnTheWay: !wantsCommit) }
            case .caughtUp(let offset):
                try commit()
                try observer?.didCatchUp(at: offset)
            case .ended:
                let isAtEnd = options.end.map { end in versions.allSatisfy { $0.offset >= end } }
                return try commit(isOnTheWay: !(isAtEnd ?? false))
            case .failed(let error):
                // What was applied before is whole: it is kept.
                try commit(isOnTheWay: true)
                throw error
            }
            if versions.isEmpty { return }
        }
    }

    /// Applies a batch to all versions, side by side where it is worth it.
    private func apply(_ batch: EventBatch, _ block: LogBlock) throws {
        let (before, after) = (block.digestBefore, block.digestAfter)
        guard versions.count > 1, batch.count >= Self.fewEvents else {
            return try each { version in
                try version.apply(batch, from: before, to: after)
                return true
            }
        }
        let work = SharedBatch(
            versions.sorted { $0.applyNanoseconds > $1.applyNanoseconds }, batch, before, after)
        crew.run(work.versions.count) { work.apply(to: $0) }
        for (version, failure) in zip(work.versions, work.failures) {
            if let failure { try leave(version, failure) }
        }
    }

    /// Waking others up costs more than so few events.
    private static let fewEvents = 500

    /// Leaves a version out from now on; on the scan's own thread.
    package func remove(_ version: VersionMaterializer) {
        versions.removeAll { $0 === version }
    }

    private var isCommitDue: Bool {
        if versions.contains(where: \.isOverBudget) { return true }
        let waited = SystemClock.monotonicNanoseconds() / 1_000_000 - lastCommit
        guard waited >= commitMilliseconds else { return false }
        let cost = commitCost.milliseconds(forRows: dirtyRows)
        return cost * 100 <= Double(waited * options.commitPercent)
            || waited >= Self.longestMilliseconds
    }

    private var dirtyRows: Int { versions.reduce(0) { $0 + $1.dirtyRows } }

    /// However dear a commit is, no more than this is done again after a kill.
    private static let longestMilliseconds = 60_000

    /// Commits all versions. On the way, those of many rows may put them aside instead.
    private func commit(isOnTheWay: Bool = false) throws {
        let start = SystemClock.monotonicNanoseconds()
        let rows = dirtyRows
        defer {
            commitCost.note(
                rows: rows, milliseconds: (SystemClock.monotonicNanoseconds() - start) / 1_000_000)
        }
        try each { version in
            let commit = { isOnTheWay ? try version.save() : try version.commit() }
            guard let observer, version.isDirty || version.hasSpilled else {
                try commit()
                return true
            }
            return try observer.commit(version, commit)
        }
        lastCommit = SystemClock.monotonicNanoseconds() / 1_000_000
        wantsCommit = false
    }

    /// Does something with each version. One that fails, or is let go of, leaves the scan; the
    /// others go on.
    private func each(_ body: (VersionMaterializer) throws -> Bool) throws {
        for version in versions where versions.contains(where: { $0 === version }) {
            do {
                if try !body(version) { remove(version) }
            } catch {
                try leave(version, error)
            }
        }
    }

    private func leave(_ version: VersionMaterializer, _ error: any Error) throws {
        guard let observer else { throw error }
        remove(version)
        observer.didFail(version, error)
    }
}

/// One batch on its way into several versions at once.
///
/// `@unchecked Sendable`: each version is touched by the one thread that has taken its index, the batch
/// is only read, and the scan goes on when all are done.
private final class SharedBatch: @unchecked Sendable {
    let versions: [VersionMaterializer]
    private let batch: EventBatch
    private let before: LogDigest
    private let after: LogDigest
    private let results: UnsafeMutablePointer<(any Error)?>

    init(
        _ versions: [VersionMaterializer], _ batch: EventBatch, _ before: LogDigest,
        _ after: LogDigest
    ) {
        self.versions = versions
        self.batch = batch
        self.before = before
        self.after = after
        results = .allocate(capacity: versions.count)
        results.initialize(repeating: nil, count: versions.count)
    }

    deinit {
        results.deinitialize(count: versions.count)
        results.deallocate()
    }

    func apply(to index: Int) {
        do { try versions[index].apply(batch, from: before, to: after) } catch {
            results[index] = error
        }
    }

    /// Why each version could not take the batch; nil for those that did.
    var failures: [(any Error)?] { versions.indices.map { results[$0] } }
}

/// What a commit costs for each row that it writes, as the last large one showed.
private struct CommitCost {
    private var microsecondsPerRow = 1.0
    private static let fewRows = 10_000

    mutating func note(rows: Int, milliseconds: Int) {
        guard rows >= Self.fewRows else { return }
        microsecondsPerRow = Double(milliseconds) * 1_000 / Double(rows)
    }

    func milliseconds(forRows rows: Int) -> Double { Double(rows) * microsecondsPerRow / 1_000 }
}
