/// Reads live versions, with what that needs kept open from one read to the next.
///
/// Each read has connections of its own: reads never wait for each other.
final class LiveReaders: Sendable {
    private final class Session {
        let catalog: Catalog
        var readers: [String: (number: VersionNumber, reader: VersionReader)] = [:]
        init(_ catalog: Catalog) { self.catalog = catalog }
    }

    private let data: DataFolder
    /// Those that nobody uses at the moment.
    private let idle = Monitor<[Session]>([])
    private static let mostIdle = 8

    private let views: WorkedOutViews

    init(_ data: DataFolder, _ views: WorkedOutViews) {
        self.data = data
        self.views = views
    }

    /// Reads one moment of the live version of a view; nil where there is none.
    /// - Throws: `.notFound` for a name that is no view's; what is wrong with a view that has no live
    ///   version.
    func read<R>(_ view: String, _ body: (VersionReader) throws -> R) throws -> R? {
        let session = try idle.withLock { $0.popLast() } ?? Session(Catalog(data))
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
            reader = try VersionReader(data.file(VersionID(view, live)))
            session.readers[view] = (live, reader)
        }
        let result = try reader.snapshot { try body(reader) }
        // One in which something failed is not used again.
        putBack(session)
        return result
    }

    func close() { idle.withLock { $0.removeAll() } }

    private func putBack(_ session: Session) {
        let connections =
            [session.catalog.database] + session.readers.values.map(\.reader.connection)
        if connections.contains(where: \.isMakeshift) { return }
        idle.withLock { idle in if idle.count < Self.mostIdle { idle.append(session) } }
    }
}
