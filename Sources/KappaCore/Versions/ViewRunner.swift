import Synchronization

/// Builds, follows and promotes the versions that one build of the program defines.
///
/// Live versions share one scan of the log, and versions on their way share another, each on a thread
/// of its own: a rebuild never makes a live view wait. A version belongs to the process that holds its
/// lease. A runner that follows stands by for those of others, and takes over what becomes free: because
/// its process has ended, or because somebody rolled back to it.
package final class ViewRunner: Sendable {
    package struct Options: Sendable {
        /// Only these views; nil for all.
        package var views: [String]?
        /// Builds a new version even where the definition has one.
        package var rebuilds = false
        package var promotes = true
        /// Whether to go on following the log once all is caught up.
        package var follows = true
        /// Where to stop.
        package var end: Offset?
        package var memoryBytes = 1 << 30
        /// Which snapshots of the versions are kept; nil for none.
        package var snapshots: SnapshotPolicy?
        /// After how many events a version's sample is taken.
        package var sampleEvents = VersionSample.usualEvents
        /// From which size on a version's write-ahead log is reported.
        package var mostLogBytes = PinnedLog.usualBytes
        /// How long a view's code may be at work before that is reported.
        package var slowAfter = Duration.seconds(10)
        /// What to write into the history.
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
        /// Caught up and not promoted: somebody has to promote it, for this reason.
        case heldBack(VersionID, because: String)
        /// Caught up and not promoted: a gate refuses it.
        case refused(Judgement)
        /// Promoted though it has the rows of the version before: its definition need not have changed.
        case identical(Judgement)
        /// A view cannot be worked out; the others are worked on.
        case invalid(InvalidView)
        /// The view's code has crashed before, at these events: the version applies them by itself, in
        /// small pieces.
        case suspected(VersionID, CrashStamp)
        /// The work on the version has ended, and its lease: it has retired, or somebody has dropped it.
        case released(VersionID, because: String)
        /// The version has stopped for good; the others are worked on.
        case failed(VersionID, KappaError)
        /// The version has stopped for a reason that passes, and is tried again after so many
        /// milliseconds, at first.
        case retrying(VersionID, KappaError, milliseconds: Int)
        /// The code of the version's view does not return. All that is worked on with it waits.
        case slow(VersionID, because: String)
        /// A version that was tried again, or stood still, works.
        case recovered(VersionID)
        /// A version has its first dead letter, or its first since this runner took it.
        case deadLetter(VersionID, DeadLetter)
        /// A version's write-ahead log grows, because somebody reads an old state of its file. Once, until it
        /// is small again.
        case logGrows(VersionID, because: String)
        /// A snapshot could not be made; the version goes on.
        case snapshotFailed(VersionID, KappaError)
    }

    let folder: DataFolder
    let definitions: [ViewDefinition]
    /// Views that it has to do without.
    private let invalid: [InvalidView]
    let options: Options
    let gatekeeper: any Gatekeeper
    private let report: @Sendable (Report) -> Void
    let state: Monitor<State>
    /// Whether something has failed that could not be written down yet: looked at with each commit.
    let hasUnsaved = Atomic(false)
    let watch: SlowCodeWatch

    struct State {
        var isStopped = false
        /// How to stop the scan of each group at work.
        var stoppers: [Int: @Sendable () -> Void] = [:]
        /// How far each group is.
        var offsets: [Int: Offset] = [:]
        var error: (any Error)?
        /// How many groups are at work, and how many there were.
        var active = 0
        /// The groups that may be about to crash as they did before.
        var recovering: Set<Int> = []
        var started = 0
        /// One for each definition.
        var posts: [RunnerPost]
        /// Whether something has changed that may leave a version to be taken.
        var mustLook = false
        /// The thread that watches for slow code, from when there is any.
        var watching: WorkerThread?
        /// What has failed, and could not be written down yet.
        var unsaved: [Failure] = []

        /// Whether there is nothing to do any more, and nothing to wait for.
        var isOver: Bool { posts.allSatisfy(\.isLost) && active == 0 }
    }

    /// What is to be written down of a version that has stopped.
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
        /// Whether it is what is left of a rebuild.
        var isRebuild: Bool
        /// Whether it has stopped before, for a reason that passes.
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
            // Another look tells of it again, should the catalog be busy.
            try? Catalog(folder).noteSlow(finding.id, finding.reason)
        }
    }

    /// How far the versions on their way are, and how far the log is.
    package var progress: (offset: Offset, end: Offset) {
        let end = options.end ?? (try? LogReader(folder.log).durableEnd()) ?? .zero
        let offset = state.withLock { state in
            state.offsets.values.min() ?? (state.started == 0 ? .zero : end)
        }
        return (offset, end)
    }

    /// Ends ``run()`` at a commit; from any thread.
    package func stop() {
        let stoppers = state.withLock { state in
            state.isStopped = true
            return Array(state.stoppers.values)
        }
        for stop in stoppers { stop() }
    }

    package var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Why a view is not kept current, if one is not: it has failed for good, or is tried again, or cannot be
    /// worked out.
    package var unresolved: KappaError? {
        state.withLock { state in state.posts.lazy.compactMap(\.unresolved).first }
            ?? invalid.first?.error
    }

    /// Works until everything is caught up, or, where it follows, until ``stop()`` or until nothing is left
    /// that it could keep current. No lease is held when it returns.
    /// - Throws: `.heldElsewhere` if it does not follow, and other processes materialize all of the
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
        if let error = state.withLock({ $0.error }) { throw error }
    }

    // MARK: Groups

    /// Has versions worked on: those that are live by one group, the others by another.
    func start(_ versions: [Taken], _ catalog: Catalog, memoryBytes: Int) throws {
        let live = Set(try catalog.entries().filter(\.isLive).map(\.id))
        let suspects = versions.filter { CrashRecovery.isSuspect($0.id, in: folder) }
        let sound = versions.filter { version in !suspects.contains { $0.id == version.id } }
        let parts = [
            sound.filter { live.contains($0.id) }, sound.filter { !live.contains($0.id) },
        ].filter { !$0.isEmpty }
        let share = memoryBytes / max(1, parts.count + suspects.count)
        for part in parts { start(group: part, memoryBytes: share, catalog) }
        // Each by itself, and one after another: nobody else waits for it.
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

    /// Starts to watch for slow code, once. Where no thread is left for it, the work is done without.
    private func startWatch() {
        state.withLock { state in
            if state.watching != nil { return }
            state.watching = try? WorkerThread("kappa-watch") { [watch] in watch.run() }
        }
    }

    /// A group has ended: nothing that it needed is kept.
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

    /// A group is past what it crashed on before, if it did.
    func pastCrash(_ number: Int) {
        state.withLock { _ = $0.recovering.remove(number) }
    }

    func tell(_ what: Report) { report(what) }

    /// Tells how far a group is; nil where it has ended.
    func note(_ number: Int, at offset: Offset?) {
        state.withLock { $0.offsets[number] = offset }
    }

    /// Registers how to stop a scan; false if the runner is stopped already.
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
