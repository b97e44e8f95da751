import Glibc

/// The rows of a version as they were after the log's first events, kept beside it.
///
/// `kappa plan` compares a changed definition with them before anything is built: it replays that definition
/// over the same few events. The build that has the version's definition makes the sample, because later
/// builds no longer have it.
package struct VersionSample {
    /// After how many events the sample is taken. A version that is not past them is its own sample.
    package static let usualEvents = 100_000

    /// The path of a version's sample, if there is one.
    package static func path(of id: VersionID, in folder: DataFolder) -> String? {
        let path = folder.sample(id)
        return access(path, F_OK) == 0 ? path : nil
    }

    /// Makes the samples of versions that lack them, in one scan.
    /// - Parameter begin: Receives the function that stops the scan; returns false if the scan is no longer
    ///   wanted.
    static func make(
        _ versions: [(id: VersionID, definition: ViewDefinition)], after events: Int,
        in folder: DataFolder, begin: (_ stopper: @escaping @Sendable () -> Void) -> Bool
    ) throws {
        let plan = ExtractionPlan()
        let end = try LogReader(folder.log).firstOffset + events
        let materializers = try versions.map { id, definition in
            let store = try VersionStore(
                at: folder.sample(id), view: id.view, number: id.number.rawValue,
                digest: definition.digest, tables: definition.tablesWithoutIndex)
            return try VersionMaterializer(
                definition, store: store, plan: plan, budgetBytes: budgetBytes / versions.count,
                crashMark: CrashMark(at: folder.sampleCrashMark(id), for: "\(id)"))
        }
        let late = materializers.filter { $0.offset < end }
        if late.isEmpty { return }
        let scan = try Scan(folder.log, late, plan: plan, options: .init(end: end))
        if begin(scan.stopper) { try scan.run() }
    }

    /// Whether the view's code crashed when this program made the sample. There will be no sample then.
    static func hasCrashed(_ id: VersionID, in folder: DataFolder) -> Bool {
        CrashStamp.read(folder.sampleCrashMark(id))?.stamp?.isOfThisProgram == true
    }

    private static let budgetBytes = 1 << 28
}

/// Makes samples on its own thread. The thread ends before the leases of their versions do; the next holder
/// of a lease makes what is missing.
final class Sampler: Sendable {
    let ids: Set<VersionID>
    private let state: Monitor<State>
    /// Nil if no thread could be started: then there are no samples.
    private let thread: WorkerThread?

    private struct State {
        var isStopped = false
        var stopper: (@Sendable () -> Void)?
    }

    init(
        _ versions: [(id: VersionID, definition: ViewDefinition)], after events: Int,
        in folder: DataFolder
    ) {
        ids = Set(versions.map(\.id))
        let state = Monitor(State())
        self.state = state
        // Only the report of `kappa plan` depends on it.
        thread = try? WorkerThread("kappa-sample") {
            try? VersionSample.make(versions, after: events, in: folder) { stopper in
                state.withLock { state in
                    state.stopper = stopper
                    return !state.isStopped
                }
            }
            state.withLock { $0.stopper = nil }
        }
    }

    var isDone: Bool { thread?.isFinished ?? true }

    /// Waits until the samples are made.
    func wait() { thread?.join() }

    /// Ends it at a commit, and waits for that.
    func stop() {
        let stopper = state.withLock { state in
            state.isStopped = true
            return state.stopper
        }
        stopper?()
        thread?.join()
    }
}
