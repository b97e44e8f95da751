/// What a publication reports.
public enum PublicationReport: Sendable {
    /// All rows of a version are being written anew: nothing was published yet, the tables' columns have
    /// changed, or the view can no longer be followed from the sink's position.
    case loading(VersionID)
    /// The sink has all that the live version has, up to its position.
    case caughtUp(SinkPosition)
    /// Something failed that may pass; it is tried again after this time.
    case retrying(KappaError, in: Duration)
}

/// Keeps a sink equal to a view's live version.
///
/// It follows the view from the sink's position. Changes are handed on in batches, and a transaction ends where
/// rows and position agree: after each batch, and once at the end while all rows, or the difference of two
/// versions, are written. So readers of the sink see no half of a version.
package final class Publication {
    private let view: String
    private let catalog: Catalog
    private let open: () throws(KappaError) -> any ChangeSink
    private var session: Session?

    /// What is open. After an error all of it is given up, and the sink says again where it is.
    private struct Session {
        let sink: any ChangeSink
        var follower: ChangeFollower
        /// What the sink has committed.
        var position: SinkPosition?
        /// The tables that its changes are of; nil if the sink is yet to be loaded.
        var tables: [TableSchema]?
        var isOpen = false
        var lastOffset: Offset?
    }

    /// How many changes a batch has at most, and their bytes.
    private static let batch = (changes: 1_000, bytes: 1 << 20)
    private static let (shortestDelay, longestDelay) = (
        Duration.milliseconds(100), Duration.seconds(30)
    )
    /// How often in a row something may fail if the publication is to end.
    private static let mostFailures = 5

    /// - Parameter open: Opens the sink; called again after an error.
    package init(
        _ view: String, _ catalog: Catalog,
        to open: @escaping () throws(KappaError) -> any ChangeSink
    ) {
        self.view = view
        self.catalog = catalog
        self.open = open
    }

    /// Publishes until it is stopped, or has caught up.
    /// - Throws: What will not pass by itself; also what has not passed in a few tries if it is to end.
    package func run(
        untilCaughtUp: Bool, isStopped: () -> Bool, observer: (PublicationReport) -> Void
    ) throws {
        defer { end() }
        var failures = 0
        var isCurrent = false
        while !isStopped() {
            do {
                if try step(isStopped, observer) {
                    (failures, isCurrent) = (0, false)
                    continue
                }
                if !isCurrent, let position = session?.position {
                    isCurrent = true
                    observer(.caughtUp(position))
                }
                if untilCaughtUp { return try requirePosition() }
                Pause.forALook()
            } catch let error as KappaError where error.passes || error.code == .notFound {
                end()
                failures += 1
                // What is not found, such as changes that are no longer kept, may be when it begins again.
                let isLasting = untilCaughtUp || error.code == .notFound
                if isLasting, failures > Self.mostFailures { throw error }
                isCurrent = false
                let delay = Self.delay(failures)
                observer(.retrying(error, in: delay))
                let end = ContinuousClock.now + delay
                while !isStopped(), ContinuousClock.now < end { Pause.briefly() }
            }
        }
    }

    private static func delay(_ failures: Int) -> Duration {
        min(longestDelay, shortestDelay * (1 << min(failures - 1, 10)))
    }

    private func requirePosition() throws(KappaError) {
        if session?.position != nil { return }
        throw KappaError(
            .notFound, "view \(view) has no live version", at: catalog.folder.path,
            because: "none was promoted yet", advice: "Build it first: `kappa rebuild \(view)`")
    }

    /// Gives up what is open.
    private func end() {
        if session?.isOpen == true { session?.sink.rollBack() }
        session?.sink.close()
        session = nil
    }

    // MARK: One transaction

    /// Writes one transaction; false if there is nothing to write.
    private func step(
        _ isStopped: () -> Bool, _ observer: (PublicationReport) -> Void
    ) throws -> Bool {
        guard try catalog.live(view) != nil else { return false }
        if session == nil { session = try begin() }
        while !isStopped(), let live = try catalog.live(view) {
            if session?.tables == nil { try load(live, observer) }
            var changes: [SinkChange] = []
            let hasMore: Bool
            do {
                hasMore = try read(live, into: &changes)
            } catch is NeedsLoad {
                if session?.isOpen == true { session?.sink.rollBack() }
                session?.isOpen = false
                session?.tables = nil
                continue
            }
            if !changes.isEmpty {
                try openTransaction()
                try session?.sink.apply(changes)
            }
            if let place = session?.follower.place,
                session?.isOpen == true || place != session?.position?.change
            {
                try commit(place)
                return true
            }
            if !hasMore { return false }
        }
        return false
    }

    private func begin() throws -> Session {
        let sink = try open()
        do {
            let position = try sink.position()
            if let position, position.view != view {
                throw KappaError(
                    .usage, "the sink holds another view", at: position.view,
                    because: "\(view) was to be published to it",
                    advice: "Name another place for \(view)")
            }
            var session = Session(
                sink: sink, follower: ChangeFollower(view, catalog, from: .rows),
                position: position)
            if let position,
                let reader = try? reader(position.change.version), reader.digest == position.digest
            {
                session.follower = ChangeFollower(
                    view, catalog, from: .exactlyAfter(position.change))
                session.tables = Self.shape(reader)
            }
            return session
        } catch {
            sink.close()
            throw error
        }
    }

    /// Thrown if the sink has to be loaded.
    private struct NeedsLoad: Error {}

    /// Begins to write all rows of a version.
    private func load(
        _ live: VersionNumber, _ observer: (PublicationReport) -> Void
    ) throws {
        let tables = Self.shape(try reader(live))
        observer(.loading(VersionID(view, live)))
        session?.follower = ChangeFollower(view, catalog, from: .rows)
        session?.tables = tables
        session?.isOpen = true
        try session?.sink.begin(anew: tables)
    }

    private func read(_ live: VersionNumber, into changes: inout [SinkChange]) throws -> Bool {
        guard let tables = session?.tables, let follower = session?.follower else { return false }
        var room = FollowerRoom(changes: Self.batch.changes, bytes: Self.batch.bytes)
        return try follower.step(live, &room) { change in
            session?.lastOffset = change.offset
            switch change.operation {
            case .reset: throw NeedsLoad()
            case .promoted:
                if Self.shape(try reader(change.version)) != tables { throw NeedsLoad() }
            case .insert, .update, .delete: changes.append(try SinkChange(change, in: tables))
            }
        }
    }

    private func openTransaction() throws(KappaError) {
        guard session?.isOpen == false else { return }
        session?.isOpen = true
        try session?.sink.begin(anew: nil)
    }

    private func commit(_ place: ChangeID) throws {
        try openTransaction()
        let reader = try reader(place.version)
        let offset =
            try session?.lastOffset ?? session?.position?.offset ?? reader.checkpoint().offset
        let position = SinkPosition(
            view: view, change: place, offset: offset, digest: reader.digest)
        try session?.sink.commit(position)
        session?.isOpen = false
        session?.position = position
    }

    private func reader(_ number: VersionNumber) throws(KappaError) -> VersionReader {
        try catalog.folder.reader(VersionID(view, number))
    }

    /// The tables as a sink sees them.
    private static func shape(_ reader: VersionReader) -> [TableSchema] {
        reader.tables.map { TableSchema(name: $0.name, columns: $0.columns) }
    }
}

extension Kappa {
    /// Keeps a sink equal to a view's live version, until the task is cancelled or, if so asked, until the
    /// sink has all that the live version has. It goes on from the sink's position, and loads all rows anew
    /// where that is not possible.
    ///
    /// The sink is used on a thread of its own. What fails and may pass is tried again, at first after 0.1 s,
    /// at most every 30 s.
    /// - Parameters:
    ///   - open: Opens the sink; called again after an error.
    ///   - untilCaughtUp: Whether to return once the sink has caught up.
    ///   - observer: Called for each report, on the thread that does the work.
    /// - Throws: ``KappaError``: what will not pass by itself, and with `untilCaughtUp` also what has not
    ///   passed after five tries; `.notFound` if neither this `Kappa` nor the folder has the view, or if it
    ///   is to catch up and there is no live version.
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
