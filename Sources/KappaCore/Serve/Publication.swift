/// What a publication reports.
public enum PublicationReport: Sendable {
    /// No version of the view is live yet; publishing begins when one is.
    case waiting
    /// All rows of a version are being written.
    case loading(VersionID, because: LoadReason)
    /// The sink has all that the live version has, up to its position.
    case caughtUp(SinkPosition)
    /// Something failed that may pass; it is tried again after this time.
    case retrying(KappaError, in: Duration)

    /// Why all rows are written.
    public enum LoadReason: Sendable {
        /// Nothing was published there yet.
        case isEmpty
        /// The tables have other columns than before.
        case otherColumns
        /// The view can no longer be followed from the sink's position.
        case notKept
    }
}

/// Keeps a sink equal to a view's live version.
///
/// It follows the view from the sink's position. A transaction ends where a commit of the version does; while all
/// rows, or the difference of two versions, are written, it ends once they all are. So readers of the sink see what
/// readers of the view have seen: never half a commit, and no half of a version.
package final class Publication {
    private let view: String
    private let catalog: Catalog
    private let batchChanges: Int
    private let open: () throws(KappaError) -> any ChangeSink
    private var session: PublicationSession?
    private var wasOpened = false

    private let shortestDelay: Duration
    private static let longestDelay = Duration.seconds(30)
    /// How often in a row something may fail if the publication is to end.
    private static let mostFailures = 5

    /// - Parameters:
    ///   - batchChanges: How many changes to collect, at least, before a sink that lags gets a transaction.
    ///   - shortestDelay: How long to wait after a first error.
    ///   - open: Opens the sink; called again after an error.
    package init(
        _ view: String, _ catalog: Catalog, batchChanges: Int = 10_000,
        shortestDelay: Duration = .milliseconds(100),
        to open: @escaping () throws(KappaError) -> any ChangeSink
    ) {
        self.view = view
        self.catalog = catalog
        self.batchChanges = batchChanges
        self.shortestDelay = shortestDelay
        self.open = open
    }

    /// Publishes until it is stopped, or has caught up.
    /// - Throws: What will not pass by itself; also what has not passed in a few tries if it is to end.
    package func run(
        untilCaughtUp: Bool, isStopped: () -> Bool, observer: (PublicationReport) -> Void
    ) throws {
        defer { end() }
        var failures = 0
        var isWaiting = false
        var reported: SinkPosition?
        while !isStopped() {
            let outcome: Outcome
            do { outcome = try step(isStopped, observer) } catch let error as KappaError
                where mayPass(error)
            {
                end()
                failures += 1
                let isLasting = untilCaughtUp || error.code == .notFound
                if isLasting, failures > Self.mostFailures { throw error }
                isWaiting = false
                reported = nil
                let delay = delay(failures)
                observer(.retrying(error, in: delay))
                let end = ContinuousClock.now + delay
                while !isStopped(), ContinuousClock.now < end { Pause.briefly() }
                continue
            }
            failures = 0
            switch outcome {
            case .committed: continue
            case .stopped: return
            case .waiting:
                if untilCaughtUp { throw nothingLive() }
                if !isWaiting { observer(.waiting) }
                isWaiting = true
            case .caughtUp(let position):
                isWaiting = false
                if position != reported { observer(.caughtUp(position)) }
                reported = position
                if untilCaughtUp { return }
            }
            Pause.forALook()
        }
    }

    /// Whether an error is to be tried again. A place that cannot be opened the first time is a wrong one, unless it
    /// is another machine, or another process is there.
    private func mayPass(_ error: KappaError) -> Bool {
        if !wasOpened { return error.code == .unreachable || error.code == .heldElsewhere }
        // What is not found, such as changes that are no longer kept, may be when it begins again.
        return error.passes || error.code == .notFound
    }

    private func delay(_ failures: Int) -> Duration {
        min(Self.longestDelay, shortestDelay * (1 << min(failures - 1, 10)))
    }

    private func nothingLive() -> KappaError {
        KappaError(
            .notFound, "view \(view) has no live version", at: catalog.folder.path,
            because: "none was promoted yet", advice: "Build it first: `kappa rebuild \(view)`")
    }

    /// Gives up what is open.
    private func end() {
        session?.close()
        session = nil
    }

    // MARK: One transaction

    private enum Outcome {
        /// Something was written; there may be more.
        case committed
        case caughtUp(SinkPosition)
        /// There is no live version.
        case waiting
        case stopped
    }

    /// Reads until a transaction is complete, and writes it.
    private func step(
        _ isStopped: () -> Bool, _ observer: (PublicationReport) -> Void
    ) throws -> Outcome {
        // It also finds out whether the catalog is still there.
        _ = try catalog.changeCounter()
        guard try catalog.live(view) != nil else { return .waiting }
        let session = try self.session ?? begin()
        self.session = session
        while !isStopped(), let live = try catalog.live(view) {
            if let reason = session.needsLoad {
                observer(.loading(VersionID(view, live), because: reason))
                session.follower = ChangeFollower(view, catalog, from: .rows)
                try session.load(try reader(live))
            }
            let hasMore: Bool
            do { hasMore = try read(live, session) } catch let need as NeedsLoad {
                session.rollBack()
                session.needsLoad = need.reason
                continue
            }
            let isFull = session.pending.isFull(batchChanges)
            if !hasMore || isFull {
                if try session.commit(view) { return .committed }
                // More than a transaction should have, and still no end.
                if isFull { try session.applyAll() }
            }
            if !hasMore, let position = session.position { return .caughtUp(position) }
        }
        return .stopped
    }

    private func begin() throws -> PublicationSession {
        let session = PublicationSession(try open(), ChangeFollower(view, catalog, from: .rows))
        do {
            let position = try session.sink.position()
            wasOpened = true
            guard let position else { return session }
            session.position = position
            if position.view != view {
                throw KappaError(
                    .usage, "the sink holds another view", at: position.view,
                    because: "\(view) was to be published to it",
                    advice: "Name another place for \(view)")
            }
            session.needsLoad = .notKept
            let kept: VersionReader
            do { kept = try reader(position.change.version) } catch {
                if error.passes { throw error }
                return session
            }
            guard kept.digest == position.digest else { return session }
            session.needsLoad = nil
            session.follower = ChangeFollower(view, catalog, from: .exactlyAfter(position.change))
            session.pending = PendingChanges(after: position.offset)
            session.note(kept)
            return session
        } catch {
            session.close()
            throw error
        }
    }

    /// Thrown if the sink has to be loaded.
    private struct NeedsLoad: Error { var reason: PublicationReport.LoadReason }

    /// Reads some changes; false if there are no more.
    private func read(_ live: VersionNumber, _ session: PublicationSession) throws -> Bool {
        var room = FollowerRoom(changes: min(1_000, batchChanges), bytes: 1 << 20)
        let hasMore = try session.follower.step(live, &room) { change in
            switch change.operation {
            case .reset: throw NeedsLoad(reason: .notKept)
            case .promoted:
                let tables = session.tables
                session.note(try reader(change.version))
                if session.tables != tables { throw NeedsLoad(reason: .otherColumns) }
                session.pending.add(change, nil)
            case .insert, .update, .delete:
                session.pending.add(change, try SinkChange(change, in: session.tables))
            }
        }
        if !hasMore, let place = session.follower.place {
            // All commits of the version have been read.
            session.pending.end(at: place)
        }
        return hasMore
    }

    private func reader(_ number: VersionNumber) throws(KappaError) -> VersionReader {
        try catalog.folder.reader(VersionID(view, number))
    }
}
