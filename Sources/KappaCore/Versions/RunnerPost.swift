/// What a runner does for one view, and what it waits for.
///
/// A runner that follows keeps a post for as long as it runs: whatever becomes free there, or live again
/// after a rollback, is taken over.
struct RunnerPost {
    let definition: ViewDefinition
    /// The versions that it materializes now.
    var working: Set<VersionID> = []
    /// Versions that have failed for good here, or that somebody has dropped, each with the view's last
    /// switch then.
    private var givenUp: [VersionID: Int64] = [:]
    /// Versions that stopped for a reason that passes.
    var retries: [VersionID: Retry] = [:]
    /// Why the last of them has failed for good; nil where there is another version to work on.
    var failure: KappaError?
    /// Of which versions it was said that another process holds them.
    var heldElsewhere: Set<VersionID> = []

    init(_ definition: ViewDefinition) { self.definition = definition }

    /// A version that is tried again later.
    struct Retry {
        /// When.
        var time: ContinuousClock.Instant
        var delay: Duration
        var error: KappaError

        static let shortest = Duration.milliseconds(100)
        static let longest = Duration.seconds(10)
    }

    /// Whether nothing is left that could be done for the view.
    var isLost: Bool { failure != nil && working.isEmpty && retries.isEmpty }

    /// Why a version is not kept current, if one is not. What another process holds is kept current by that.
    var unresolved: KappaError? {
        failure ?? retries.first { !heldElsewhere.contains($0.key) }?.value.error
    }

    /// Notes that a version has stopped for a reason that passes.
    /// - Returns: Whether that is news, and in how long it is tried again.
    mutating func retryLater(_ id: VersionID, _ error: KappaError) -> (
        isNews: Bool, delay: Duration
    ) {
        working.remove(id)
        let before = retries[id]
        let delay = before.map { min($0.delay * 2, Retry.longest) } ?? Retry.shortest
        retries[id] = Retry(time: .now + delay, delay: delay, error: error)
        return (before?.error != error, delay)
    }

    /// Forgets which versions were to be tried again that nobody wants any more, such as one that was live
    /// and has retired.
    /// - Parameter before: This post when it was looked up what it has to do.
    mutating func keepRetries(of targets: [VersionTarget], before: RunnerPost) {
        // Instead of one whose file is gone, another one is built: till then that one is missing.
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

    /// Whether a version is not to be tried again. Where another one was live since and somebody has come
    /// back to it, it is: so its status says again what is wrong with it.
    func hasGivenUp(_ entry: VersionEntry, lastSwitch: Int64) -> Bool {
        guard let then = givenUp[entry.id] else { return false }
        return !entry.isLive || then == lastSwitch
    }

    /// Notes that a version was taken.
    mutating func begin(_ id: VersionID) {
        working.insert(id)
        heldElsewhere.remove(id)
        failure = nil
    }

    /// Whether a version may be tried now.
    func isDue(_ id: VersionID) -> Bool { retries[id].map { $0.time <= .now } ?? true }
}

extension KappaError {
    /// Whether what has failed may well work a little later: a full disk, a lock, a limit on open files, a
    /// disk that could not be read. A definition or a damaged file does not pass.
    package var passes: Bool {
        switch code {
        case .inputOutput, .heldElsewhere, .cannotCreate, .notPermitted, .unreachable: true
        default: false
        }
    }
}
