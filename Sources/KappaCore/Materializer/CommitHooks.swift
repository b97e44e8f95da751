/// What connects commits with those in this process who wait for them.
package struct CommitHooks: Sendable {
    /// Called when the position of a live version has advanced for readers, on the thread that commits.
    package var didCommit: @Sendable () -> Void = {}
    /// Whether somebody waits, so that commits should come at once.
    package var isAwaited: @Sendable () -> Bool = { false }

    /// Nobody waits.
    package init() {}
}
