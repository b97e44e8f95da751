/// One version that a runner materializes, with all that it holds for it.
final class RunnerMember {
    let id: VersionID
    let definition: ViewDefinition
    private let lease: Lease
    let store: VersionStore
    let version: VersionMaterializer
    /// Where a crash of the view's code is noted; nil where the disk has no room for it.
    let crashMark: CrashMark?
    var isLive: Bool
    var hasCaughtUp = false
    /// Whether it is to be promoted at all.
    let promotes: Bool
    /// Whether its work is done when it has caught up: what is left of a rebuild that was to be looked at.
    let endsWhenReady: Bool
    /// Why it is for a person to decide whether it is promoted; nil if it is not.
    var heldBack: String?
    /// What a gate said, and the live version then: it is asked again when another one is live.
    var refusal: (reason: String, live: VersionNumber?)?
    /// Nil where no snapshots are kept.
    var snapshots: SnapshotKeeper?
    /// Whether the runner has reported a dead letter.
    var hasToldOfDead = false
    /// Whether the runner has reported that its write-ahead log grows.
    private var hasToldOfLog = false
    /// Whether it is tried again after a failure, or its status still tells of one.
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
        // A live version was committed to. Its file may have been removed since it was taken; to begin it anew
        // would take readers back.
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
        // Where another one has become live since it was taken, it has retired, and its work ends as that of
        // any version that retires: it is not to be built on its way again.
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

    /// Whether a scan that has caught up has it promoted.
    var waitsForPromotion: Bool {
        !isLive && promotes && heldBack == nil && refusal == nil
    }

    func report(eventsPerSecond: Int) {
        lease.report(.init(eventsPerSecond: eventsPerSecond))
    }

    /// What is to be said of a write-ahead log that somebody keeps from being moved into the file; once, until
    /// it is small again.
    func growingLog(past limit: Int, in folder: DataFolder) -> String? {
        let bytes = PinnedLog.bytes(of: id, in: folder)
        let isNews = bytes > limit && !hasToldOfLog
        hasToldOfLog = bytes > limit
        return isNews ? PinnedLog.reason(bytes, of: id, in: folder) : nil
    }

    /// Whether it was told that its view's code takes long, and that has returned; once.
    var hasGoneOn: Bool {
        guard let pulse = crashMark?.pulse, pulse.wasTold.load(ordering: .relaxed) else {
            return false
        }
        pulse.wasTold.store(false, ordering: .relaxed)
        return true
    }

    /// Ends its work: from now on whoever has the definition may take it over.
    func end() {
        snapshots?.finish()
        snapshots = nil
        lease.release()
    }
}
