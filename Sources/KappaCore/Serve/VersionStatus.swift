import Glibc

/// How one version is doing.
package struct VersionStatus: Sendable {
    package var id: VersionID
    package var state: VersionState
    package var reason: String?
    package var isLive: Bool
    package var digest: String
    package var position: Offset
    package var logEnd: Offset
    package var counters: Counters
    package var rows: Int
    package var bytes: Int
    /// As the process that materializes it reports; zero where none does.
    package var eventsPerSecond: Int

    package var lag: Int { max(0, logEnd - position) }
    /// Until it has caught up at the present speed; nil where that is not known.
    package var etaSeconds: Int? {
        lag == 0 ? 0 : eventsPerSecond > 0 ? lag / eventsPerSecond : nil
    }

    /// The versions of a view, or of all.
    package static func all(_ catalog: Catalog, view: String? = nil) throws -> [VersionStatus] {
        let folder = catalog.folder
        let end = (try? LogReader(folder.log).durableEnd()) ?? .zero
        return try catalog.entries(of: view).map { entry in
            var status = VersionStatus(
                id: entry.id, state: entry.state, reason: entry.reason, isLive: entry.isLive,
                digest: entry.digest, position: .zero, logEnd: end, counters: Counters(), rows: 0,
                bytes: size(folder.file(entry.id)) + size(folder.file(entry.id) + "-wal"),
                eventsPerSecond: Lease.holder(of: entry.id, in: folder)?.eventsPerSecond ?? 0)
            // The file of a version that was only just entered may not be there yet.
            if let reader = try? VersionReader(folder.file(entry.id)) {
                try reader.snapshot {
                    let checkpoint = try reader.checkpoint()
                    status.position = checkpoint.offset
                    status.counters = checkpoint.counters
                    for table in reader.tables.indices {
                        status.rows += try reader.rowCount(table: table)
                    }
                }
            } else if let checkpoint = try SpilledRuns.checkpoint(folder.file(entry.id)) {
                // A rebuild of many rows has put them aside; they count when they are merged.
                status.position = checkpoint.offset
                status.counters = checkpoint.counters
            }
            return status
        }
    }

    private static func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}
