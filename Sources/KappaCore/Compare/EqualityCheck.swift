/// Finds out aside whether two versions have the same rows, and notes it in the catalog if they do.
///
/// It ends at the first difference, which mostly comes soon.
final class EqualityCheck: Sendable {
    /// Nil where none could be made: then nothing is found out.
    private let thread: WorkerThread?

    /// Returns when both versions are held as they are now.
    init(
        _ candidate: VersionID, beside live: VersionID, in folder: DataFolder,
        found: @escaping @Sendable (Judgement) -> Void
    ) {
        let isHeld = Monitor(false)
        thread = try? WorkerThread("kappa-look") {
            // It is a remark for people: where it cannot be made, all goes on.
            try? Self.look(candidate, live, folder, found) { isHeld.withLock { $0 = true } }
            isHeld.withLock { $0 = true }
        }
        if thread != nil { isHeld.wait { $0 ? () : nil } }
    }

    func wait() { thread?.join() }

    /// Whether it is known.
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
