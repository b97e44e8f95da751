/// Detects that a log has lost events, by the versions that have applied them: a version only applies
/// durable events.
///
/// The log alone cannot detect the loss of its last segment and its head, because what is left is intact.
/// Newly appended events would then get the offsets of the lost ones, and versions would never apply them.
package enum LogLoss {
    /// - Throws: `.damaged` if a version is ahead of the log.
    package static func check(_ folder: DataFolder) throws {
        guard try IOFailure.isThere(folder.catalog), let catalog = try? Catalog(folder),
            let entries = try? catalog.entries()
        else { return }
        // Read the versions first, then the log: the log always grows before they do.
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
                + "\(folder.path)/views and \(folder.catalog) to continue with what is left")
    }
}
