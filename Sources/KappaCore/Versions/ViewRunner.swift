import Synchronization

/// Builds, follows and promotes the versions that one build of the program defines.
///
/// Live versions share one scan of the log, and versions on their way share another, each on a thread
/// of its own: a rebuild never makes a live view wait.
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
        /// What to write into the history.
        package var reason = "caught up"

        package init() {}
    }

    /// What a runner tells of while it works. Called on the runner's threads.
    package enum Report: Sendable {
        case started(VersionID, VersionAction)
        case caughtUp(VersionID, Offset)
        case promoted(Catalog.Switch)
        /// The version has retired: another one is live, and this process lets go of it.
        case letGo(VersionID)
        case failed(VersionID, KappaError)
    }

    private let folder: DataFolder
    private let definitions: [ViewDefinition]
    private let options: Options
    private let report: @Sendable (Report) -> Void
    private let state = Monitor(State())

    private struct State {
        var isStopped = false
        var stoppers: [Int: @Sendable () -> Void] = [:]
        var building = Offset.zero
        var error: (any Error)?
    }

    package init(
        _ folder: DataFolder, _ views: ViewSet, options: Options = Options(),
        report: @escaping @Sendable (Report) -> Void = { _ in }
    ) throws(KappaError) {
        self.folder = folder
        self.options = options
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
        return (state.withLock { $0.building }, end)
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

    /// Works until everything is caught up (or for ever, where it follows), or until ``stop()``.
    package func run() throws {
        if !definitions.isEmpty { _ = try LogWriter(folder.log) }
        let catalog = try Catalog(folder)
        var live: [(VersionID, ViewDefinition, Lease)] = []
        var others: [(VersionID, ViewDefinition, Lease)] = []
        for definition in definitions {
            let (id, action) = try choose(definition, catalog)
            let lease = try Lease(id, in: folder)
            report(.started(id, action))
            if try catalog.live(id.view) == id.number {
                live.append((id, definition, lease))
            } else {
                others.append((id, definition, lease))
            }
        }
        let groups = [live, others].filter { !$0.isEmpty }
        var works: [RunnerGroup] = []
        for (number, members) in groups.enumerated() {
            works.append(
                try RunnerGroup(
                    number, members, folder: folder, options: options, runner: self,
                    memoryBytes: options.memoryBytes / groups.count))
        }
        let threads = works.dropFirst().map { work in
            WorkerThread("kappa-apply") { self.perform(work) }
        }
        if let first = works.first { perform(first) }
        for thread in threads { thread.join() }
        if let error = state.withLock({ $0.error }) { throw error }
    }

    private func perform(_ work: RunnerGroup) {
        do { try work.run() } catch {
            state.withLock { $0.error = $0.error ?? error }
            stop()
        }
    }

    /// The version to work on: the one of this definition, or a new one.
    private func choose(
        _ definition: ViewDefinition, _ catalog: Catalog
    ) throws -> (VersionID, VersionAction) {
        if !options.rebuilds,
            let known = try VersionAction.known(definition, catalog)
        {
            return known
        }
        return (
            try catalog.create(view: definition.name, digest: definition.digest), .build
        )
    }

    // MARK: For the groups

    func tell(_ what: Report) { report(what) }

    func setBuilding(_ offset: Offset) { state.withLock { $0.building = offset } }

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
            $0.digest == definition.digest && $0.state != .failed
        }
        guard let entry = same.first(where: \.isLive) ?? same.last else { return nil }
        return (entry.id, entry.isLive ? .keep : .resume)
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
