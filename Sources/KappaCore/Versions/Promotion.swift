/// Switches views to other versions, all of them or none, in one transaction of the catalog.
package struct Promotion {
    private let catalog: Catalog
    private let gatekeeper: (any Gatekeeper)?
    private var folder: DataFolder { catalog.folder }
    /// Advances a version to an offset, if this process materializes it.
    package var bring: (VersionID, Offset) throws -> Bool = { _, _ in false }
    /// Whether to wait until a version that another process keeps current reaches the offset of the
    /// comparison. Otherwise it is compared at its present position.
    package var isPatient = true
    /// An end of the log, read after the last commit to any live version whose file is gone and which no
    /// process materializes. If it is nil, the present end is used.
    package var knownEnd: Offset?

    package init(_ catalog: Catalog, _ gatekeeper: (any Gatekeeper)? = nil) {
        self.catalog = catalog
        self.gatekeeper = gatekeeper
    }

    /// How a promotion may end other than by an error.
    package enum Outcome: Equatable, Sendable {
        case switched([Catalog.Switch])
        /// A version has not reached what readers have seen, or the offset of the comparison: advance it to
        /// `needs` and try again.
        case lags(VersionID, needs: Offset)
        /// Gates refuse some of them.
        case refused([Judgement])
    }

    /// Makes the versions live that somebody has named, all or none.
    ///
    /// These versions and the live ones stand still during the call. Each candidate must be at or past
    /// what readers have seen, must have applied exactly the log's bytes up to its position, and must pass
    /// the gates of its view.
    /// - Throws: `.refused` if a candidate has skipped or doubled an event.
    package func promote(_ candidates: [VersionID], reason: String) throws -> Outcome {
        try alone(candidates) {
            let (pairs, behind) = try place(candidates)
            if let (id, needs) = behind.first { return .lags(id, needs: needs) }
            let (switches, refused) = try judge(pairs, reason)
            if !refused.isEmpty { return .refused(refused) }
            try apply(switches, isByName: true)
            return .switched(switches)
        }
    }

    /// The result of an automatic promotion.
    struct Result {
        var switches: [Catalog.Switch] = []
        var refused: [Judgement] = []
        /// The versions that only a person may promote, and why.
        var heldBack: [(id: VersionID, reason: String)] = []

        var isEmpty: Bool { switches.isEmpty && refused.isEmpty && heldBack.isEmpty }
    }

    /// Makes the versions live that a runner may promote without a person, in one step. A version that has
    /// not reached what readers have seen waits for another attempt. None replaces a newer one.
    func promoteEach(_ candidates: [VersionID], reason: String) throws -> Result {
        try alone(candidates) {
            var result = Result()
            var free: [VersionID] = []
            for id in candidates {
                // It may have been dropped in the meantime.
                guard try catalog.isPromotable(id) else { continue }
                if let reason = try catalog.reasonToHoldBack(id) {
                    result.heldBack.append((id, reason))
                } else {
                    free.append(id)
                }
            }
            (result.switches, result.refused) = try judge(place(free).pairs, reason)
            try apply(result.switches, isByName: false)
            return result
        }
    }

    // MARK: Looking

    /// A version and the one that it would replace.
    private struct Candidacy {
        var candidate: VersionID
        /// Nil for a first version.
        var live: VersionID?
        /// How far readers have seen the live version, if that is not the candidate itself.
        var seen: Offset?
        var new: Checkpoint
    }

    /// Advances the candidates as far as needed: those that are compared, all to the same position.
    private func place(
        _ candidates: [VersionID]
    ) throws -> (pairs: [Candidacy], behind: [(id: VersionID, needs: Offset)]) {
        let pairs = try candidates.map(pair)
        let compared = pairs.filter(isCompared)
        let target = compared.flatMap { [$0.new.offset, $0.seen ?? .zero] }.max() ?? .zero
        var placed: [Candidacy] = []
        var behind: [(id: VersionID, needs: Offset)] = []
        for var pair in pairs {
            let needs = isCompared(pair) ? target : pair.seen ?? .zero
            if let late = try place(&pair, needs) {
                behind.append((late, needs))
            } else {
                placed.append(pair)
            }
        }
        return (placed, behind)
    }

    private func isCompared(_ pair: Candidacy) -> Bool {
        pair.seen != nil && gatekeeper?.compares(pair.candidate, with: pair.live) == true
    }

    private func pair(_ candidate: VersionID) throws -> Candidacy {
        _ = try catalog.resolve(VersionReference(candidate.view, candidate.number))
        let live = try catalog.live(candidate.view).map { VersionID(candidate.view, $0) }
        return Candidacy(
            candidate: candidate, live: live,
            seen: live == candidate ? nil : try live.map(seenOffset),
            new: try checkpoint(candidate))
    }

    /// Advances one candidate to an offset; returns the version that has yet to reach it, if any.
    private func place(_ pair: inout Candidacy, _ needs: Offset) throws -> VersionID? {
        guard let live = pair.live, let seen = pair.seen else { return nil }
        if pair.new.offset < needs {
            try checkLog(reaches: seen, of: live)
            guard try bring(pair.candidate, needs) else { return pair.candidate }
            pair.new = try checkpoint(pair.candidate)
        }
        let isFollowed = Lease.holder(of: live, in: folder) != nil
        return seen < needs && isPatient && isFollowed ? live : nil
    }

    /// Judges versions that have reached the required offset.
    private func judge(
        _ pairs: [Candidacy], _ reason: String
    ) throws -> (switches: [Catalog.Switch], refused: [Judgement]) {
        for pair in pairs { try prove(pair.candidate, pair.new) }
        var switches: [Catalog.Switch] = []
        var refused: [Judgement] = []
        for pair in pairs {
            var change = Catalog.Switch(
                view: pair.candidate.view, from: pair.live?.number, to: pair.candidate.number,
                position: pair.new.offset, reason: reason, atMicros: 0)
            if pair.live != pair.candidate {
                let live = pair.live.flatMap { folder.hasFile($0) ? $0 : nil }
                change.judgement = try judge(pair.candidate, against: live)
                let isOther = try isOtherDefinition(change)
                change.judgement?.isOtherDefinition = isOther
            }
            if let judgement = change.judgement, !judgement.passes {
                try catalog.refuse(judgement)
                refused.append(judgement)
            } else {
                switches.append(change)
            }
        }
        return (switches, refused)
    }

    /// Has the gates judge a version. Their code may crash and take the process with it; the next start then
    /// finds the crash mark, and the version waits for a person.
    private func judge(_ candidate: VersionID, against live: VersionID?) throws -> Judgement? {
        guard let gatekeeper, gatekeeper.compares(candidate, with: live) else {
            return try gatekeeper?.judge(candidate, against: live)
        }
        let path = folder.gatesCrashMark(candidate)
        if let stamp = CrashStamp.read(path)?.stamp, stamp.isOfThisProgram {
            let finding = Judgement.GateFinding(
                "the gates of view \(candidate.view)", passes: false,
                "their code has crashed, \(stamp.signalText)")
            return Judgement(
                candidate, against: live?.number, at: try checkpoint(candidate).offset,
                findings: [finding])
        }
        guard let mark = CrashMark(at: path, for: "\(candidate)") else {
            return try gatekeeper.judge(candidate, against: live)
        }
        return try mark.during(.judging, .zero, .zero) {
            try gatekeeper.judge(candidate, against: live)
        }
    }

    /// Has the rows of two definitions compared in the background, if no gate has compared them.
    private func look(at change: Catalog.Switch) throws {
        guard let gatekeeper, let from = change.from, change.judgement?.counts == nil,
            try isOtherDefinition(change)
        else { return }
        let old = VersionID(change.view, from)
        guard folder.hasFile(old), (try? checkpoint(old).offset) == change.position
        else { return }
        gatekeeper.look(at: VersionID(change.view, change.to), beside: old)
    }

    /// Whether a switch goes from one definition to another.
    private func isOtherDefinition(_ change: Catalog.Switch) throws -> Bool {
        let both = [change.from, change.to]
        let entries = try catalog.entries(of: change.view).filter { both.contains($0.id.number) }
        return Set(entries.map(\.digest)).count == 2
    }

    // MARK: Rolling back

    /// Makes the version live that was live before the present one, at the position that it has.
    /// - Returns: For each view, the switch and how many events readers go back.
    package func rollBack(
        _ views: [String]
    ) throws -> [(change: Catalog.Switch, lag: Int)] {
        try alone(named: views) {
            var switches: [(change: Catalog.Switch, lag: Int)] = []
            for view in views {
                let live = try catalog.live(view)
                let (previous, old) = try previousVersion(of: view, live)
                try requireEvents(of: previous, after: old)
                let seen = try live.map { try seenOffset(VersionID(view, $0)) } ?? old.offset
                let change = Catalog.Switch(
                    view: view, from: live, to: previous.number, position: old.offset,
                    reason: Catalog.Switch.rollback, atMicros: 0)
                switches.append((change, max(0, seen - old.offset)))
            }
            try apply(switches.map(\.change), isByName: true)
            return switches
        }
    }

    /// How far readers have seen a live version. If its file is gone or damaged, this is an upper bound: an
    /// end of the log.
    private func seenOffset(_ id: VersionID) throws -> Offset {
        if folder.hasFile(id) {
            do throws(KappaError) {
                return Lease.position(of: id, atLeast: try checkpoint(id).offset, in: folder)
            } catch {
                guard error.code == .damaged else { throw error }
            }
        }
        // Its process may still write to a file that no longer has a name.
        let isHeld = Lease.holder(of: id, in: folder) != nil
        if let knownEnd, !isHeld { return knownEnd }
        return try LogReader(folder.log).durableEnd()
    }

    /// A version only applies durable events, so one that is ahead of the log proves a loss.
    private func checkLog(reaches offset: Offset, of id: VersionID) throws(KappaError) {
        let end = try LogReader(folder.log).durableEnd()
        if end >= offset { return }
        throw KappaError(
            .damaged, "the log has lost events that \(id) has applied", at: folder.log,
            because: "the log ends at offset \(end), the version is at \(offset)",
            advice: "Restore the log's folder; or remove views/ and catalog.db, and rebuild from "
                + "what the log has")
    }

    private func alone<R>(_ candidates: [VersionID], _ body: () throws -> R) throws -> R {
        try alone(named: candidates.map(\.view), body)
    }

    private func alone<R>(named views: [String], _ body: () throws -> R) throws -> R {
        try Self.checkOnce(views)
        return try alone(views.sorted()[...], body)
    }

    private static func checkOnce(_ views: [String]) throws(KappaError) {
        let twice = views.first { view in views.count { $0 == view } > 1 }
        if let twice {
            throw KappaError(
                .usage, "view \(twice) is named twice", because: "a view has one live version",
                advice: "Name each view once")
        }
    }

    private func previousVersion(
        of view: String, _ live: VersionNumber?
    ) throws -> (VersionID, Checkpoint) {
        for change in try catalog.history(of: view).reversed() {
            guard let from = change.from, from != live else { continue }
            let id = VersionID(view, from)
            // A version that is being dropped may lose its file while it is read.
            guard try catalog.isPromotable(id), folder.hasFile(id) else { continue }
            do { return (id, try checkpoint(id)) } catch {
                if try catalog.isPromotable(id), folder.hasFile(id) { throw error }
            }
        }
        throw KappaError(
            .notFound, "view \(view) cannot be rolled back",
            because: "no earlier live version of it is kept",
            advice: "`kappa status \(view)` lists its versions; promote one of them by number")
    }

    /// Holds the switch locks of all views. It takes them in the order of their names, so that two promotions
    /// never deadlock.
    private func alone<R>(_ views: ArraySlice<String>, _ body: () throws -> R) throws -> R {
        guard let view = views.first else { return try body() }
        return try SwitchLock(view, in: folder).alone {
            try alone(views.dropFirst(), body)
        }
    }

    private func checkpoint(_ id: VersionID) throws(KappaError) -> Checkpoint {
        try folder.reader(id).checkpoint()
    }

    /// Checks that a version can go on: the log may have been trimmed past its position.
    private func requireEvents(
        of id: VersionID, after checkpoint: Checkpoint
    ) throws(KappaError) {
        let first = try LogReader(folder.log).firstOffset
        if checkpoint.offset >= first { return }
        throw KappaError(
            .refused, "\(id) cannot become live", at: "offset \(checkpoint.offset)",
            because: "the log was trimmed: it begins at offset \(first), and the version lacks the "
                + "events in between",
            advice: "`kappa rebuild \(id.view)` builds a version from what the log has")
    }

    private func prove(_ id: VersionID, _ checkpoint: Checkpoint) throws(KappaError) {
        try requireEvents(of: id, after: checkpoint)
        let log = try LogReader(folder.log).digest(at: checkpoint.offset)
        if log != checkpoint.digest {
            throw KappaError(
                .refused, "\(id) did not apply exactly the events of the log",
                at: "offset \(checkpoint.offset)",
                because: "it applied \(checkpoint.digest.bytes) bytes, the log has \(log.bytes) "
                    + "below that offset, or their checksums differ",
                advice:
                    "Run `kappa log verify`; then `kappa rebuild \(id.view)` makes a new version")
        }
    }

    /// Checks once more, in the transaction that switches: a version may have been dropped since, and no
    /// runner makes a version live that is older than one that was.
    private func check(_ change: Catalog.Switch, isByName: Bool) throws {
        let id = VersionID(change.view, change.to)
        guard let entry = try catalog.entries(of: id.view).first(where: { $0.id == id }) else {
            throw KappaError(
                .notFound, "\(id) was dropped meanwhile", at: folder.path,
                because: "somebody has cleaned up, or dropped it by name",
                advice:
                    "Nothing was switched. `kappa status \(id.view)` lists the versions there are")
        }
        if entry.state == .failed, !entry.isLive {
            throw KappaError(
                .refused, "\(id) has failed", at: folder.path, because: entry.reason,
                advice: "Nothing was switched. `kappa rebuild \(id.view)` builds another version")
        }
        let isSame = try catalog.live(change.view) == change.from
        guard isSame, try isByName || catalog.reasonToHoldBack(id) == nil else {
            throw KappaError(
                .heldElsewhere, "view \(change.view) was switched meanwhile", at: folder.path,
                because: "another version is live now", advice: "Nothing was switched. Try again")
        }
    }

    /// Switches the catalog, then the links. The catalog decides: if the process dies in between, the next
    /// open corrects the links.
    func apply(_ switches: [Catalog.Switch], isByName: Bool) throws {
        for change in switches { try look(at: change) }
        try catalog.transaction {
            for change in switches { try check(change, isByName: isByName) }
            for change in switches where change.from != change.to {
                if let judgement = change.judgement { try catalog.add(judgement) }
                try catalog.point(
                    change.view, from: change.from, to: change.to, position: change.position,
                    reason: change.reason, feedStart: try feedStart(of: change))
                if let judgement = change.judgement { try catalog.markIdentical(judgement) }
            }
        }
        for change in switches { try folder.pointLink(of: change.view, to: change.to) }
    }

    private func feedStart(of change: Catalog.Switch) throws(KappaError) -> Int64 {
        try folder.reader(VersionID(change.view, change.to)).newestChange()
    }
}
