import Glibc

/// The status of one version.
package struct VersionStatus: Sendable {
    package var id: VersionID
    package var state: VersionState
    package var reason: String?
    package var isLive: Bool
    package var digest: String
    package var position: Offset
    package var logEnd: Offset
    package var counters: Counters
    package var sizes: VersionSizes
    /// The size of its write-ahead log.
    package var logBytes: Int
    /// The size of its file, including the write-ahead log.
    package var bytes: Int
    /// As reported by the process that materializes it; zero if there is none.
    package var eventsPerSecond: Int

    /// The rows of all tables that readers see.
    package var rows: Int { sizes.rows }
    /// The rows of the view's state: elements that wait in joins, first steps, and so on.
    package var stateRows: Int { sizes.held.reduce(0) { $0 + $1.rows } }
    /// The bytes of the view's state; nil if unknown.
    package var stateBytes: Int? {
        sizes.held.reduce(0) { sum, held in sum.flatMap { sum in held.bytes.map { sum + $0 } } }
    }

    /// Events between its position and the log's end. If it is negative, the log has lost events, since a
    /// version only applies durable ones.
    package var lag: Int { logEnd - position }
    /// The time until it has caught up at the present speed; nil if unknown.
    package var etaSeconds: Int? {
        lag <= 0 ? 0 : eventsPerSecond > 0 ? lag / eventsPerSecond : nil
    }

    /// The status of all versions of a view, or of all views.
    /// - Parameters:
    ///   - cache: Earlier row counts, for callers that ask again and again.
    ///   - mostLogBytes: The status reports a write-ahead log that is larger than this.
    package static func all(
        _ catalog: Catalog, view: String? = nil, cache: VersionSizesCache = VersionSizesCache(),
        mostLogBytes: Int = PinnedLog.usualBytes
    ) throws -> [VersionStatus] {
        let folder = catalog.folder
        var end = logEnd(folder)
        return try catalog.entries(of: view).map { entry in
            let report = Lease.holder(of: entry.id, in: folder)
            var status = VersionStatus(
                id: entry.id, state: entry.state, reason: entry.reason, isLive: entry.isLive,
                digest: entry.digest, position: .zero, logEnd: end, counters: Counters(),
                sizes: VersionSizes(), logBytes: PinnedLog.bytes(of: entry.id, in: folder),
                bytes: size(folder.file(entry.id)) + size(folder.file(entry.id) + "-wal"),
                eventsPerSecond: report?.eventsPerSecond ?? 0)
            // A version that was created a moment ago may have no file yet.
            var unread: KappaError?
            var reader: VersionReader?
            do throws(KappaError) { reader = try folder.reader(entry.id) } catch {
                unread = error.code == .notFound ? nil : error
            }
            if let reader {
                try reader.snapshot {
                    let checkpoint = try reader.checkpoint()
                    status.position = max(checkpoint.offset, report?.position ?? .zero)
                    // The version may have advanced since the log's end was read.
                    if status.position > end { end = logEnd(folder) }
                    status.logEnd = end
                    status.counters = checkpoint.counters
                    // While the file lags, the view asks for none of the events.
                    status.counters.filtered += UInt64(status.position - checkpoint.offset)
                    status.sizes = try cache.sizes(of: entry.id, at: checkpoint.offset) {
                        try VersionSizes(reader)
                    }
                }
            } else if let checkpoint = try SpilledRuns.checkpoint(folder.file(entry.id)) {
                // A large rebuild has spilled its rows; they are counted once they are merged.
                status.position = checkpoint.offset
                status.counters = checkpoint.counters
            }
            if let failure = entry.failure {
                status.reason =
                    "\(failure.reason); it has stood still since "
                    + "\(Timestamp(microseconds: failure.sinceMicros))"
                    + (failure.isRetried ? ", and resumes automatically once that has passed" : "")
            }
            if let unread {
                status.reason = "its file cannot be read: \(unread.reason ?? unread.what)"
            } else if status.lag < 0 {
                status.reason =
                    "it has applied \(-status.lag) events that the log does not have: restore "
                    + "\(folder.log), or remove views/ and catalog.db and rebuild from what there is"
            } else if catalog.hasLostFile(entry) {
                status.reason = "its file is gone: `kappa run` builds a new version"
            } else if status.reason == nil, status.logBytes > mostLogBytes {
                status.reason = PinnedLog.reason(status.logBytes, of: entry.id, in: folder)
            }
            return status
        }
    }

    private static func logEnd(_ folder: DataFolder) -> Offset {
        (try? LogReader(folder.log).durableEnd()) ?? .zero
    }

    private static func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}
