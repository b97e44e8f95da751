/// Reads live versions, and keeps their files open from one read to the next.
///
/// Each read has its own connections: reads never wait for each other.
final class LiveReaders: Sendable {
    private final class Session {
        let catalog: Catalog
        var readers: [String: (number: VersionNumber, reader: VersionReader)] = [:]
        init(_ catalog: Catalog) { self.catalog = catalog }
    }

    private let data: DataFolder
    private let state = Monitor(State())

    private struct State {
        /// The sessions that no read uses at the moment.
        var idle: [Session] = []
        var isClosed = false
    }

    private static let mostIdle = 8
    /// How many views' files a session keeps open.
    private static let mostViews = 16

    private let views: WorkedOutViews

    init(_ data: DataFolder, _ views: WorkedOutViews) {
        self.data = data
        self.views = views
    }

    /// Reads a snapshot of a view's live version; nil if there is none.
    /// - Throws: `.notFound` if there is no view of that name; the view's error if the view is invalid and
    ///   has no live version.
    func read<R>(_ view: String, _ body: (VersionReader) throws -> R) throws -> R? {
        try using(view) { reader in try reader.snapshot { try body(reader) } }
    }

    /// The position of the live version; nil if there is none.
    /// - Throws: Why it has stopped for good, if it has, or why no version has become live.
    func position(_ view: String) throws -> Offset? {
        try using(view, throwsStandstill: true) { reader in
            Lease.position(
                of: VersionID(view, VersionNumber(reader.number)),
                atLeast: try reader.checkpoint().offset, in: data)
        }
    }

    private func using<R>(
        _ view: String, throwsStandstill: Bool = false, _ body: (VersionReader) throws -> R
    ) throws -> R? {
        let (known, isClosed) = state.withLock { ($0.idle.popLast(), $0.isClosed) }
        if isClosed { throw KappaError.closed(data.path) }
        let session = try known ?? Session(Catalog(data))
        if throwsStandstill, let failure = try session.catalog.standstill(of: view) {
            putBack(session)
            throw failure
        }
        guard let live = try session.catalog.live(view) else {
            if let error = views.error(of: view) { throw error }
            try session.catalog.requireView(view, among: views.sound.map(\.name))
            putBack(session)
            return nil
        }
        let reader: VersionReader
        if let known = session.readers[view], known.number == live {
            reader = known.reader
        } else {
            session.readers[view] = nil
            if session.readers.count >= Self.mostViews { session.readers = [:] }
            reader = try data.reader(VersionID(view, live))
            session.readers[view] = (live, reader)
        }
        let result = try body(reader)
        // A session in which a read has thrown is not used again.
        putBack(session)
        return result
    }

    /// Closes all files; reads in progress close theirs when they end, and later ones throw.
    func close() {
        let idle = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle
        }
        withExtendedLifetime(idle) {}
    }

    private func putBack(_ session: Session) {
        if session.catalog.isMakeshift { return }
        if session.readers.values.contains(where: \.reader.isMakeshift) { return }
        state.withLock { state in
            if !state.isClosed, state.idle.count < Self.mostIdle { state.idle.append(session) }
        }
    }
}
