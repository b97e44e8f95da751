extension Kappa {
    /// Keeps a sink equal to a view's live version, until the task is cancelled or, if so asked, until the
    /// sink has all that the live version has. It goes on from the sink's position, and writes all rows anew
    /// where that is not possible.
    ///
    /// Each of the sink's transactions ends where a commit of the version ends; a promotion, and the first load, are
    /// one transaction. The sink is used on a thread of its own. What fails and may pass is tried again, after
    /// 0.1 s at first, later every 30 s; see ``ChangeSink``.
    /// - Parameters:
    ///   - open: Opens the sink; called again after an error.
    ///   - untilCaughtUp: Whether to return once the sink has caught up.
    ///   - observer: Called for each report, on the thread that does the work: it should return quickly.
    /// - Throws: ``KappaError``: what will not pass by itself, and with `untilCaughtUp` also what has not
    ///   passed after five tries; `.notFound` if neither this `Kappa` nor the folder has the view, or if it
    ///   is to catch up and there is no live version. Cancelled, it returns after the last commit.
    public func publish(
        _ view: some AnyView,
        to open: @escaping @Sendable () throws(KappaError) -> any ChangeSink,
        untilCaughtUp: Bool = false,
        observer: @escaping @Sendable (PublicationReport) -> Void = { _ in }
    ) async throws {
        try enter()
        defer { leave() }
        let (name, data, defined) = (view.name, data, workedOut.names)
        let isStopped = Monitor(false)
        try await withTaskCancellationHandler {
            try await Self.onThread { [weak self] in
                let catalog = try Catalog(data)
                try catalog.requireView(name, among: defined)
                try Publication(name, catalog, to: open).run(
                    untilCaughtUp: untilCaughtUp,
                    isStopped: { isStopped.withLock { $0 } || self?.isClosed != false },
                    observer: observer)
            }
        } onCancel: {
            isStopped.withLock { $0 = true }
        }
    }
}
