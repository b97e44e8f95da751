import Glibc

/// The versions of a runner that share a scan, on the thread that applies them.
///
/// `@unchecked Sendable`: made on one thread, then used by the one that runs it alone.
final class RunnerGroup: Scan.Observer, @unchecked Sendable {
    private final class Member {
        let id: VersionID
        let lease: Lease
        let store: VersionStore
        let version: VersionMaterializer
        var isLive: Bool
        var hasCaughtUp = false
        /// Why it is for a person to decide whether it is promoted; nil if it is not.
        let heldBack: String?
        /// What a gate said, and the live version then: it is asked again when another one is live.
        var refusal: (reason: String, live: VersionNumber?)?
        /// Nil where no snapshots are kept.
        var snapshots: SnapshotKeeper?
        /// Whether the runner has told of a dead letter.
        var hasToldOfDead = false

        init(
            _ id: VersionID, _ lease: Lease, _ store: VersionStore,
            _ version: VersionMaterializer, isLive: Bool, heldBack: String?
        ) {
            self.id = id
            self.lease = lease
            self.store = store
            self.version = version
            self.isLive = isLive
            self.heldBack = heldBack
        }
    }

    private let number: Int
    private let folder: DataFolder
    private let options: ViewRunner.Options
    private unowned let runner: ViewRunner
    private let catalog: Catalog
    private let plan = ExtractionPlan()
    private var members: [Member] = []
    private var scan: Scan?
    private var seenCatalog: Int64 = -1
    private var rate = RateMeter()
    /// What has failed, and could not be written down yet.
    private var unsaved: [(id: VersionID, state: VersionState, reason: String)] = []
    private var samplers: [WorkerThread] = []
    /// Whose samples are made or being made.
    private var sampled: Set<VersionID> = []
    /// The log's end when this began.
    private let firstEnd: Offset
    /// How often promotions were tried in vain.
    private var attempts = 0
    private static let mostAttempts = 100

    /// Changes of a live version wait this long at most while more events keep coming.
    private static let liveMilliseconds = 10
    private static let buildMilliseconds = 3_000

    init(
        _ number: Int, _ versions: [ViewRunner.Taken], folder: DataFolder,
        options: ViewRunner.Options, runner: ViewRunner, memoryBytes: Int
    ) throws {
        self.number = number
        self.folder = folder
        self.options = options
        self.runner = runner
        catalog = try Catalog(folder)
        firstEnd = try LogReader(folder.log).durableEnd()
        for (id, definition, lease) in versions {
            let store = try VersionStore.open(id, definition, in: folder)
            let version = try VersionMaterializer(
                definition, store: store, plan: plan,
                budgetBytes: memoryBytes / versions.count)
            let isLive = try catalog.live(id.view) == id.number
            version.recordsChanges = try isLive || catalog.wasLive(id)
            if !isLive { try catalog.setState(id, .building) }
            let heldBack = isLive ? nil : try catalog.reasonToHoldBack(id)
            let member = Member(
                id, lease, store, version, isLive: isLive, heldBack: heldBack)
            member.snapshots = try keeper(of: member)
            members.append(member)
        }
    }

    private func keeper(of member: Member) throws(KappaError) -> SnapshotKeeper? {
        guard let policy = options.snapshots else { return nil }
        let (id, runner) = (member.id, runner)
        return try SnapshotKeeper(id, policy, in: folder, at: member.version.offset) {
            [weak runner] in runner?.tell(.snapshotFailed(id, $0))
        }
    }

    /// Scans until the runner is stopped, the end is reached, or nothing is left to do.
    func run() throws {
        defer { for sampler in samplers { sampler.join() } }
        runner.note(number, at: members.map(\.version.offset).min())
        takeSamples()
        while !members.isEmpty, !runner.isStopped {
            var scanOptions = Scan.Options(end: options.end, follows: options.follows)
            scanOptions.commitMilliseconds =
                members.contains(where: \.isLive) ? Self.liveMilliseconds : Self.buildMilliseconds
            let scan = try Scan(
                folder.log, members.map(\.version), plan: plan, options: scanOptions,
                observer: self)
            self.scan = scan
            guard runner.register(number, scan.stopper) else { return }
            try scan.run()
            if options.follows || isDone { break }
        }
        for member in members where !member.isLive {
            let isAtEnd = options.end.map { member.version.offset >= $0 } ?? member.hasCaughtUp
            let reason = member.refusal?.reason ?? member.heldBack
            try catalog.setState(
                member.id, isAtEnd ? .ready : .building, reason: isAtEnd ? reason : nil)
        }
    }

    /// Lets go of all that is left.
    func end() {
        for member in members { member.snapshots?.finish() }
        members = []
        scan = nil
        // What their files needed is free now.
        saveFailures()
        runner.note(number, at: nil)
    }

    /// Whether nothing waits for a promotion.
    private var isDone: Bool {
        if let end = options.end { return members.allSatisfy { $0.version.offset >= end } }
        return members.allSatisfy { $0.hasCaughtUp && ($0.isLive || !promotes($0)) }
    }

    private func promotes(_ member: Member) -> Bool {
        options.promotes && member.heldBack == nil && member.refusal == nil
    }

    // MARK: Scan.Observer

    func commit(_ version: VersionMaterializer, _ perform: () throws -> Void) throws -> Bool {
        guard let member = members.first(where: { $0.version === version }) else { return false }
        member.lease.report(.init(eventsPerSecond: rate.perSecond))
        return try SwitchLock(member.id.view, in: folder).shared {
            try refresh()
            guard members.contains(where: { $0 === member }) else { return false }
            try perform()
            member.snapshots?.didCommit()
            if !member.hasToldOfDead, let letter = member.version.firstDeadLetter {
                member.hasToldOfDead = true
                runner.tell(.deadLetter(member.id, letter))
            }
            return true
        }
    }

    /// Looks which members are live, if the catalog has changed: a version that was promoted from
    /// outside begins its feed of changes, one that has retired is let go of.
    private func refresh() throws {
        saveFailures()
        let counter = try catalog.changeCounter()
        if counter == seenCatalog { return }
        for member in members {
            let isLive = try catalog.live(member.id.view) == member.id.number
            if member.isLive, !isLive {
                try letGo(member)
            } else {
                setLive(member, isLive)
            }
            if let refusal = member.refusal, try catalog.live(member.id.view) != refusal.live {
                member.refusal = nil
            }
        }
        seenCatalog = counter
    }

    private func setLive(_ member: Member, _ isLive: Bool) {
        member.isLive = isLive
        // What was ever live goes on with its feed: somebody who looks seldom may still be at this
        // version after it has retired and come back.
        if isLive { member.version.recordsChanges = true }
        if members.allSatisfy(\.isLive) { scan?.commitMilliseconds = Self.liveMilliseconds }
    }

    private func letGo(_ member: Member) throws {
        members.removeAll { $0 === member }
        member.snapshots?.finish()
        scan?.remove(member.version)
        runner.tell(.letGo(member.id))
        // A rebuild of the same definition: it is this build's to follow when the rebuild has ended.
        let definition = member.version.view
        let live = try catalog.entries(of: definition.name).first(where: \.isLive)
        if live?.digest == definition.digest { runner.wait(for: definition) }
    }

    func didApply(to offset: Offset) {
        rate.note(offset)
        runner.note(number, at: offset)
        // Beside the scan, not behind it.
        if options.end == nil { takeSamples() }
        guard options.snapshots != nil, let scan else { return }
        for member in members where member.version.offset == offset {
            let isDue = member.snapshots?.note(offset, ingestedAtMicros: scan.ingestedAtMicros)
            if isDue == true { scan.wantsCommit = true }
        }
    }

    func didFail(_ version: VersionMaterializer, _ error: any Error) {
        guard let member = members.first(where: { $0.version === version }) else { return }
        members.removeAll { $0 === member }
        member.snapshots?.finish()
        let error = error as? KappaError ?? KappaError(.bug, "\(error)", at: "\(member.id)")
        // A full disk or a lock passes; a definition or a damaged file does not.
        let passes = error.code == .inputOutput || error.code == .heldElsewhere
        let state: VersionState = member.isLive ? .live : passes ? .paused : .failed
        let reason = error.what + (error.reason.map { ": \($0)" } ?? "")
        unsaved.append((member.id, state, reason))
        saveFailures()
        runner.tell(.failed(member.id, error))
    }

    /// Writes down what has failed. A full disk, which made a version fail, may refuse that too: then
    /// it is written down when it can be.
    private func saveFailures() {
        if unsaved.isEmpty { return }
        unsaved.removeAll { (try? catalog.setFailure($0.id, $0.state, $0.reason)) != nil }
    }

    func didCatchUp(at offset: Offset) throws {
        runner.note(number, at: offset)
        for member in members where !member.hasCaughtUp {
            member.hasCaughtUp = true
            if !member.isLive {
                try member.store.finish()
                try catalog.setState(
                    member.id, promotes(member) ? .catchingUp : .ready, reason: member.heldBack)
            }
            runner.tell(.caughtUp(member.id, offset))
            if options.promotes, !member.isLive, let reason = member.heldBack {
                runner.tell(.heldBack(member.id, because: reason))
            }
        }
        if options.end == nil { try promote() }
        try refresh()
    }

    /// Promotes what is on its way, in one step. What waits for another version to come where it is,
    /// so that they can be compared, is promoted a little later: the scan says again and again that it
    /// has caught up.
    private func promote() throws {
        let ready = members.filter { !$0.isLive && promotes($0) }
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
        let (switches, refused) = try promotion.promoteEach(
            ready.map(\.id), reason: options.reason)
        if !switches.isEmpty || !refused.isEmpty {
            attempts = 0
        } else if !options.follows {
            Pause.briefly()
        }
        for change in switches {
            for member in ready where member.id == VersionID(change.view, change.to) {
                setLive(member, true)
            }
            runner.tell(.promoted(change))
            if let judgement = change.judgement, judgement.isIdentical {
                runner.tell(.identical(judgement))
            }
        }
        takeSamples()
        for judgement in refused {
            for member in ready where member.id == judgement.candidate {
                member.refusal = (
                    Judgement.notPromoted(judgement), try catalog.live(member.id.view)
                )
            }
            runner.tell(.refused(judgement))
        }
    }

    /// Has the samples made that live versions lack, and those that are to be live, on a thread of its own.
    private func takeSamples() {
        let events = options.sampleEvents
        let lacking = members.filter { member in
            (member.isLive || promotes(member))
                && member.version.offset >= Offset(UInt64(events))
                && sampled.insert(member.id).inserted
        }
        if lacking.isEmpty { return }
        let versions = lacking.map { (id: $0.id, definition: $0.version.view) }
        let folder = folder
        // Nothing depends on it but what `kappa plan` can tell.
        let sampler = try? WorkerThread("kappa-sample") {
            try? VersionSample.make(versions, after: events, in: folder)
        }
        if let sampler { samplers.append(sampler) }
    }

    /// Brings a version forward by itself, while the scan that it shares waits. That scan then passes
    /// over what it has seen.
    private func bring(_ member: Member, to offset: Offset) throws {
        try Scan(folder.log, [member.version], plan: plan, options: .init(end: offset)).run()
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

/// Events per second over the last second or so; for people only.
struct RateMeter {
    private var start = Self.seconds()
    private var startOffset: Offset?
    private var last = Offset.zero
    private(set) var perSecond = 0

    mutating func note(_ offset: Offset) {
        last = offset
        guard let from = startOffset else {
            startOffset = offset
            return
        }
        let now = Self.seconds()
        guard now - start >= 1 else { return }
        perSecond = Int(Double(last - from) / (now - start))
        start = now
        startOffset = offset
    }

    private static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
