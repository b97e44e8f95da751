/// What a runner does for one view, and what it waits for.
///
/// A runner that follows keeps a post for as long as it runs, and takes over any version of the view that
/// becomes free, or live again after a rollback.
struct RunnerPost {
    let definition: ViewDefinition
    /// The versions that it materializes now.
    var working: Set<VersionID> = []
    /// Versions that have failed for good in this runner, or that somebody has dropped, each with the number
    /// of the view's last switch at that time.
    private var givenUp: [VersionID: Int64] = [:]
    /// Versions that stopped for a transient reason.
    var retries: [VersionID: Retry] = [:]
    /// Why the last version failed for good; nil if there is another one to work on.
    var failure: KappaError?
    /// The versions that were already reported as held by another process.
    var heldElsewhere: Set<VersionID> = []

    init(_ definition: ViewDefinition) { self.definition = definition }

    /// When and why a version is retried.
    struct Retry {
        /// When it is retried.
        var time: ContinuousClock.Instant
        var delay: Duration
        var error: KappaError

        static let shortest = Duration.milliseconds(100)
        static let longest = Duration.seconds(10)
    }

    /// Whether nothing is left to do for the view.
    var isLost: Bool { failure != nil && working.isEmpty && retries.isEmpty }

    /// Why a version is not kept current, if one is not. Another process keeps the versions that it holds
    /// current.
    var unresolved: KappaError? {
        failure ?? retries.first { !heldElsewhere.contains($0.key) }?.value.error
    }

    /// Records that a version has stopped for a transient reason.
    /// - Returns: Whether that is news, and the delay until it is retried.
    mutating func retryLater(_ id: VersionID, _ error: KappaError) -> (
        isNews: Bool, delay: Duration
    ) {
        working.remove(id)
        let before = retries[id]
        let delay = before.map { min($0.delay * 2, Retry.longest) } ?? Retry.shortest
        retries[id] = Retry(time: .now + delay, delay: delay, error: error)
        return (before?.error != error, delay)
    }

    /// Forgets the retries of versions that are no longer targets, such as one that was live and has retired.
    /// - Parameter before: This post as it was when its targets were looked up.
    mutating func keepRetries(of targets: [VersionTarget], before: RunnerPost) {
        // A version whose file is gone is being replaced by a new one: keep its retry until that exists.
        if targets.contains(where: { $0.id == nil }) { return }
        for id in before.retries.keys where !targets.contains(where: { $0.id == id }) {
            retries[id] = nil
        }
    }

    mutating func giveUp(_ id: VersionID, _ error: KappaError?, lastSwitch: Int64) {
        working.remove(id)
        retries[id] = nil
        givenUp[id] = lastSwitch
        failure = error ?? failure
    }

    /// Whether a version is not to be tried again. It is tried again if another version was live since and
    /// somebody went back to this one, so that its status shows again what is wrong with it.
    func hasGivenUp(_ entry: VersionEntry, lastSwitch: Int64) -> Bool {
        guard let then = givenUp[entry.id] else { return false }
        return !entry.isLive || then == lastSwitch
    }

    /// Records that a version was taken.
    mutating func begin(_ id: VersionID) {
        working.insert(id)
        heldElsewhere.remove(id)
        failure = nil
    }

    /// Whether a version may be tried now.
    func isDue(_ id: VersionID) -> Bool { retries[id].map { $0.time <= .now } ?? true }
}

extension KappaError {
    /// Whether the error is transient, so that a retry may well succeed: a full disk, a lock, a limit on open
    /// files, a disk that could not be read. A definition's error or a damaged file is not.
    package var passes: Bool {
        switch code {
        case .inputOutput, .heldElsewhere, .cannotCreate, .notPermitted, .unreachable: true
        default: false
        }
    }
}
