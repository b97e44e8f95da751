import Glibc

/// The versions of a runner that share a scan. It runs on the thread that applies the events.
///
/// `@unchecked Sendable`: one thread makes it, and then only the thread that runs it uses it.
final class RunnerGroup: Scan.Observer, @unchecked Sendable {
    private let number: Int
    private let folder: DataFolder
    private let options: ViewRunner.Options
    private unowned let runner: ViewRunner
    private let catalog: Catalog
    private let plan = ExtractionPlan()
    private var members: [RunnerMember] = []
    private var scan: Scan?
    private var seenCatalog: Int64 = -1
    private var rate = RateMeter()
    private var samplers: [Sampler] = []
    /// The versions whose samples are made or being made.
    private var sampled: Set<VersionID> = []
    /// The log's end when this began.
    private let firstEnd: Offset
    /// How often promoting has been tried without a result.
    private var attempts = 0
    private static let mostAttempts = 100

    /// How long changes wait for a commit while there is always more to read.
    private static let buildMilliseconds = 3_000
    /// The same, once some versions are live.
    private var liveMilliseconds: Int { max(10, options.commitMilliseconds) }

    /// Opens versions. One that cannot be opened has failed; the group works on the others.
    init(
        _ number: Int, _ versions: [ViewRunner.Taken], folder: DataFolder,
        options: ViewRunner.Options, runner: ViewRunner, memoryBytes: Int
    ) throws {
        self.number = number
        self.folder = folder
        self.options = options
        self.runner = runner
        catalog = try Catalog.forWriting(folder)
        firstEnd = try LogReader(folder.log).durableEnd()
        for taken in versions {
            do {
                let member = try RunnerMember(
                    taken, catalog, plan: plan, budgetBytes: memoryBytes / versions.count)
                member.snapshots = try keeper(of: member)
                member.apply(options)
                members.append(member)
                if let pulse = member.crashMark?.pulse { runner.watch.add(member.id, pulse) }
            } catch {
                let isLive = try? catalog.live(taken.id.view) == taken.id.number
                runner.failed((taken.id, taken.definition, isLive ?? false), error, catalog) {
                    taken.lease.release()
                }
            }
        }
    }

    private func keeper(of member: RunnerMember) throws(KappaError) -> SnapshotKeeper? {
        guard let policy = options.snapshots else { return nil }
        let (id, runner) = (member.id, runner)
        return try SnapshotKeeper(id, policy, in: folder, at: member.version.offset) {
            [weak runner] in runner?.tell(.snapshotFailed(id, $0))
        }
    }

    /// Scans until the runner is stopped, the end is reached, or nothing is left to do. When it returns, all
    /// leases of these versions are released, whatever went wrong.
    func run() {
        do {
            try work()
            endAll()
            for member in members { runner.released(member.id, member.definition) }
        } catch {
            let stopped = members.map { ($0.id, $0.definition, $0.isLive) }
            runner.failed(stopped, error, catalog) { endAll() }
        }
        members = []
        scan = nil
        // Closing the files has freed what they needed, so a failure that could not be recorded may fit now.
        runner.saveFailures(catalog)
    }

    private func endAll() {
        for sampler in samplers {
            if runner.isStopped { sampler.stop() } else { sampler.wait() }
        }
        for member in members {
            runner.watch.remove(member.id)
            member.end()
        }
    }

    private func work() throws {
        runner.note(number, at: members.map(\.version.offset).min())
        for member in members { try passCrash(member) }
        runner.pastCrash(number)
        takeSamples()
        while !members.isEmpty, !runner.isStopped {
            guard try scan(Scan.Options(end: options.end, follows: options.follows)) else { return }
            if options.follows || isDone { break }
        }
        for member in members where !member.isLive {
            let isAtEnd = options.end.map { member.version.offset >= $0 } ?? member.hasCaughtUp
            // A version that is yet to be promoted is not done, though it has caught up.
            let state: VersionState =
                !isAtEnd
                ? .building
                : options.end == nil && promotes(member) ? .catchingUp : .ready
            try catalog.setWaiting(
                member.id, state, reason: state == .ready ? member.waitingReason : nil)
        }
    }

    /// Scans; false if the runner has already been stopped.
    private func scan(_ scanOptions: Scan.Options) throws -> Bool {
        var scanOptions = scanOptions
        scanOptions.commitMilliseconds =
            members.contains(where: \.isLive) ? liveMilliseconds : Self.buildMilliseconds
        let scan = try Scan(
            folder.log, members.map(\.version), plan: plan, options: scanOptions, observer: self)
        self.scan = scan
        setPace()
        guard runner.register(number, scan.stopper) else { return false }
        try scan.run()
        return true
    }

    /// Takes a version, which is alone in its group, past the events on which its code has crashed.
    private func passCrash(_ member: RunnerMember) throws {
        guard let crashMark = member.crashMark, let stamp = crashMark.found else { return }
        runner.tell(.suspected(member.id, stamp))
        for stretch in CrashRecovery.stretches(
            past: stamp, from: member.version.offset, limit: options.end)
        {
            crashMark.isAlone = stretch.isSuspect
            var scanOptions = Scan.Options(end: stretch.end)
            scanOptions.batchEvents = stretch.batchEvents
            guard try scan(scanOptions), !members.isEmpty, !runner.isStopped else { return }
        }
        crashMark.isAlone = true
        if try commit(member.version, { try member.version.commit() }) { crashMark.forget() }
    }

    /// Whether nothing waits for a promotion.
    private var isDone: Bool {
        if let end = options.end { return members.allSatisfy { $0.version.offset >= end } }
        return members.allSatisfy { $0.hasCaughtUp && !promotes($0) }
    }

    private func promotes(_ member: RunnerMember) -> Bool {
        options.promotes && member.waitsForPromotion
    }

    // MARK: Scan.Observer

    func commit(_ version: VersionMaterializer, _ perform: () throws -> Void) throws -> Bool {
        guard let member = members.first(where: { $0.version === version }) else { return false }
        try member.requireFiles()
        member.report(eventsPerSecond: rate.perSecond)
        return try SwitchLock(member.id.view, in: folder).shared {
            try refresh()
            guard members.contains(where: { $0 === member }) else { return false }
            try perform()
            member.didCommit()
            if member.isRecovering { try recovered(member) }
            if member.hasGoneOn { try goesOn(member) }
            member.snapshots?.didCommit()
            if !member.hasToldOfDead, let letter = member.version.firstDeadLetter {
                member.hasToldOfDead = true
                runner.tell(.deadLetter(member.id, letter))
            }
            reportGrowingLog(member)
            return true
        }
    }

    func mayLag(_ version: VersionMaterializer) throws -> Bool {
        guard let member = members.first(where: { $0.version === version }), member.mayLag()
        else { return false }
        reportGrowingLog(member)
        return true
    }

    private func reportGrowingLog(_ member: RunnerMember) {
        if let reason = member.growingLog(past: options.mostLogBytes, in: folder) {
            runner.tell(.logGrows(member.id, because: reason))
        }
    }

    /// Checks the members if the catalog has changed. A version that another process promoted begins its
    /// change feed; the work on one that has retired, or was dropped, ends.
    private func refresh() throws {
        runner.saveFailures(catalog)
        let counter = try catalog.changeCounter()
        if counter == seenCatalog { return }
        for member in members {
            let entries = try catalog.entries(of: member.id.view)
            member.hasRival = entries.contains { $0.id != member.id && $0.isOnItsWay }
            guard let entry = entries.first(where: { $0.id == member.id }),
                entry.isLive || entry.state != .failed
            else {
                release(member, because: "dropped by somebody", isGivenUp: true)
                continue
            }
            if !entry.isLive, member.isLive || entry.state == .retired {
                release(member, because: "retired")
                continue
            }
            setLive(member, entry.isLive)
            if let refusal = member.refusal, try catalog.live(member.id.view) != refusal.live {
                member.refusal = nil
            }
        }
        if seenCatalog >= 0 { runner.lookAgain() }
        seenCatalog = counter
    }

    private func setLive(_ member: RunnerMember, _ isLive: Bool) {
        member.isLive = isLive
        // A version that was ever live continues its feed: a slow follower may still be reading this version
        // after it has retired and become live again.
        if isLive { member.version.recordsChanges = true }
        setPace()
    }

    /// Once all versions are live, commits come as readers need them.
    private func setPace() {
        guard let scan, members.allSatisfy(\.isLive) else { return }
        scan.commitMilliseconds = liveMilliseconds
        scan.isAwaited = options.commits.isAwaited
        if scan.paceMilliseconds == nil { scan.paceMilliseconds = options.commitMilliseconds }
    }

    /// Ends the work on a version that has retired, was dropped, or is done.
    private func release(
        _ member: RunnerMember, because reason: String, isGivenUp: Bool = false
    ) {
        leave(member)
        member.end()
        runner.tell(.released(member.id, because: reason))
        if isGivenUp {
            runner.gaveUp(member.id, member.definition)
        } else {
            runner.released(member.id, member.definition)
        }
    }

    /// Removes a version from the group and its scan.
    private func leave(_ member: RunnerMember) {
        members.removeAll { $0 === member }
        runner.watch.remove(member.id)
        scan?.remove(member.version)
        // Only the process that holds the lease makes samples.
        for sampler in samplers where sampler.ids.contains(member.id) {
            sampler.stop()
            sampled.subtract(sampler.ids)
        }
        samplers.removeAll(where: \.isDone)
    }

    func didApply(to offset: Offset) {
        rate.note(offset)
        runner.note(number, at: offset)
        // Samples are made in parallel with the scan.
        if options.end == nil { takeSamples() }
        guard options.snapshots != nil, let scan else { return }
        for member in members where member.version.offset == offset {
            let isDue = member.snapshots?.note(offset, ingestedAtMicros: scan.ingestedAtMicros)
            if isDue == true { scan.wantsCommit = true }
        }
    }

    func didFail(_ version: VersionMaterializer, _ error: any Error) {
        guard let member = members.first(where: { $0.version === version }) else { return }
        leave(member)
        runner.failed((member.id, member.definition, member.isLive), error, catalog) {
            member.end()
        }
    }

    /// A version that had stopped has committed, or had nothing to commit.
    private func recovered(_ member: RunnerMember) throws {
        try catalog.clearFailure(member.id)
        member.isRecovering = false
        runner.recovered(member.id, member.definition)
    }

    /// Code that was reported as slow has returned.
    private func goesOn(_ member: RunnerMember) throws {
        try catalog.noteSlow(member.id, nil)
        runner.tell(.recovered(member.id))
    }

    func didCatchUp(at offset: Offset) throws {
        runner.note(number, at: offset)
        runner.tidyUp(catalog)
        rate.note(offset)
        for member in members {
            do { try member.requireFiles() } catch {
                didFail(member.version, error)
                continue
            }
            member.report(eventsPerSecond: rate.perSecond)
            // The last commit before a pause may have come before the log was due to be measured.
            reportGrowingLog(member)
            if member.isRecovering { try recovered(member) }
            if member.hasCaughtUp { continue }
            member.hasCaughtUp = true
            if !member.isLive {
                try member.store.finish()
                try catalog.setWaiting(
                    member.id, promotes(member) ? .catchingUp : .ready, reason: member.waitingReason
                )
            }
            runner.tell(.caughtUp(member.id, offset))
            if options.promotes, !member.isLive, let reason = member.heldBack {
                runner.tell(.heldBack(member.id, because: reason))
            }
            if member.endsWhenReady, !member.isLive {
                release(member, because: "ready, as the rebuild was to leave it")
            }
        }
        if options.end == nil { try promote() }
        try refresh()
    }

    /// Promotes the members that are ready, in one step. A version that waits for another one to reach its
    /// position, so that they can be compared, is promoted a little later: the scan calls this again each
    /// time it catches up.
    private func promote() throws {
        let ready = members.filter(promotes)
        if ready.isEmpty { return }
        var promotion = Promotion(catalog, runner.gatekeeper)
        promotion.knownEnd = firstEnd
        promotion.isPatient = attempts < Self.mostAttempts
        promotion.bring = { id, offset in
            guard let member = ready.first(where: { $0.id == id }) else { return false }
            try self.bring(member, to: offset)
            return true
        }
        attempts += 1
        let result = try promotion.promoteEach(ready.map(\.id), reason: options.reason)
        if !result.isEmpty {
            attempts = 0
        } else if !options.follows {
            Pause.briefly()
        }
        for change in result.switches {
            for member in ready where member.id == VersionID(change.view, change.to) {
                setLive(member, true)
            }
            runner.tell(.promoted(change))
            if let judgement = change.judgement, judgement.isIdentical {
                runner.tell(.identical(judgement))
            }
        }
        takeSamples()
        for judgement in result.refused {
            for member in ready where member.id == judgement.candidate {
                member.refusal = (
                    Judgement.notPromoted(judgement), try catalog.live(member.id.view)
                )
            }
            runner.tell(.refused(judgement))
        }
        for (id, reason) in result.heldBack {
            for member in ready where member.id == id {
                member.heldBack = reason
                try catalog.setWaiting(id, .ready, reason: member.waitingReason)
            }
            runner.tell(.heldBack(id, because: reason))
        }
    }

    /// Starts a thread that makes the missing samples of versions that are live or are to become so.
    private func takeSamples() {
        samplers.removeAll(where: \.isDone)
        let (events, folder) = (options.sampleEvents, folder)
        let lacking = members.filter { member in
            (member.isLive || promotes(member))
                && member.version.offset >= Offset(UInt64(events))
                // Asked once for each version: this runs after each live commit, and the second
                // condition opens a file.
                && sampled.insert(member.id).inserted
                && !VersionSample.hasCrashed(member.id, in: folder)
        }
        if lacking.isEmpty { return }
        samplers.append(
            Sampler(
                lacking.map { (id: $0.id, definition: $0.definition) }, after: events, in: folder)
        )
    }

    /// Advances one version alone while the shared scan waits. That scan then skips the events that the
    /// version has already applied.
    private func bring(_ member: RunnerMember, to offset: Offset) throws {
        try Scan(folder.log, [member.version], plan: plan, options: .init(end: offset)).run()
    }
}
