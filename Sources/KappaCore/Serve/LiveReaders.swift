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

    /// The names of this build's views.
    private let defined: [String]

    init(_ data: DataFolder, defined: [String]) {
        self.data = data
        self.defined = defined
    }

    /// Reads one moment of the live version of a view; nil where there is none.
    /// - Throws: `.notFound` for a name that is no view's.
    func read<R>(_ view: String, _ body: (VersionReader) throws -> R) throws -> R? {
        let session = try idle.withLock { $0.popLast() } ?? Session(Catalog(data))
        guard let live = try session.catalog.live(view) else {
            try session.catalog.requireView(view, among: defined)
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
