/// Who wants a rebuild, what stands still, and what a program may promote by itself.
extension Catalog {
    // MARK: Rebuilds

    /// Notes that somebody wants a version built although there may be one of its definition; inside of a
    /// transaction. Whoever has the definition finishes it, should this process be killed.
    func wantRebuild(_ id: VersionID, promotes: Bool) throws(KappaError) {
        try file.addRebuild(id, promotes: promotes)
    }

    /// The rebuilds that were begun, and whether each is to be promoted.
    func rebuilds(of view: String) throws(KappaError) -> [VersionNumber: Bool] {
        try file.rebuilds(of: view)
    }

    // MARK: Failures

    /// Why readers of a view will see nothing new: its live version has stopped for good, or its newest has
    /// where none was ever promoted. Nil where it has not, or is tried again.
    func standstill(of view: String) throws(KappaError) -> KappaError? {
        let all = try entries(of: view)
        guard let entry = all.first(where: \.isLive) else {
            guard let newest = all.last, newest.state == .failed else { return nil }
            return KappaError(
                .inputOutput, "\(newest.id) has failed, and no version of \(view) is live",
                at: folder.file(newest.id), because: newest.reason ?? "it has failed",
                advice: "Fix what is wrong and start `run` again, or promote another version")
        }
        var reason = entry.state == .failed ? entry.reason ?? "it has failed" : nil
        if let failure = entry.failure, !failure.isRetried { reason = failure.reason }
        guard let reason else { return nil }
        return KappaError(
            .inputOutput, "\(entry.id) is no longer kept current", at: folder.file(entry.id),
            because: reason,
            advice:
                "Its rows stay as they are. Fix what is wrong and start `run` again, or promote "
                + "another version")
    }

    /// Writes down that a version has failed, even where the disk is full: if need be in the part of the
    /// write-ahead log that is there already. What was switched meanwhile keeps its state.
    /// - Parameter isRetried: Whether the process that writes this tries again by itself.
    func setFailure(
        _ id: VersionID, _ state: VersionState, _ reason: String, isRetried: Bool = false
    ) throws(KappaError) {
        do { try writeFailure(id, state, reason, isRetried) } catch {
            file.makeRoom()
            try writeFailure(id, state, reason, isRetried)
        }
    }

    private func writeFailure(
        _ id: VersionID, _ state: VersionState, _ reason: String, _ isRetried: Bool
    ) throws(KappaError) {
        guard state == .live else {
            return try file.setState(id, state, reason: reason, unless: [.live, .retired])
        }
        let failure = VersionEntry.Failure(
            reason: reason, sinceMicros: SystemClock.wallMicroseconds(), isRetried: isRetried)
        try file.addFailure(id, failure)
    }

    /// Writes down that the code of a version's view has not returned for long; nil once it has.
    func noteSlow(_ id: VersionID, _ reason: String?) throws(KappaError) {
        guard let entry = try entries(of: id.view).first(where: { $0.id == id }) else { return }
        if entry.isLive {
            guard let reason else { return try clearFailure(id) }
            try setFailure(id, .live, reason, isRetried: true)
        } else if entry.isUnfinished {
            try file.setState(id, entry.state, reason: reason, unless: [.live, .retired])
        }
    }

    /// A version is current again, or is not live any more.
    func clearFailure(_ id: VersionID) throws(KappaError) { try file.removeFailure(of: id) }

    // MARK: What is promoted

    /// Whether a version is there and has not failed: nothing goes to one that has.
    func isPromotable(_ id: VersionID) throws(KappaError) -> Bool {
        try entries(of: id.view).contains { $0.id == id && ($0.state != .failed || $0.isLive) }
    }

    /// The highest number that was ever live.
    func newestEverLive(_ view: String) throws(KappaError) -> VersionNumber? {
        try file.newestEverLive(view)
    }

    /// The number of a view's last switch; 0 where nothing was ever live.
    func lastSwitch(_ view: String) throws(KappaError) -> Int64 { try file.lastSwitch(view) }

    /// Why a version is promoted by a person only; nil if it need not be.
    ///
    /// A program promotes only what is newer than all that was ever live: whatever restarts an old build
    /// after an upgrade would take the new one's place otherwise, and a build that was overtaken by a
    /// newer one would undo it. The same holds after a rollback: what was passed over before stays so.
    func reasonToHoldBack(_ id: VersionID) throws(KappaError) -> String? {
        let live = try live(id.view)
        guard live != id.number, let newest = try newestEverLive(id.view), id.number <= newest
        else { return nil }
        if try wasRolledBackFrom(id) { return "somebody rolled back from it" }
        if let live, live > id.number {
            return "\(VersionID(id.view, live)), which is newer, is live"
        }
        return newest == id.number
            ? "somebody has made an older version live since"
            : "\(VersionID(id.view, newest)), which is newer, was live"
    }

    /// Whether somebody rolled back from a version, and nobody has made it live since.
    package func wasRolledBackFrom(_ id: VersionID) throws(KappaError) -> Bool {
        let last = try history(of: id.view).last { $0.from == id.number || $0.to == id.number }
        return last?.from == id.number && last?.reason == Switch.rollback
    }

    /// The error of whoever would drop a live version.
    static func isLive(_ id: VersionID) -> KappaError {
        KappaError(
            .usage, "\(id) is live", because: "readers see it",
            advice: "`kappa rebuild \(id.view)` builds another version and makes that live; "
                + "`kappa rollback \(id.view)` goes back to the one before")
    }

    /// What the status of a version says that is held back.
    static func heldBack(_ id: VersionID, because reason: String) -> String {
        "held back: \(reason); `kappa promote \(id)` makes it live"
    }
}
