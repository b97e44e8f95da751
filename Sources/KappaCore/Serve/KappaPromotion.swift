/// A version that has become live.
public struct Promoted: Hashable, Sendable {
    /// The version that readers see from now on.
    public var version: VersionID
    /// The version that they saw before; nil if there was none, and the same version if it was live already.
    public var replaced: VersionID?
    /// The offset at which readers switched.
    public var position: Offset

    package init(_ change: Catalog.Switch) {
        version = VersionID(change.view, change.to)
        replaced = change.from.map { VersionID(change.view, $0) }
        position = change.position
    }
}

/// Promoting by hand the versions that ``run()`` leaves to a person: those that wait for
/// ``Gate/manualApproval``, that a gate has refused, or that somebody rolled back from.
extension Kappa {
    /// Makes the newest version of each view live, in one step: all of them or none.
    ///
    /// Versions are first brought to the log's end, by the process that materializes them or otherwise by
    /// this call. Each must be at or past what readers have seen, must have applied exactly the events of the
    /// log, and must pass the gates of its view and those given here. Calling this is the approval:
    /// ``Gate/manualApproval`` passes.
    /// - Returns: What was switched, in the order of the views.
    /// - Throws: ``KappaError``: `.refused` if a gate refuses, with its figures as the reason;
    ///   `.notFound` if a view has no version. `CancellationError` if the task is cancelled first.
    @discardableResult
    public func promote(_ views: any AnyView..., gates: [Gate] = []) async throws -> [Promoted] {
        try await promote(views.map { VersionReference($0.name, nil) }, gates: gates)
    }

    /// Makes versions live, in one step: all of them or none. See ``promote(_:gates:)``.
    /// - Parameters:
    ///   - versions: Such as `VersionReference("orders@3")`; without a number, the view's newest version.
    ///   - gates: Gates for all of them, in addition to those of their views.
    ///   - passesOverGates: Promotes whatever the gates say; the history records that.
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
