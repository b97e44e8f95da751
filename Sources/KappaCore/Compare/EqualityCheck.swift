/// Checks in the background whether two versions have the same rows, and records it in the catalog if they
/// do.
///
/// It ends at the first difference, which usually comes early.
final class EqualityCheck: Sendable {
    /// Nil if no thread could be started: then there is no check.
    private let thread: WorkerThread?

    /// Returns once it holds a snapshot of both versions.
    init(
        _ candidate: VersionID, beside live: VersionID, in folder: DataFolder,
        found: @escaping @Sendable (Judgement) -> Void
    ) {
        let isHeld = Monitor(false)
        thread = try? WorkerThread("kappa-look") {
            // The finding is only information for people, so an error is ignored.
            try? Self.look(candidate, live, folder, found) { isHeld.withLock { $0 = true } }
            isHeld.withLock { $0 = true }
        }
        if thread != nil { isHeld.wait { $0 ? () : nil } }
    }

    func wait() { thread?.join() }

    /// Whether the check has ended.
    var isDone: Bool { thread?.isFinished ?? true }

    private struct Differs: Error {}

    private static func look(
        _ candidate: VersionID, _ live: VersionID, _ folder: DataFolder,
        _ found: @Sendable (Judgement) -> Void, whenHeld: () -> Void
    ) throws {
        let new = try folder.reader(candidate)
        let old = try folder.reader(live)
        try new.hold()
        try old.hold()
        whenHeld()
        let summary = try Diff(old, new).run { _ in throw Differs() }
        var judgement = Judgement(
            candidate, against: live.number, at: summary.position,
            counts: Judgement.Counts(added: 0, removed: 0, changed: 0, same: summary.same))
        judgement.isOtherDefinition = true
        try Catalog(folder).noteIdentical(judgement)
        found(judgement)
    }
}
