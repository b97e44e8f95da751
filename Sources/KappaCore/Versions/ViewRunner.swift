import Synchronization

/// Builds, follows and promotes the versions that one build of the program defines.
///
/// Live versions share one scan of the log, and versions on their way share another, each on a thread
/// of its own: a rebuild never makes a live view wait. Versions that another process materializes are
/// left to it; a runner that follows takes them over when that process ends.
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
        /// What to write into the history.
        package var reason = "caught up"

        package init() {}
    }

    /// What a runner tells of while it works. Called on the runner's threads.
    package enum Report: Sendable {
        case started(VersionID, VersionAction)
        /// Another process materializes the version.
        case heldElsewhere(VersionID, KappaError)
        case caughtUp(VersionID, Offset)
        case promoted(Catalog.Switch)
        /// Caught up and not promoted: somebody has to promote it, for this reason.
        case heldBack(VersionID, because: String)
        /// Caught up and not promoted: a gate refuses it.
        case refused(Judgement)
        /// Promoted though it has the rows of the version before: its definition need not have changed.
        case identical(Judgement)
        /// The version has retired: another one is live, and this process lets go of it.
        case letGo(VersionID)
        case failed(VersionID, KappaError)
        /// A version has its first dead letter, or its first since this runner took it.
        case deadLetter(VersionID, DeadLetter)
        /// A snapshot could not be made; the version goes on.
        case snapshotFailed(VersionID, KappaError)
    }

    private let folder: DataFolder
    private let definitions: [ViewDefinition]
    private let options: Options
    let gatekeeper: any Gatekeeper
    private let report: @Sendable (Report) -> Void
    private let state = Monitor(State())

    private struct State {
        var isStopped = false
        var stoppers: [Int: @Sendable () -> Void] = [:]
        /// How far each group is.
        var offsets: [Int: Offset] = [:]
        var error: (any Error)?
        /// How many groups are at work, and how many there were.
        var active = 0
        var started = 0
        /// Views whose version another process materializes.
        var waiting: [ViewDefinition] = []
    }

    /// A version, its definition and the right to materialize it.
    typealias Taken = (id: VersionID, definition: ViewDefinition, lease: Lease)

    package init(
        _ folder: DataFolder, _ views: ViewSet, options: Options, gatekeeper: any Gatekeeper,
        report: @escaping @Sendable (Report) -> Void
    ) throws(KappaError) {
        self.folder = folder
        self.options = options
        self.gatekeeper = gatekeeper
        self.report = report
        let all = try views.definitions()
        for name in options.views ?? [] where !all.contains(where: { $0.name == name }) {
            throw KappaError.noSuchView(name, among: all.map(\.name))
        }
        definitions = all.filter { options.views?.contains($0.name) ?? true }
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

    /// Whether it would take over something that another process holds.
    package var isWaiting: Bool { state.withLock { !$0.waiting.isEmpty } }

    /// Works until everything is caught up (or for ever, where it follows), or until ``stop()``.
    /// - Throws: `.heldElsewhere` if other processes materialize all of the versions.
    package func run() throws {
        if !definitions.isEmpty { _ = try LogWriter(folder.log) }
        let catalog = try Catalog(folder)
        var live: [Taken] = []
        var others: [Taken] = []
        var held: KappaError?
        for definition in definitions {
            switch try take(definition, catalog) {
            case .success(let taken):
                if try catalog.live(taken.id.view) == taken.id.number {
                    live.append(taken)
                } else {
                    others.append(taken)
                }
            case .failure(let error):
                held = held ?? error
                wait(for: definition)
            }
        }
        if live.isEmpty, others.isEmpty, let held { throw held }
        do {
            let groups = [live, others].filter { !$0.isEmpty }
            for group in groups {
                try start(group, memoryBytes: options.memoryBytes / groups.count)
            }
            try supervise(catalog)
        } catch { fail(error) }
        state.wait { $0.active == 0 ? () : nil }
        gatekeeper.finish()
        if let error = state.withLock({ $0.error }) { throw error }
    }

    /// Takes over what other processes let go of, until nothing is left to do.
    private func supervise(_ catalog: Catalog) throws {
        while true {
            let next: [ViewDefinition] = state.wait { state in
                let waiting = options.follows && !state.isStopped ? state.waiting : []
                return waiting.isEmpty && state.active > 0 ? nil : waiting
            }
            if next.isEmpty { return }
            for definition in next { try takeOver(definition, catalog) }
            Pause.forALook()
        }
    }

    private func takeOver(_ definition: ViewDefinition, _ catalog: Catalog) throws {
        let known = try VersionAction.known(definition, catalog)
        if let id = known?.0, Lease.holder(of: id, in: folder) != nil { return }
        let isRetired = try catalog.entries(of: definition.name).contains {
            $0.id == known?.0 && $0.state == .retired
        }
        // Another build has replaced the version meanwhile: it is not this one's any more.
        if isRetired { return stopWaiting(for: definition) }
        guard case .success(let taken) = try take(definition, catalog) else { return }
        // Before it starts: it may be let go of at once, and waited for again.
        stopWaiting(for: definition)
        try start([taken], memoryBytes: options.memoryBytes / definitions.count)
    }

    private func stopWaiting(for definition: ViewDefinition) {
        state.withLock { state in state.waiting.removeAll { $0.name == definition.name } }
    }

    /// Takes the lease of the version to work on; a failure is that another process holds it.
    private func take(
        _ definition: ViewDefinition, _ catalog: Catalog
    ) throws -> Result<Taken, KappaError> {
        while true {
            let (id, action) = try VersionAction.choose(
                definition, catalog, alwaysBuilds: options.rebuilds)
            let lease: Lease
            do throws(KappaError) { lease = try Lease(id, in: folder) } catch {
                guard error.code == .heldElsewhere else { throw error }
                let isNew = !state.withLock { state in
                    state.waiting.contains { $0.name == definition.name }
                }
                if isNew { report(.heldElsewhere(id, error)) }
                return .failure(error)
            }
            // It may have been dropped before the lease was taken: then there is another choice.
            if try catalog.entries(of: id.view).contains(where: { $0.id == id }) {
                report(.started(id, action))
                return .success((id, definition, lease))
            }
        }
    }

    private func start(_ versions: [Taken], memoryBytes: Int) throws {
        let number = state.withLock { state in
            state.started += 1
            return state.started - 1
        }
        let group = try RunnerGroup(
            number, versions, folder: folder, options: options, runner: self,
            memoryBytes: memoryBytes)
        state.withLock { $0.active += 1 }
        do {
            _ = try WorkerThread("kappa-apply") {
                do { try group.run() } catch { self.fail(error) }
                group.end()
                self.state.withLock { $0.active -= 1 }
            }
        } catch {
            group.end()
            state.withLock { $0.active -= 1 }
            throw error
        }
    }

    private func fail(_ error: any Error) {
        state.withLock { $0.error = $0.error ?? error }
        stop()
    }

    // MARK: For the groups

    func tell(_ what: Report) { report(what) }

    /// Has the live version of a view taken over when its present holder ends.
    func wait(for definition: ViewDefinition) {
        state.withLock { $0.waiting.append(definition) }
    }

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

/// What is to be done for a view.
package enum VersionAction: String, Sendable {
    /// A new version from offset zero.
    case build
    /// A version on its way goes on from its checkpoint.
    case resume
    /// The live version is of this definition and goes on.
    case keep

    /// The version of a definition that is there already.
    package static func known(
        _ definition: ViewDefinition, _ catalog: Catalog
    ) throws(KappaError) -> (VersionID, VersionAction)? {
        let same = try catalog.entries(of: definition.name).filter {
            $0.digest == definition.digest && $0.state != .failed && !catalog.hasLostFile($0)
        }
        guard let entry = same.first(where: \.isLive) ?? same.last else { return nil }
        return (entry.id, entry.isLive ? .keep : .resume)
    }

    /// The version of a definition to work on: the one that is there already, or a new one.
    static func choose(
        _ definition: ViewDefinition, _ catalog: Catalog, alwaysBuilds: Bool
    ) throws -> (VersionID, VersionAction) {
        // In one transaction, so that two processes never make one each.
        try catalog.transaction {
            for entry in try catalog.entries(of: definition.name) where catalog.hasLostFile(entry) {
                try catalog.setState(entry.id, .failed, reason: "its file is gone")
            }
            if !alwaysBuilds, let known = try known(definition, catalog) { return known }
            let id = try catalog.enter(view: definition.name, digest: definition.digest)
            return (id, .build)
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
