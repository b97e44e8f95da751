/// Requested rebuilds, versions that have stopped, and what a runner may promote without a person.
extension Catalog {
    // MARK: Rebuilds

    /// Records that a version was asked for although its definition may already have one. If this process is
    /// killed, another one that has the definition finishes it. Called inside of a transaction.
    func wantRebuild(_ id: VersionID, promotes: Bool) throws(KappaError) {
        try file.addRebuild(id, promotes: promotes)
    }

    /// The rebuilds that have begun, and whether each is to be promoted.
    func rebuilds(of view: String) throws(KappaError) -> [VersionNumber: Bool] {
        try file.rebuilds(of: view)
    }

    // MARK: Failures

    /// Why readers of a view will see nothing new: its live version has stopped for good, or no version was
    /// ever promoted and the newest has failed. Nil if neither is so, or if the version is being retried.
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

    /// Records that a version has failed, even on a full disk: if need be, in the part of the write-ahead log
    /// that is already allocated. A version that has been switched in the meantime keeps its state.
    /// - Parameter isRetried: Whether the process that records this retries the version.
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

    /// Records that the code of a version's view has not returned for a long time.
    /// - Parameter reason: What to say of it; nil once the code has returned.
    func noteSlow(_ id: VersionID, _ reason: String?) throws(KappaError) {
        guard let entry = try entries(of: id.view).first(where: { $0.id == id }) else { return }
        if entry.isLive {
            guard let reason else { return try clearFailure(id) }
            try setFailure(id, .live, reason, isRetried: true)
        } else if entry.isUnfinished {
            try file.setState(id, entry.state, reason: reason, unless: [.live, .retired])
        }
    }

    /// Forgets a version's failure: it is current again, or no longer live.
    func clearFailure(_ id: VersionID) throws(KappaError) { try file.removeFailure(of: id) }

    // MARK: What is promoted

    /// Whether a version exists and has not failed. A failed version can only stay live.
    func isPromotable(_ id: VersionID) throws(KappaError) -> Bool {
        try entries(of: id.view).contains { $0.id == id && ($0.state != .failed || $0.isLive) }
    }

    /// The highest number that was ever live.
    func newestEverLive(_ view: String) throws(KappaError) -> VersionNumber? {
        try file.newestEverLive(view)
    }

    /// The number of a view's last switch; 0 if nothing was ever live.
    func lastSwitch(_ view: String) throws(KappaError) -> Int64 { try file.lastSwitch(view) }

    /// Why only a person may promote a version; nil if a runner may.
    ///
    /// A runner promotes only versions that are newer than all that were ever live. Otherwise an old build
    /// that is restarted after an upgrade would replace the new version, and a slow build would replace a
    /// newer one that finished first. The same holds after a rollback: a version that was passed over stays
    /// passed over.
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

    /// Whether somebody rolled back from a version, and it has not been live since.
    package func wasRolledBackFrom(_ id: VersionID) throws(KappaError) -> Bool {
        let last = try history(of: id.view).last { $0.from == id.number || $0.to == id.number }
        return last?.from == id.number && last?.reason == Switch.rollback
    }

    /// The error for an attempt to drop a live version.
    static func isLive(_ id: VersionID) -> KappaError {
        KappaError(
            .usage, "\(id) is live", because: "readers see it",
            advice: "`kappa rebuild \(id.view)` builds another version and makes that live; "
                + "`kappa rollback \(id.view)` goes back to the one before")
    }

    /// The status of a version that is held back.
    static func heldBack(_ id: VersionID, because reason: String) -> String {
        "held back: \(reason); `kappa promote \(id)` makes it live"
    }
}
