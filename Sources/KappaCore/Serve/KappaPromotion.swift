/// A version that has become live.
public struct Promoted: Hashable, Sendable {
    /// The version that readers see from now on.
    public var version: VersionID
    /// The one that they saw before; nil where there was none, and the same where it was live already.
    public var replaced: VersionID?
    /// The offset at which readers went over.
    public var position: Offset

    package init(_ change: Catalog.Switch) {
        version = VersionID(change.view, change.to)
        replaced = change.from.map { VersionID(change.view, $0) }
        position = change.position
    }
}

/// Promoting by hand: what ``run()`` leaves to a person, such as a version that waits for
/// ``Gate/manualApproval``, that a gate has refused, or from which somebody rolled back.
extension Kappa {
    /// Makes the newest version of each view live, all in one step or none.
    ///
    /// Versions are brought to the log's end first, by whoever keeps them current or else here. Each must
    /// be at or past what readers have seen, must have applied exactly the events of the log, and must pass
    /// the gates of its view and those given here. Who calls this approves: ``Gate/manualApproval`` passes.
    /// - Returns: What was switched, in the order of the views.
    /// - Throws: ``KappaError``: `.refused` where a gate refuses, with its figures as the reason;
    ///   `.notFound` where a view has no version. `CancellationError` where the task is cancelled before.
    @discardableResult
    public func promote(_ views: any AnyView..., gates: [Gate] = []) async throws -> [Promoted] {
        try await promote(views.map { VersionReference($0.name, nil) }, gates: gates)
    }

    /// Makes versions live, all in one step or none; see ``promote(_:gates:)``.
    /// - Parameters:
    ///   - versions: Such as `VersionReference("orders@3")`; without a number the newest of the view.
    ///   - gates: Gates for all of them, beside those of their views.
    ///   - passesOverGates: Promotes whatever gates would say; the history tells.
    @discardableResult
    public func promote(
        _ versions: [VersionReference], gates: [Gate] = [], passesOverGates: Bool = false
    ) async throws -> [Promoted] {
        let isCancelled = Monitor(false)
        let promotion = NamedPromotion(
            data, views, gates: gates, isForced: passesOverGates,
            check: { if isCancelled.withLock({ $0 }) { throw CancellationError() } })
        return try await withTaskCancellationHandler {
            try await working { try promotion.run(versions).map { Promoted($0) } }
        } onCancel: {
            isCancelled.withLock { $0 = true }
        }
    }
}
