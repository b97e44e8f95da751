/// One version that a runner materializes, with its lease, store and state.
final class RunnerMember {
    let id: VersionID
    let definition: ViewDefinition
    private let lease: Lease
    let store: VersionStore
    let version: VersionMaterializer
    /// Records a crash of the view's code; nil if the disk has no room for it.
    let crashMark: CrashMark?
    var isLive: Bool
    var hasCaughtUp = false
    /// Whether it is to be promoted at all.
    let promotes: Bool
    /// Whether its work is done when it has caught up: it is the rest of a rebuild that is not to be
    /// promoted.
    let endsWhenReady: Bool
    /// Why only a person may promote it; nil if a runner may.
    var heldBack: String?
    /// What a gate said, and the live version then. The gate is asked again when another version is live.
    var refusal: (reason: String, live: VersionNumber?)?
    /// Nil if no snapshots are kept.
    var snapshots: SnapshotKeeper?
    /// Whether the runner has reported a dead letter.
    var hasToldOfDead = false
    /// Whether the runner has reported that its write-ahead log grows.
    private var hasToldOfLog = false
    private var fileTimer = IntervalTimer(milliseconds: 100)
    private var reported = Lease.Report()
    private var hooks = CommitHooks()
    private var lastCommit = SystemClock.monotonicNanoseconds()
    private var pinTimer = IntervalTimer(milliseconds: 200)
    /// Whether another version of its view is there that may be compared with it.
    var hasRival = true
    private var logTimer = IntervalTimer(milliseconds: 1_000)
    /// Whether it is being retried after a failure, or its status still shows one.
    var isRecovering: Bool

    /// Opens a version's file and state, and adds its fields to the plan of a scan.
    init(
        _ taken: ViewRunner.Taken, _ catalog: Catalog, plan: ExtractionPlan, budgetBytes: Int
    ) throws {
        (id, definition, lease) = (taken.id, taken.definition, taken.lease)
        let id = taken.id
        let crashMark = CrashMark(at: catalog.folder.crashMark(id), for: "\(id)")
        self.crashMark = crashMark
        crashMark?.isAlone = crashMark?.found != nil
        store = try VersionStore.open(id, taken.definition, in: catalog.folder)
        // A live version has a checkpoint. If there is none, its file has been removed since the lease was
        // taken; starting it again from zero would take readers back.
        if taken.isLive, try store.lastCheckpoint() == nil {
            throw KappaError(
                .damaged, "a version's file is gone", at: catalog.folder.file(id),
                because: "somebody has removed or moved it",
                advice:
                    "Put it back, or start `kappa run` again, which builds a new version from the "
                    + "log")
        }
        version = try VersionMaterializer(
            taken.definition, store: store, plan: plan, budgetBytes: budgetBytes,
            crashMark: crashMark)
        // If another version has become live since this one was taken, this one has retired. Its work then
        // ends as with any retired version: it must not be marked as building again.
        let (entry, isLive) = try catalog.transaction {
            let entry = try catalog.entries(of: id.view).first { $0.id == id }
            let isLive = taken.isLive || entry?.isLive == true
            if !isLive { try catalog.setState(id, .building) }
            return (entry, isLive)
        }
        self.isLive = isLive
        version.recordsChanges = try isLive || catalog.wasLive(id)
        heldBack = isLive ? nil : try catalog.reasonToHoldBack(id)
        promotes = taken.promotes
        endsWhenReady = taken.isRebuild && !taken.promotes
        isRecovering = taken.isRetry || entry?.failure != nil
    }

    /// Whether it is to be promoted once its scan has caught up.
    var waitsForPromotion: Bool {
        !isLive && promotes && heldBack == nil && refusal == nil
    }

    /// Why it is ready and not promoted.
    var waitingReason: String? {
        refusal?.reason ?? heldBack.map { Catalog.heldBack(id, because: $0) }
    }

    /// Checks that the version's file and its lease are still what their names name; ten times a second, as
    /// it is called for each commit.
    func requireFiles() throws(KappaError) {
        guard fileTimer.isDue() else { return }
        try store.requireItsName()
        try lease.requireItsName()
    }

    /// Tells other processes how fast it is; it writes only what is news.
    func report(eventsPerSecond: Int) {
        report { $0.eventsPerSecond = eventsPerSecond }
    }

    private func report(_ change: (inout Lease.Report) -> Void) {
        var report = reported
        change(&report)
        if report == reported { return }
        reported = report
        lease.report(report)
    }

    func apply(_ options: ViewRunner.Options) {
        store.feedPolicy = options.feed
        hooks = options.commits
    }

    func didCommit() {
        lastCommit = SystemClock.monotonicNanoseconds()
        hooks.didCommit()
    }

    /// Whether its file may lag, so that a commit can be left out.
    ///
    /// A version that took nothing does not write its position: the lease tells readers how far it is, and after a
    /// kill the events are read again. While a reader pins its write-ahead log, its commits come less often.
    func mayLag() -> Bool {
        guard isLive, !hasRival, !isRecovering else { return false }
        let waited = (SystemClock.monotonicNanoseconds() - lastCommit) / 1_000_000
        if version.tookNothing {
            guard waited < Self.longestLag else { return false }
            report { $0.position = version.offset }
            hooks.didCommit()
            return true
        }
        if store.pinnedLogBytes > 0, pinTimer.isDue() { store.releaseLog() }
        return !version.isOverBudget && waited < PinnedLog.pauseMilliseconds(store.pinnedLogBytes)
    }

    /// Limits what is read again after a kill, and how long such a version keeps the log from being trimmed.
    private static let longestLag = 60_000

    /// The report about a write-ahead log that a reader keeps from being moved into the file. It is made
    /// once, until the log is small again. The log is measured once a second.
    func growingLog(past limit: Int, in folder: DataFolder) -> String? {
        guard logTimer.isDue() else { return nil }
        let bytes = PinnedLog.bytes(of: id, in: folder)
        let isNews = bytes > limit && !hasToldOfLog
        hasToldOfLog = bytes > limit
        return isNews ? PinnedLog.reason(bytes, of: id, in: folder) : nil
    }

    /// Whether the view's code was reported as slow and has returned; true once.
    var hasGoneOn: Bool {
        guard let pulse = crashMark?.pulse, pulse.wasTold.load(ordering: .relaxed) else {
            return false
        }
        pulse.wasTold.store(false, ordering: .relaxed)
        return true
    }

    /// Ends its work: from now on any process that has the definition may take it over.
    func end() {
        snapshots?.finish()
        snapshots = nil
        lease.release()
    }
}

extension VersionStore {
    /// The store of a version of a definition.
    package static func open(
        _ id: VersionID, _ definition: ViewDefinition, in folder: DataFolder
    ) throws -> VersionStore {
        try VersionStore(
            at: folder.file(id), view: id.view, number: id.number.rawValue,
            digest: definition.digest, tables: definition.tables)
    }
}
