import Synchronization

/// Builds, follows and promotes the versions that one build of the program defines.
///
/// Live versions share one scan of the log and unfinished versions share another, each scan on its own
/// thread, so a rebuild never makes a live view wait. A version belongs to the process that holds its
/// lease. A runner that follows stands by for versions that others hold. It takes over a version that becomes
/// free, because its process has ended or because somebody rolled back to it.
package final class ViewRunner: Sendable {
    package struct Options: Sendable {
        /// Only these views; nil for all.
        package var views: [String]?
        /// Builds a new version even where the definition has one.
        package var rebuilds = false
        package var promotes = true
        /// Whether to keep following the log once all versions have caught up.
        package var follows = true
        /// Where to stop.
        package var end: Offset?
        package var memoryBytes = 1 << 30
        /// How long changes of live versions wait for a commit at most, while events arrive steadily.
        package var commitMilliseconds = 50
        /// For those in this process who wait for commits.
        package var commits = CommitHooks()
        /// How many retired versions of each view are kept; nil for all.
        package var keepVersions: Int?
        /// How much of the versions' change feeds is kept.
        package var feed = FeedPolicy()
        /// Which snapshots of the versions are kept; nil for none.
        package var snapshots: SnapshotPolicy?
        /// How much of the log is kept; nil for all.
        package var retention: LogRetention?
        /// After how many events a version's sample is taken.
        package var sampleEvents = VersionSample.usualEvents
        /// The size from which a version's write-ahead log is reported.
        package var mostLogBytes = PinnedLog.usualBytes
        /// How long a view's code may be at work before that is reported.
        package var slowAfter = Duration.seconds(10)
        /// The reason to record in the history for its promotions.
        package var reason = "caught up"

        package init() {}
    }

    /// What a runner reports while it works. Called on the runner's threads.
    package enum Report: Sendable {
        case started(VersionID, VersionAction)
        /// Another process materializes the version. A runner that follows stands by.
        case heldElsewhere(VersionID, KappaError)
        case caughtUp(VersionID, Offset)
        case promoted(Catalog.Switch)
        /// Caught up and not promoted: for this reason, only a person may promote it.
        case heldBack(VersionID, because: String)
        /// Caught up and not promoted: a gate refuses it.
        case refused(Judgement)
        /// Promoted with the same rows as the version before: the new definition changed nothing.
        case identical(Judgement)
        /// A view's definition is invalid; work on the others continues.
        case invalid(InvalidView)
        /// The view's code has crashed before, on these events: the version applies them alone, in small
        /// pieces.
        case suspected(VersionID, CrashStamp)
        /// The work on the version and its lease have ended: it has retired, or somebody has dropped it.
        case released(VersionID, because: String)
        /// The version has stopped for good; work on the others continues.
        case failed(VersionID, KappaError)
        /// The version has stopped for a transient reason. It is first retried after this many milliseconds.
        case retrying(VersionID, KappaError, milliseconds: Int)
        /// The code of the version's view does not return. All versions of its scan wait.
        case slow(VersionID, because: String)
        /// A version that was being retried, or whose code did not return, works again.
        case recovered(VersionID)
        /// A version has its first dead letter, or its first since this runner took it.
        case deadLetter(VersionID, DeadLetter)
        /// A version's write-ahead log grows because a reader holds an old snapshot of its file. Reported
        /// once, until the log is small again.
        case logGrows(VersionID, because: String)
        /// A snapshot could not be made; the work on the version continues.
        case snapshotFailed(VersionID, KappaError)
        /// The log was trimmed, or a version keeps it from being trimmed.
        case trimmed(LogTrim.Outcome)
        /// The log could not be trimmed; it is tried again.
        case trimFailed(KappaError)
        /// A retired version was dropped, as only so many are kept.
        case collected(VersionID, kept: Int)
    }

    let folder: DataFolder
    let definitions: [ViewDefinition]
    /// Invalid views, which it skips.
    private let invalid: [InvalidView]
    let options: Options
    let gatekeeper: any Gatekeeper
    private let report: @Sendable (Report) -> Void
    let state: Monitor<State>
    /// Whether there are failures that could not be recorded yet. Checked with each commit.
    let hasUnsaved = Atomic(false)
    let watch: SlowCodeWatch

    struct State {
        var isStopped = false
        /// The functions that stop the scans of running groups.
        var stoppers: [Int: @Sendable () -> Void] = [:]
        /// The position of each group.
        var offsets: [Int: Offset] = [:]
        var error: (any Error)?
        /// How many groups are running.
        var active = 0
        /// The groups that may be about to repeat an earlier crash.
        var recovering: Set<Int> = []
        /// How many groups have been started.
        var started = 0
        /// One for each definition.
        var posts: [RunnerPost]
        /// Whether something has changed that may have freed a version.
        var mustLook = false
        /// The thread that watches for slow code; nil until the first group works.
        var watching: WorkerThread?
        /// Failures that could not be recorded yet.
        var unsaved: [Failure] = []
        var trimTimer = IntervalTimer(milliseconds: 60_000, isDueAtOnce: true)
        var collectTimer = IntervalTimer(milliseconds: 60_000)
        /// What the last trim reported.
        var trimmed: LogTrim.Outcome?

        /// Whether there is nothing left to do or to wait for.
        var isOver: Bool { posts.allSatisfy(\.isLost) && active == 0 }
    }

    /// What to record about a version that has stopped.
    struct Failure {
        var id: VersionID
        var state: VersionState
        var reason: String
        var isRetried: Bool
    }

    /// A version, its definition and the right to materialize it.
    struct Taken {
        var id: VersionID
        var definition: ViewDefinition
        var lease: Lease
        /// Whether it was the live one when it was taken.
        var isLive: Bool
        /// Whether it is to be promoted when it has caught up.
        var promotes: Bool
        /// Whether it is a rebuild.
        var isRebuild: Bool
        /// Whether it has stopped before for a transient reason.
        var isRetry: Bool
    }

    /// A version that has stopped.
    typealias Stopped = (id: VersionID, definition: ViewDefinition, isLive: Bool)

    package init(
        _ folder: DataFolder, _ views: ViewSet, options: Options, gatekeeper: any Gatekeeper,
        report: @escaping @Sendable (Report) -> Void
    ) throws(KappaError) {
        self.folder = folder
        self.options = options
        self.gatekeeper = gatekeeper
        self.report = report
        let all = views.workedOut()
        if let names = options.views {
            for name in names { _ = try all.definition(of: name) }
            definitions = all.sound.filter { names.contains($0.name) }
            invalid = []
        } else {
            (definitions, invalid) = (all.sound, all.invalid)
        }
        state = Monitor(State(posts: definitions.map { RunnerPost($0) }))
        watch = SlowCodeWatch(limit: options.slowAfter) { finding in
            report(.slow(finding.id, because: finding.reason))
            // If the catalog is busy, a later report records it.
            try? Catalog(folder).noteSlow(finding.id, finding.reason)
        }
    }

    /// How far the slowest group is, and where it is to end.
    package var progress: (offset: Offset, end: Offset) {
        let end = options.end ?? (try? LogReader(folder.log).durableEnd()) ?? .zero
        let offset = state.withLock { state in
            state.offsets.values.min() ?? (state.started == 0 ? .zero : end)
        }
        return (offset, end)
    }

    /// Ends ``run()`` at a commit. May be called from any thread.
    package func stop() {
        let stoppers = state.withLock { state in
            state.isStopped = true
            return Array(state.stoppers.values)
        }
        for stop in stoppers { stop() }
    }

    package var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Why a view is not kept current, if one is not: it has failed for good, is being retried, or is
    /// invalid.
    package var unresolved: KappaError? {
        state.withLock { state in state.posts.lazy.compactMap(\.unresolved).first }
            ?? invalid.first?.error
    }

    /// Works until all versions have caught up or, if it follows, until ``stop()`` or until nothing is left
    /// that it could keep current. It holds no lease when it returns.
    /// - Throws: `.heldElsewhere` if it does not follow and other processes materialize all of the
    ///   versions.
    package func run() throws {
        for view in invalid { report(.invalid(view)) }
        if !definitions.isEmpty { _ = try LogWriter(folder.log) }
        let catalog = try Catalog.forWriting(folder)
        defer {
            watch.stop()
            state.withLock { $0.watching }?.join()
        }
        do {
            try Garbage(catalog).removeLeftovers()
            try begin(catalog)
            InheritedLeases.release()
            try supervise(catalog)
        } catch { fail(error) }
        state.wait { $0.active == 0 ? () : nil }
        gatekeeper.finish()
        saveFailures(catalog)
        if state.withLock({ $0.error == nil }) { collectVersions(catalog) }
        if let error = state.withLock({ $0.error }) { throw error }
    }

    // MARK: Groups

    /// Starts groups for versions: one for those that are live, and one for the others.
    func start(_ versions: [Taken], _ catalog: Catalog, memoryBytes: Int) throws {
        let live = Set(try catalog.entries().filter(\.isLive).map(\.id))
        let suspects = versions.filter { CrashRecovery.isSuspect($0.id, in: folder) }
        let sound = versions.filter { version in !suspects.contains { $0.id == version.id } }
        let parts = [
            sound.filter { live.contains($0.id) }, sound.filter { !live.contains($0.id) },
        ].filter { !$0.isEmpty }
        let share = memoryBytes / max(1, parts.count + suspects.count)
        for part in parts { start(group: part, memoryBytes: share, catalog) }
        // Each suspect alone, one after another: no other version waits for it.
        for suspect in suspects {
            start(group: [suspect], memoryBytes: share, catalog)
            state.wait { $0.recovering.isEmpty ? () : nil }
        }
    }

    private func start(group versions: [Taken], memoryBytes: Int, _ catalog: Catalog) {
        let number = state.withLock { state in
            state.started += 1
            state.active += 1
            state.recovering.insert(state.started - 1)
            return state.started - 1
        }
        do {
            let group = try RunnerGroup(
                number, versions, folder: folder, options: options, runner: self,
                memoryBytes: memoryBytes)
            _ = try WorkerThread("kappa-apply") {
                group.run()
                self.ended(number)
            }
            startWatch()
        } catch {
            let live = try? catalog.entries().filter(\.isLive).map(\.id)
            let stopped = versions.map { ($0.id, $0.definition, live?.contains($0.id) ?? false) }
            failed(stopped, error, catalog) { for taken in versions { taken.lease.release() } }
            ended(number)
        }
    }

    /// Starts the watch over slow code, once. The work does not need it, so a failure to start it is ignored.
    private func startWatch() {
        state.withLock { state in
            if state.watching != nil { return }
            state.watching = try? WorkerThread("kappa-watch") { [watch] in watch.run() }
        }
    }

    /// Removes the state of a group that has ended.
    private func ended(_ number: Int) {
        state.withLock { state in
            state.stoppers[number] = nil
            state.offsets[number] = nil
            state.recovering.remove(number)
            state.active -= 1
            state.mustLook = true
        }
    }

    func fail(_ error: any Error) {
        state.withLock { $0.error = $0.error ?? error }
        stop()
    }

    /// A group is past the events on which it crashed before, if it did.
    func pastCrash(_ number: Int) {
        state.withLock { _ = $0.recovering.remove(number) }
    }

    func tell(_ what: Report) { report(what) }

    /// Notes how far a group is; nil if it has ended.
    func note(_ number: Int, at offset: Offset?) {
        state.withLock { $0.offsets[number] = offset }
    }

    /// Registers the function that stops a scan; false if the runner has already been stopped.
    func register(_ number: Int, _ stopper: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { state in
            state.stoppers[number] = stopper
            return !state.isStopped
        }
    }
}

extension KappaError {
    package static func noSuchView(_ name: String, among names: [String]) -> KappaError {
        KappaError(
            .notFound, "there is no view \(name) in this build",
            because: names.isEmpty
                ? "the build defines no views" : "it defines \(names.joined(separator: ", "))",
            advice: "Check the name; `kappa views` lists them")
    }
}
