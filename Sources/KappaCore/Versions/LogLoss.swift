/// Finds out that a log has lost events, by versions that have applied them: a version applies durable
/// events only.
///
/// The log cannot tell by itself when its last segment and its head are gone: what is left is whole. Events
/// that are appended then would take the numbers of those that are lost, and versions would never apply
/// them.
package enum LogLoss {
    /// - Throws: `.damaged` where a version is ahead of the log.
    package static func check(_ folder: DataFolder) throws {
        guard try IOFailure.isThere(folder.catalog), let catalog = try? Catalog(folder),
            let entries = try? catalog.entries()
        else { return }
        // First the versions, then the log: it grows before they do.
        var furthest: (id: VersionID, offset: Offset)?
        for entry in entries {
            guard let reader = try? folder.reader(entry.id),
                let offset = try? reader.checkpoint().offset
            else { continue }
            if offset > furthest?.offset ?? .zero { furthest = (entry.id, offset) }
        }
        guard let furthest else { return }
        let isThere = try IOFailure.isThere(folder.log)
        let end = isThere ? try LogReader(folder.log).durableEnd() : .zero
        if furthest.offset <= end { return }
        throw KappaError(
            .damaged, "the log has lost events", at: "\(folder.log), offset \(end)",
            because:
                "\(furthest.id) has applied the events below offset \(furthest.offset), and the "
                + "log ends at offset \(end)",
            advice:
                "Nothing was appended. Restore the log's folder from a copy; without one, remove "
                + "\(folder.path)/views and \(folder.catalog) to go on with what is left")
    }
}
