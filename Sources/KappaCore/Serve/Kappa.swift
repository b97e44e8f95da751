import CKappa

/// A log and the views over it, in one folder: kappa embedded in your own program.
///
/// ```swift
/// let kappa = try await Kappa.open("data", views: views)
/// let running = Task { try await kappa.run() }
/// try await kappa.append(OrderPlaced(orderID: "o-1", total: 12))
/// let order = try await kappa.row(of: orders, key: "o-1")
/// ```
/// Blocking work runs on its own threads, never on Swift's cooperative pool.
public final class Kappa: Sendable {
    /// The data folder.
    public let folder: String
    package let data: DataFolder
    package let views: ViewSet
    let workedOut: WorkedOutViews
    var definitions: [ViewDefinition] { workedOut.sound }
    let appends: AppendQueue
    let readers: LiveReaders
    private let followers: Followers
    let waiters: PositionWaiters
    private let life = Monitor(Life())

    /// Threads for reading one row, for reading all rows of a view, and for longer work. They are separate so
    /// that short calls do not wait for long ones.
    let lookUps = CallThreads("kappa-read", limit: max(8, cores))
    let scans = CallThreads("kappa-rows", limit: max(4, cores / 2))
    private let works = CallThreads("kappa-work", limit: max(4, cores / 2))

    /// The row counts that ``status()`` has taken.
    let sizes = Monitor(VersionSizesCache())

    private static let cores = Int(kappa_core_count())

    struct Life {
        var isClosed = false
        var running: [ViewRunner] = []
        /// Calls in progress, except those of ``Kappa/run()``.
        var calls = 0
        /// The calls of ``Kappa/close()`` that wait for all of these to end.
        var closers: [CheckedContinuation<Void, Never>] = []

        mutating func takeClosers() -> [CheckedContinuation<Void, Never>] {
            guard running.isEmpty, calls == 0 else { return [] }
            defer { closers = [] }
            return closers
        }
    }

    private init(_ folder: String, _ views: ViewSet) throws {
        try DataFolder.check(folder)
        self.folder = folder
        self.views = views
        data = DataFolder(folder)
        try? Folder.make(folder)
        workedOut = views.workedOut(marksFolder: folder)
        LearningMark.removeOthers(Folder.names(in: folder), in: folder, than: views.names)
        try LogLoss.check(data)
        readers = LiveReaders(data, workedOut)
        followers = Followers(data, defined: workedOut)
        waiters = PositionWaiters(readers, folder: folder)
        appends = AppendQueue(try LogWriter(data.log))
        _ = try Catalog(data)
    }

    /// Opens a data folder, creates it if it does not exist, and recovers it after a crash.
    ///
    /// An invalid view does not affect the others: ``run(observer:)`` skips it, and calls about it throw the
    /// error that makes it invalid. The rows of its live version can still be read.
    /// - Throws: ``KappaError`` if the folder cannot be used; `.damaged` if a version has applied events that
    ///   the log no longer has.
    public static func open(_ folder: String, views: ViewSet) async throws -> Kappa {
        try await onThread { try Kappa(folder, views) }
    }

    // MARK: Running

    /// Builds new and changed views, promotes them when they have caught up, and keeps live views current
    /// until the task is cancelled or ``close()`` is called. It then commits all that it has applied and
    /// returns.
    ///
    /// It takes over the views of another process, or of another call of this method, when that one ends:
    /// of two servers with the same views, the second stands by. A view that stops for a transient reason,
    /// such as a full disk, is retried. A view that stops for good does not stop the others: the observer is
    /// told, and followers of that view and ``position(of:)`` throw.
    /// - Parameter observer: Called for each report, on the threads that do the work. They wait for it, so it
    ///   should return quickly and pass longer work on.
    /// - Throws: ``KappaError`` if a view is no longer kept current: at once if nothing else is left to do,
    ///   otherwise when the call ends.
    public func run(
        observer: @escaping @Sendable (RunnerReport) -> Void = { _ in }
    ) async throws {
        var options = ViewRunner.Options()
        options.follows = true
        options.keepVersions = 1
        try await run(options, observer)
    }

    /// Brings all views up to the log's end, promotes them, and returns.
    /// - Throws: ``KappaError``; `.heldElsewhere` if another process, or ``run()``, materializes all of the
    ///   views; `CancellationError` if the task is cancelled first.
    public func catchUp() async throws {
        try enter()
        defer { leave() }
        var options = ViewRunner.Options()
        options.follows = false
        try await run(options) { _ in }
        try Task.checkCancellation()
    }

    private func run(
        _ options: ViewRunner.Options, _ observer: @escaping @Sendable (RunnerReport) -> Void
    ) async throws {
        var options = options
        options.commits = waiters.hooks
        let runner = try ViewRunner(data, views, options: options) { observer(RunnerReport($0)) }
        let isOpen = life.withLock { life in
            if !life.isClosed { life.running.append(runner) }
            return !life.isClosed
        }
        guard isOpen else { return }
        defer { leave { life in life.running.removeAll { $0 === runner } } }
        try await withTaskCancellationHandler {
            try await Self.onThread { try runner.run() }
        } onCancel: {
            runner.stop()
        }
        if let failure = runner.unresolved { throw failure }
    }

    /// Ends ``run()`` at a commit, and the change streams after what it has committed. It returns when calls
    /// in progress have ended and all files are closed; later calls throw. Everything acknowledged is durable
    /// whether this is called or not. Calling it again does nothing.
    public func close() async {
        let running = life.withLock { life in
            life.isClosed = true
            return life.running
        }
        for runner in running { runner.stop() }
        waiters.close()
        await withCheckedContinuation { closer in
            leave { $0.closers.append(closer) }
        }
        await followers.close()
        appends.close()
        for threads in [lookUps, scans, works] { threads.close() }
        readers.close()
    }

    var isClosed: Bool { life.withLock { $0.isClosed } }

    /// Begins a call: ``close()`` waits until ``leave(_:)``.
    func enter() throws(KappaError) {
        let isOpen = life.withLock { life in
            if !life.isClosed { life.calls += 1 }
            return !life.isClosed
        }
        if !isOpen { throw KappaError.closed(folder) }
    }

    func leave(_ change: (inout Life) -> Void = { $0.calls -= 1 }) {
        let closers = life.withLock { life in
            change(&life)
            return life.takeClosers()
        }
        for closer in closers { closer.resume() }
    }

    /// Runs a call that may take long on one of the threads for such work.
    func working<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try enter()
        defer { leave() }
        return try await works.perform(body)
    }

    // MARK: Following

    /// The changes of a view's rows as they commit, beginning with the present rows (as inserts). A promotion
    /// arrives as its own change and then as the differences between the two versions. The stream ends with
    /// ``close()``.
    ///
    /// One task iterates it. For a slow reader about a thousand changes are held in memory, and at most a
    /// quarter of a megabyte; further ones wait in the version's file, which keeps the last 200,000. A reader
    /// that lags further gets ``KappaError``, `.notFound`, as does a reader of a view that neither this
    /// `Kappa` nor the folder has. If a version has stopped for good, `.inputOutput` follows its last change.
    /// While the present rows are still arriving, changes to rows that have arrived may come between them.
    public func changes(of view: some AnyView) -> ChangeStream {
        followers.follow(view.name, from: .rows)
    }

    /// The changes of a view's rows after a change whose ``Change/id`` you have stored, in this process or an
    /// earlier one. If the view can no longer be followed from there, the stream begins with one change
    /// `reset`, and all present rows follow as inserts.
    ///
    /// Whoever writes each row under its table and key, deletes the deleted ones, forgets all rows at a
    /// `reset`, and now and then stores the last id ends up with the view's rows, however often it stops and
    /// resumes: changes that it has received after the stored one come again, or others that lead to the
    /// same rows. (Without a stored id, it begins with no rows and ``changes(of:)``.) An id is good for as
    /// long as the 200,000 changes after it are kept, and across one promotion or rollback; after more of
    /// them, and if the version was dropped or the derived files were deleted and built again, a `reset`
    /// comes. Everything else is as with ``changes(of:)``.
    public func changes(of view: some AnyView, from id: ChangeID) -> ChangeStream {
        followers.follow(view.name, from: .after(id))
    }

    // MARK: Threads

    /// Runs `body`, which may take as long as the program runs, on a new thread.
    static func onThread<R: Sendable>(
        _ body: @escaping @Sendable () throws -> R
    ) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            do throws(KappaError) {
                _ = try WorkerThread("kappa-run") {
                    continuation.resume(with: Result { try body() })
                }
            } catch { continuation.resume(throwing: error) }
        }
    }
}
