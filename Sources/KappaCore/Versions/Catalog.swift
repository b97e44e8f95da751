/// The catalog of a data folder: its versions, which of them are live, and the history of switches.
///
/// Its contents survive power loss. One thread uses a catalog at a time; each thread opens its own.
package final class Catalog {
    package let folder: DataFolder
    let file: CatalogFile

    /// One change of a live pointer.
    package struct Switch: Equatable, Sendable {
        package var view: String
        package var from: VersionNumber?
        package var to: VersionNumber
        package var position: Offset
        package var reason: String
        /// When, in microseconds since 1970-01-01T00:00:00Z.
        package var atMicros: Int64
        /// The judgement made before the switch, if the view has gates; not read back with the history.
        package var judgement: Judgement?

        /// The reason recorded for a switch made with `kappa rollback`.
        package static let rollback = "rollback"
    }

    /// Opens the catalog, creates it if it is new, and repairs what a killed process has left.
    ///
    /// If nothing can be written, such as on a full disk, it can be read and every change fails.
    package init(_ folder: DataFolder) throws {
        self.folder = folder
        do {
            try Folder.make(folder.path + "/views")
            file = try CatalogFile(writing: folder.catalog)
        } catch let error as KappaError where error.isOfSystem {
            file = try Self.readable(folder, or: error)
            return
        }
        do { try repair() } catch let error as KappaError where error.isOfSystem {
            // No rows depend on the repair: the next process that may write here does it.
        }
    }

    /// A catalog that cannot be written to. If it could not be created, it has no versions.
    private static func readable(
        _ folder: DataFolder, or error: KappaError
    ) throws(KappaError) -> CatalogFile {
        if try IOFailure.isThere(folder.catalog) {
            return try CatalogFile(reading: folder.catalog, because: error)
        }
        guard try IOFailure.isThere(folder.log) else { throw error }
        return try CatalogFile(emptyBecause: error)
    }

    /// Opens the catalog to materialize versions, which needs to see others' changes and to write.
    /// - Throws: Why it can only be read, if that is so.
    static func forWriting(_ folder: DataFolder) throws -> Catalog {
        let catalog = try Catalog(folder)
        if let reason = catalog.file.whyReadOnly { throw reason }
        return catalog
    }

    /// Whether this is a stopgap, opened because nothing can be written: it is not to be reused.
    var isMakeshift: Bool { file.isMakeshift }

    /// A number that changes whenever another connection has changed the catalog.
    func changeCounter() throws(KappaError) -> Int64 { try file.changeCounter() }

    func transaction<R>(_ body: () throws -> R) throws -> R { try file.transaction(body) }

    // MARK: Reading

    /// All versions, by view and number.
    package func entries(of view: String? = nil) throws(KappaError) -> [VersionEntry] {
        try file.versions(of: view)
    }

    package func live(_ view: String) throws(KappaError) -> VersionNumber? { try file.live(view) }

    /// Whether a version is or was live.
    func wasLive(_ id: VersionID) throws(KappaError) -> Bool { try file.wasLive(id) }

    /// Checks that a view exists at all, so that a misspelt name is an error rather than a view without rows.
    /// - Parameter defined: The names of this build's views.
    /// - Throws: `.notFound` for a name that neither this build nor the folder knows.
    package func requireView(_ name: String, among defined: [String]) throws(KappaError) {
        if defined.contains(name) { return }
        var known = defined
        for built in try entries().map(\.id.view) where !known.contains(built) {
            known.append(built)
        }
        if known.contains(name) { return }
        throw KappaError(
            .notFound, "there is no view \(name)", at: "this build and \(folder.path)",
            because: known.isEmpty
                ? "this build defines no views, and none was built"
                : "there are \(known.joined(separator: ", "))",
            advice:
                "Check the name; `kappa views` lists the views of a build, `kappa status` what was "
                + "built")
    }

    /// Whether the file of a version that readers have seen is gone. No new file takes its place: readers
    /// would go back to the beginning of the log.
    func hasLostFile(_ entry: VersionEntry) -> Bool {
        (entry.isLive || entry.state == .retired) && entry.state != .failed
            && !folder.hasFile(entry.id)
    }

    /// The version that a person means: the one named, else the live one, else the newest.
    package func resolve(_ reference: VersionReference) throws(KappaError) -> VersionEntry {
        let entries = try entries(of: reference.view)
        let found =
            if let number = reference.number {
                entries.first { $0.id.number == number }
            } else {
                entries.first { $0.isLive } ?? entries.last
            }
        if let found { return found }
        if entries.isEmpty {
            throw KappaError(
                .notFound, "view \(reference.view) has no version", at: folder.path,
                because: "nothing was built yet",
                advice:
                    "Build it with `kappa rebuild \(reference.view)`; `kappa views` lists the names"
            )
        }
        let others = entries.map(\.id.description).joined(separator: ", ")
        let isOne = entries.count == 1
        throw KappaError(
            .notFound, "there is no version \(reference)", at: folder.path,
            because: "there \(isOne ? "is" : "are") \(others)",
            advice: isOne ? "Name that one" : "Name one of them")
    }

    /// Every switch of a view, oldest first.
    package func history(of view: String) throws(KappaError) -> [Switch] {
        try file.switches(of: view).map { record in
            Switch(
                view: view, from: record.from, to: record.to, position: record.position,
                reason: record.reason, atMicros: record.atMicros)
        }
    }

    /// A time during which a version was live.
    struct LivePeriod {
        var number: VersionNumber
        /// The number of the newest change in its feed when it became live.
        var feedStart: Int64
    }

    /// Which versions of a view were live, one after the other; the last one is.
    func livePeriods(of view: String) throws(KappaError) -> [LivePeriod] {
        let switches = try file.switches(of: view)
        return switches.map { change in
            // Earlier builds recorded no number. A version that was live once has had no changes before.
            func isOnly() -> Bool { switches.count { $0.to == change.to } == 1 }
            return LivePeriod(
                number: change.to, feedStart: change.feedStart ?? (isOnly() ? 0 : .max))
        }
    }

    // MARK: Changing

    /// Adds a new version; its file is made when it is first opened.
    package func create(view: String, digest: String) throws -> VersionID {
        try transaction { try enter(view: view, digest: digest) }
    }

    /// Adds a new version. Called inside of a transaction.
    func enter(view: String, digest: String) throws(KappaError) -> VersionID {
        try file.add(view: view, digest: digest, .building)
    }

    package func setState(
        _ id: VersionID, _ state: VersionState, reason: String? = nil
    ) throws(KappaError) {
        try file.setState(id, state, reason: reason)
    }

    /// Records what a version waits for, unless it has been switched or dropped in the meantime.
    func setWaiting(
        _ id: VersionID, _ state: VersionState, reason: String? = nil
    ) throws(KappaError) {
        try file.setState(id, state, reason: reason, unless: [.live, .retired, .failed])
    }

    /// Marks versions whose file is gone as failed. Called inside of a transaction.
    func failLostFiles(of view: String) throws(KappaError) {
        for entry in try entries(of: view) where hasLostFile(entry) {
            try setState(entry.id, .failed, reason: "its file is gone")
        }
    }

    /// Points a view at a version and records the switch. Called inside of a transaction.
    /// - Parameter feedStart: The number of the newest change in the feed of `to`, which stands still.
    func point(
        _ view: String, from: VersionNumber?, to: VersionNumber, position: Offset, reason: String,
        feedStart: Int64
    ) throws(KappaError) {
        try file.setLive(view, to)
        if let from, from != to { try retire(VersionID(view, from)) }
        try setState(VersionID(view, to), .live)
        try file.add(
            SwitchRecord(
                view: view, from: from, to: to, position: position, reason: reason,
                atMicros: SystemClock.wallMicroseconds(), feedStart: feedStart))
    }

    /// Retires a version, unless it has failed: a failed version stays failed, so that no one goes back to
    /// it.
    private func retire(_ id: VersionID) throws(KappaError) {
        let failed = try entries(of: id.view).contains { $0.id == id && $0.state == .failed }
        if !failed { try setState(id, .retired) }
        try clearFailure(id)
    }

    /// Deletes a version from the catalog and removes its files. The caller holds its lease.
    package func drop(_ id: VersionID) throws {
        // In one transaction, so that it cannot become live between the check and the deletion.
        try transaction {
            if try live(id.view) == id.number {
                throw Self.isLive(id)
            }
            try file.removeNotes(of: id)
            try file.remove(id)
        }
        try folder.removeFiles(of: id)
    }

    // MARK: Repairing

    /// Makes the files agree with the catalog: corrects links that point elsewhere, and removes files of
    /// versions that it does not have, unless a process is working on them or they are not kappa's.
    private func repair() throws {
        folder.removeScratch()
        let entries = try entries()
        for entry in entries where entry.isLive {
            if folder.linkedNumber(of: entry.id.view) != entry.id.number {
                try repairLink(of: entry.id.view)
            }
        }
        for view in folder.viewsOnDisk {
            for number in folder.numbersOnDisk(of: view) {
                let id = VersionID(view, number)
                if entries.contains(where: { $0.id == id }) || folder.isForeign(id) { continue }
                // Another process may have added it a moment ago: check again under its lease.
                guard let lease = try? Lease(id, in: folder) else { continue }
                if try !self.entries(of: view).contains(where: { $0.id == id }) {
                    try folder.removeFiles(of: id)
                }
                withExtendedLifetime(lease) {}
            }
        }
    }

    /// Takes the switch lock, since a promotion may be about to correct the link itself.
    private func repairLink(of view: String) throws {
        try SwitchLock(view, in: folder).alone {
            guard let live = try live(view), folder.linkedNumber(of: view) != live,
                folder.hasFile(VersionID(view, live))
            else { return }
            try folder.pointLink(of: view, to: live)
        }
    }
}
