/// What the catalog keeps besides versions and switches: who wants a rebuild, and what stands still.
extension Catalog {
    static let noteTables = """
        CREATE TABLE IF NOT EXISTS rebuilds (
            view TEXT NOT NULL, number INTEGER NOT NULL, promotes INTEGER NOT NULL,
            PRIMARY KEY (view, number)) STRICT;
        CREATE TABLE IF NOT EXISTS failures (
            view TEXT NOT NULL, number INTEGER NOT NULL, reason TEXT NOT NULL,
            since INTEGER NOT NULL, is_retried INTEGER NOT NULL,
            PRIMARY KEY (view, number)) STRICT;
        """

    /// The catalog for whoever works on versions, which is to see what others change and must write.
    /// - Throws: Why it can only be read, where that is so.
    static func forWriting(_ folder: DataFolder) throws -> Catalog {
        let catalog = try Catalog(folder)
        if let reason = catalog.database.whyReadOnly { throw reason }
        return catalog
    }

    // MARK: Rebuilds

    /// Notes that somebody wants a version built although there may be one of its definition; inside of a
    /// transaction. Whoever has the definition finishes it, should this process be killed.
    func wantRebuild(_ id: VersionID, promotes: Bool) throws(KappaError) {
        let insert = try database.prepare("INSERT OR REPLACE INTO rebuilds VALUES (?, ?, ?)")
        insert.bind(0, id.view)
        insert.bind(1, Int64(id.number.rawValue))
        insert.bind(2, Int64(promotes ? 1 : 0))
        try insert.execute()
    }

    /// The rebuilds that were begun, and whether each is to be promoted.
    func rebuilds(of view: String) throws(KappaError) -> [VersionNumber: Bool] {
        if !hasNotes { return [:] }
        let select = try database.prepare("SELECT number, promotes FROM rebuilds WHERE view = ?")
        select.bind(0, view)
        var rebuilds: [VersionNumber: Bool] = [:]
        while try select.step() {
            rebuilds[VersionNumber(Int(select.integer(0)))] = select.integer(1) != 0
        }
        return rebuilds
    }

    // MARK: Failures

    /// Why a live version stands still.
    package struct Failure: Equatable, Sendable {
        package var reason: String
        /// In microseconds since 1970-01-01T00:00:00Z.
        package var sinceMicros: Int64
        /// Whether its process tries again.
        package var isRetried: Bool
    }

    /// Why readers of a view will see nothing new: its live version has stopped for good, or its newest has
    /// where none was ever promoted. Nil where it has not, or is tried again.
    func standstill(of view: String) throws(KappaError) -> KappaError? {
        let all = try entries(of: view)
        guard let entry = all.first(where: \.isLive) else {
            guard let newest = all.last, newest.state == .failed else { return nil }
            return KappaError(
                .inputOutput, "\(newest.id) has failed, and no version of \(view) is live",
                at: folder.file(newest.id), because: newest.reason ?? "it has failed",
                advice: "Mend what is wrong and start `run` again, or promote another version")
        }
        var reason = entry.state == .failed ? entry.reason ?? "it has failed" : nil
        if let failure = entry.failure, !failure.isRetried { reason = failure.reason }
        guard let reason else { return nil }
        return KappaError(
            .inputOutput, "\(entry.id) is no longer kept current", at: folder.file(entry.id),
            because: reason,
            advice:
                "Its rows stay as they are. Mend what is wrong and start `run` again, or promote "
                + "another version")
    }

    /// Writes down that a version has failed, even where the disk is full: if need be in the part of the
    /// write-ahead log that is there already. What was switched meanwhile keeps its state.
    /// - Parameter isRetried: Whether the process that writes this tries again by itself.
    func setFailure(
        _ id: VersionID, _ state: VersionState, _ reason: String, isRetried: Bool = false
    ) throws(KappaError) {
        do { try writeFailure(id, state, reason, isRetried) } catch {
            try? database.execute("PRAGMA wal_checkpoint(PASSIVE)")
            try writeFailure(id, state, reason, isRetried)
        }
    }

    private func writeFailure(
        _ id: VersionID, _ state: VersionState, _ reason: String, _ isRetried: Bool
    ) throws(KappaError) {
        guard state == .live else {
            let update = try database.prepare(
                """
                UPDATE versions SET state = ?1, reason = ?2 WHERE view = ?3 AND number = ?4
                AND state NOT IN ('live', 'retired')
                """)
            update.bind(0, state.rawValue)
            update.bind(1, reason)
            update.bind(2, id.view)
            update.bind(3, Int64(id.number.rawValue))
            return try update.execute()
        }
        // It stays live, and since when it stands still is kept over several tries.
        let insert = try database.prepare(
            """
            INSERT INTO failures
            SELECT view, number, ?3, ?4, ?5 FROM versions
            WHERE view = ?1 AND number = ?2 AND state = 'live'
            ON CONFLICT (view, number) DO UPDATE
            SET reason = excluded.reason, is_retried = excluded.is_retried
            """)
        insert.bind(0, id.view)
        insert.bind(1, Int64(id.number.rawValue))
        insert.bind(2, reason)
        insert.bind(3, SystemClock.wallMicroseconds())
        insert.bind(4, Int64(isRetried ? 1 : 0))
        try insert.execute()
    }

    /// A version is current again, or is not live any more.
    func clearFailure(_ id: VersionID) throws(KappaError) {
        try forget(id, in: "failures")
    }

    /// Forgets all that is noted of a version that is dropped.
    func forgetNotes(of id: VersionID) throws(KappaError) {
        for table in ["failures", "rebuilds"] { try forget(id, in: table) }
    }

    private func forget(_ id: VersionID, in table: String) throws(KappaError) {
        let delete = try database.prepare("DELETE FROM \(table) WHERE view = ? AND number = ?")
        delete.bind(0, id.view)
        delete.bind(1, Int64(id.number.rawValue))
        try delete.execute()
    }

    // MARK: What is promoted

    /// Whether a version is there and has not failed: nothing goes to one that has.
    func isPromotable(_ id: VersionID) throws(KappaError) -> Bool {
        try entries(of: id.view).contains { $0.id == id && ($0.state != .failed || $0.isLive) }
    }

    /// The highest number that was ever live.
    func newestEverLive(_ view: String) throws(KappaError) -> VersionNumber? {
        let select = try database.prepare("SELECT max(to_number) FROM history WHERE view = ?")
        select.bind(0, view)
        guard try select.step(), !select.isNull(0) else { return nil }
        return VersionNumber(Int(select.integer(0)))
    }

    /// The number of a view's last switch; 0 where nothing was ever live.
    func lastSwitch(_ view: String) throws(KappaError) -> Int64 {
        let select = try database.prepare("SELECT max(id) FROM history WHERE view = ?")
        select.bind(0, view)
        return try select.step() ? select.integer(0) : 0
    }

    /// Why a version is promoted by a person only; nil if it need not be.
    ///
    /// A program promotes only what is newer than all that was ever live: whatever restarts an old build
    /// after an upgrade would take the new one's place otherwise, and a build that was overtaken by a
    /// newer one would undo it. The same holds after a rollback: what was passed over before stays so.
    func reasonToHoldBack(_ id: VersionID) throws(KappaError) -> String? {
        let live = try live(id.view)
        guard live != id.number, let newest = try newestEverLive(id.view), id.number <= newest
        else { return nil }
        if try wasRolledBackFrom(id) { return "somebody rolled back from it" }
        if let live, live > id.number {
            return "\(VersionID(id.view, live)), which is newer, is live"
        }
        return newest == id.number
            ? "somebody has made an older version live since"
            : "\(VersionID(id.view, newest)), which is newer, was live"
    }

    /// Whether somebody rolled back from a version, and nobody has made it live since.
    package func wasRolledBackFrom(_ id: VersionID) throws(KappaError) -> Bool {
        let last = try history(of: id.view).last { $0.from == id.number || $0.to == id.number }
        return last?.from == id.number && last?.reason == Switch.rollback
    }

    /// The error of whoever would drop a live version.
    static func isLive(_ id: VersionID) -> KappaError {
        KappaError(
            .usage, "\(id) is live", because: "readers see it",
            advice: "`kappa rebuild \(id.view)` builds another version and makes that live; "
                + "`kappa rollback \(id.view)` goes back to the one before")
    }

    /// What the status of a version says that is held back.
    static func heldBack(_ id: VersionID, because reason: String) -> String {
        "held back: \(reason); `kappa promote \(id)` makes it live"
    }
}
