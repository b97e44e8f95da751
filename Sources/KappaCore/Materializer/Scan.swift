import Glibc

/// One pass over the log for several versions: each event is read and extracted once.
package final class Scan {
    /// Callbacks to the scan's owner, on the scan's own thread.
    package protocol Observer: AnyObject {
        /// Calls `perform` to commit a version, or returns false to remove it from the scan.
        func commit(_ version: VersionMaterializer, _ perform: () throws -> Void) throws -> Bool
        /// Whether a version need not be committed yet: its file may lag.
        func mayLag(_ version: VersionMaterializer) throws -> Bool
        /// A batch was applied.
        func didApply(to offset: Offset)
        /// All durable events are applied and committed.
        func didCatchUp(at offset: Offset) throws
        /// A version has failed; the scan continues without it.
        func didFail(_ version: VersionMaterializer, _ error: any Error)
    }

    package struct Options: Sendable {
        /// Where to stop; nil to run until stopped.
        package var end: Offset?
        /// Whether to wait for more events at the log's end.
        package var follows = false
        /// How long changes wait for a commit while more events keep coming, in milliseconds.
        package var commitMilliseconds = 3_000
        /// The share of the time that commits may take while more events keep coming, in percent. Expensive
        /// commits come less often than ``commitMilliseconds`` says.
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
    /// When a commit waits although all events have been applied; nil if none does.
    package var paceMilliseconds: Int? {
        didSet { pace = paceMilliseconds.map { CommitPace(intervalMilliseconds: $0) } }
    }
    private var pace: CommitPace?
    /// Whether somebody waits for a commit: it then comes at once.
    package var isAwaited: @Sendable () -> Bool = { false }
    /// How often to ask that while a commit waits.
    private static let askMilliseconds = 5
    /// Set to commit the versions after the current batch, whatever a commit costs.
    package var wantsCommit = false
    /// When the last applied event was appended.
    package private(set) var ingestedAtMicros: Int64 = 0
    private weak var observer: (any Observer)?
    private var lastCommit = Scan.now
    private var commitCost = CommitCost()

    /// Starts at the smallest position of the versions.
    /// - Parameter plan: The plan that the versions were opened with.
    package init(
        _ log: String, _ versions: [VersionMaterializer], plan: ExtractionPlan, options: Options,
        observer: (any Observer)? = nil
    ) throws {
        self.versions = versions
        self.options = options
        commitMilliseconds = options.commitMilliseconds
        self.observer = observer
        let reader = try LogReader(log)
        let (first, digest) = (reader.offset, reader.digest)
        for version in versions { version.begin(at: first, digest) }
        let start = versions.map(\.offset).min() ?? first
        try reader.seek(to: start)
        pipeline = try BatchPipeline(
            reader, plan: plan, upTo: options.end, batchEvents: options.batchEvents,
            waits: options.follows)
    }

    deinit { pipeline.stop() }

    /// Ends the scan from another thread. It stops after the current batch, and commits everything.
    package var stopper: @Sendable () -> Void { pipeline.stopper }

    /// Runs until the end is reached or the scan is stopped, and commits the events applied.
    package func run() throws {
        defer { pipeline.stop() }
        // Where all durable events end, if they are applied and the commit waits.
        var held: Offset?
        while true {
            switch held == nil
                ? pipeline.next() : pipeline.next(within: min(commitWait, Self.askMilliseconds))
            {
            case .batch(let slot):
                held = nil
                pace?.arrived(at: Self.now)
                if let block = slot.block {
                    try apply(slot.batch, block)
                    ingestedAtMicros = block.runs.last?.ingestedAtMicros ?? ingestedAtMicros
                    observer?.didApply(to: block.nextOffset)
                }
                pipeline.recycle(slot)
                if wantsCommit || isCommitDue { try commit(isOnTheWay: !wantsCommit) }
            case .caughtUp(let offset): held = offset
            case .none: break
            case .ended:
                let isAtEnd = options.end.map { end in versions.allSatisfy { $0.offset >= end } }
                return try commit(isOnTheWay: !(isAtEnd ?? false), isLast: true)
            case .failed(let error):
                // The batches applied before are complete, so they are kept.
                try commit(isOnTheWay: true, isLast: true)
                throw error
            }
            if let offset = held, commitWait == 0 {
                held = nil
                try commit()
                try observer?.didCatchUp(at: offset)
            }
            if versions.isEmpty { return }
        }
    }

    /// Applies a batch to all versions, in parallel if that pays.
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

    /// Below this, waking other threads costs more than applying the events.
    private static let fewEvents = 500

    /// Removes a version from the scan. Must be called on the scan's own thread.
    package func remove(_ version: VersionMaterializer) {
        versions.removeAll { $0 === version }
    }

    private static var now: Int { SystemClock.monotonicNanoseconds() / 1_000_000 }

    /// How long a commit of all durable events is to wait, in milliseconds.
    private var commitWait: Int {
        isAwaited() ? 0 : pace?.wait(at: Self.now, lastCommit: lastCommit) ?? 0
    }

    private var isCommitDue: Bool {
        if versions.contains(where: \.isOverBudget) { return true }
        let waited = Self.now - lastCommit
        guard waited >= commitMilliseconds else { return false }
        let cost = commitCost.milliseconds(forRows: dirtyRows)
        return cost * 100 <= Double(waited * options.commitPercent)
            || waited >= Self.longestMilliseconds
    }

    private var dirtyRows: Int { versions.reduce(0) { $0 + $1.dirtyRows } }

    /// Limits the work to be repeated after a kill, however expensive commits are.
    private static let longestMilliseconds = 60_000

    /// Commits all versions. In an intermediate commit, a version with many rows may spill them instead.
    /// - Parameter isLast: Whether the scan ends with it; otherwise the observer may leave a version out.
    private func commit(isOnTheWay: Bool = false, isLast: Bool = false) throws {
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
            if try !isLast && !wantsCommit && observer.mayLag(version) { return true }
            return try observer.commit(version, commit)
        }
        lastCommit = Self.now
        wantsCommit = false
    }

    /// Calls `body` for each version. A version for which it throws or returns false is removed from the
    /// scan; the others continue.
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

extension Scan.Observer {
    package func mayLag(_ version: VersionMaterializer) throws -> Bool { false }
}

/// One batch that is applied to several versions in parallel.
///
/// `@unchecked Sendable`: each version, and its result, is used only by the thread that has taken its index;
/// the batch is only read; and the scan continues when all threads are done.
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

    /// The error of each version that failed to apply the batch; nil for the others.
    var failures: [(any Error)?] { versions.indices.map { results[$0] } }
}

/// The cost of a commit for each row written, measured at the last large commit.
private struct CommitCost {
    private var microsecondsPerRow = 1.0
    private static let fewRows = 10_000

    mutating func note(rows: Int, milliseconds: Int) {
        guard rows >= Self.fewRows else { return }
        microsecondsPerRow = Double(milliseconds) * 1_000 / Double(rows)
    }

    func milliseconds(forRows rows: Int) -> Double { Double(rows) * microsecondsPerRow / 1_000 }
}
