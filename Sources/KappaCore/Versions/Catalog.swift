import Glibc

/// Which versions there are, which of them is live, and how that came about.
///
/// A SQLite database with `synchronous=FULL`: what it says survives power loss. One thread uses a
/// catalog at a time; each opens its own.
package final class Catalog {
    package let folder: DataFolder
    let database: SQLiteConnection
    private let dataVersion: SQLiteStatement
    /// Whether it has the tables of ``noteTables``: a catalog of an earlier build that cannot be written to
    /// has not.
    let hasNotes: Bool

    package struct Entry: Equatable, Sendable {
        package var id: VersionID
        package var digest: String
        package var state: VersionState
        package var isLive: Bool
        /// Why it is paused or failed, or waits.
        package var reason: String?
        /// Why it stands still, though it is live.
        package var failure: Failure?
    }

    /// One change of a live pointer.
    package struct Switch: Equatable, Sendable {
        package var view: String
        package var from: VersionNumber?
        package var to: VersionNumber
        package var position: Offset
        package var reason: String
        /// When, in microseconds since 1970-01-01T00:00:00Z.
        package var atMicros: Int64
        /// What was found out before, where there are gates; not read back with the history.
        package var judgement: Judgement?

        /// The reason of a switch that somebody made with `kappa rollback`.
        package static let rollback = "rollback"
    }

    /// Opens the catalog, making it where it is new, and repairs what a killed process has left.
    ///
    /// Where nothing can be written, such as on a full disk, it can be read; what would change it fails.
    package init(_ folder: DataFolder) throws {
        self.folder = folder
        var database: SQLiteConnection
        var failure: KappaError?
        do {
            database = try Self.writable(folder)
        } catch let error as KappaError where ReadingConnection.isOfSystem(error) {
            database = try Self.readable(folder, or: error)
            failure = error
        }
        self.database = database
        dataVersion = try database.prepare("PRAGMA data_version")
        hasNotes = try database.integer(Self.isMade) == 1
        database.whyReadOnly = failure
        if failure != nil { return }
        do { try repair() } catch let error as KappaError where ReadingConnection.isOfSystem(error)
        {
            // Nobody's rows depend on it: whoever may write here does it later.
        }
    }

    private static func writable(_ folder: DataFolder) throws -> SQLiteConnection {
        try Folder.make(folder.path + "/views")
        let database = try SQLiteConnection(folder.catalog, .create)
        try database.useWAL()
        database.keepWAL()
        try database.execute("PRAGMA synchronous = FULL")
        if try database.integer(isMade) == 0 {
            try database.transaction { try makeTables(database) }
        }
        return database
    }

    private static let isMade = "SELECT count(*) FROM sqlite_master WHERE name = 'failures'"

    /// A catalog that cannot be written to; one that could not be made has no versions.
    private static func readable(
        _ folder: DataFolder, or error: KappaError
    ) throws -> SQLiteConnection {
        if try IOFailure.isThere(folder.catalog) {
            return try ReadingConnection.open(folder.catalog, lease: nil).connection
        }
        guard try IOFailure.isThere(folder.log) else { throw error }
        let empty = try SQLiteConnection(":memory:", .create)
        try makeTables(empty)
        try empty.onlyRead()
        return empty
    }

    private static func makeTables(_ database: SQLiteConnection) throws(KappaError) {
        try database.execute(tables)
        try database.execute(judgementTable)
        try database.execute(noteTables)
    }

    private static let tables = """
        CREATE TABLE IF NOT EXISTS versions (
            view TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT NOT NULL,
            state TEXT NOT NULL, reason TEXT, PRIMARY KEY (view, number)) STRICT;
        CREATE TABLE IF NOT EXISTS views (
            view TEXT PRIMARY KEY, last_number INTEGER NOT NULL, live INTEGER) STRICT;
        CREATE TABLE IF NOT EXISTS history (
            id INTEGER PRIMARY KEY AUTOINCREMENT, view TEXT NOT NULL, from_number INTEGER,
            to_number INTEGER NOT NULL, position INTEGER NOT NULL, reason TEXT NOT NULL,
            at INTEGER NOT NULL) STRICT;
        """

    /// A number that changes whenever another connection has changed the catalog.
    func changeCounter() throws(KappaError) -> Int64 {
        defer { dataVersion.reset() }
        return try dataVersion.step() ? dataVersion.integer(0) : 0
    }

    func transaction<R>(_ body: () throws -> R) throws -> R {
        try database.transaction("BEGIN IMMEDIATE", body)
    }

    // MARK: Reading

    /// All versions, by view and number.
    package func entries(of view: String? = nil) throws(KappaError) -> [Entry] {
        let select = try database.prepare(
            """
            SELECT v.view, v.number, v.digest, v.state, v.reason, w.live IS v.number,
                \(hasNotes ? "f.reason, f.since, f.is_retried" : "NULL, NULL, NULL")
            FROM versions v LEFT JOIN views w USING (view)
                \(hasNotes ? "LEFT JOIN failures f USING (view, number)" : "")
            WHERE ?1 IS NULL OR v.view = ?1 ORDER BY v.view, v.number
            """)
        select.bind(0, view)
        var entries: [Entry] = []
        while try select.step() {
            let isLive = select.integer(5) != 0
            let failure = select.optionalString(6).map { reason in
                Failure(
                    reason: reason, sinceMicros: select.integer(7),
                    isRetried: select.integer(8) != 0)
            }
            entries.append(
                Entry(
                    id: VersionID(select.string(0), VersionNumber(Int(select.integer(1)))),
                    digest: select.string(2),
                    state: VersionState(rawValue: select.string(3)) ?? .failed, isLive: isLive,
                    reason: select.optionalString(4), failure: isLive ? failure : nil))
        }
        return entries
    }

    package func live(_ view: String) throws(KappaError) -> VersionNumber? {
        let select = try database.prepare("SELECT live FROM views WHERE view = ?")
        select.bind(0, view)
        guard try select.step(), !select.isNull(0) else { return nil }
        return VersionNumber(Int(select.integer(0)))
    }

    /// Checks that there is a view of a name at all: of a misspelt one nobody should read that it has no
    /// rows yet.
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

    /// Whether a version is or was live.
    func wasLive(_ id: VersionID) throws(KappaError) -> Bool {
        let select = try database.prepare(
            "SELECT 1 FROM history WHERE view = ? AND to_number = ? LIMIT 1")
        select.bind(0, id.view)
        select.bind(1, Int64(id.number.rawValue))
        return try select.step()
    }

    /// Whether readers have seen a version whose file is gone. It is not made anew in its place: they
    /// would go back to its beginning.
    func hasLostFile(_ entry: Entry) -> Bool {
        (entry.isLive || entry.state == .retired) && entry.state != .failed
            && !folder.hasFile(entry.id)
    }

    /// The version that a person means: the one named, else the live one, else the newest.
    package func resolve(_ reference: VersionReference) throws(KappaError) -> Entry {
        let entries = try entries(of: reference.view)
        let found =
            if let number = reference.number {
                entries.first { $0.id.number == number }
            } else {
                entries.first { $0.isLive } ?? entries.last
            }
        if let found { return found }
        let others = entries.map(\.id.description).joined(separator: ", ")
        throw KappaError(
            .notFound,
            entries.isEmpty
                ? "view \(reference.view) has no version" : "there is no version \(reference)",
            at: folder.path,
            because: entries.isEmpty ? "nothing was built yet" : "there are \(others)",
            advice: entries.isEmpty
                ? "Build it with `kappa rebuild \(reference.view)`; `kappa views` lists the names"
                : "Name one of them")
    }

    /// Every switch of a view, oldest first.
    package func history(of view: String) throws(KappaError) -> [Switch] {
        let select = try database.prepare(
            """
            SELECT from_number, to_number, position, reason, at FROM history
            WHERE view = ? ORDER BY id
            """)
        select.bind(0, view)
        var history: [Switch] = []
        while try select.step() {
            history.append(
                Switch(
                    view: view,
                    from: select.isNull(0) ? nil : VersionNumber(Int(select.integer(0))),
                    to: VersionNumber(Int(select.integer(1))),
                    position: Offset(UInt64(bitPattern: select.integer(2))),
                    reason: select.string(3), atMicros: select.integer(4)))
        }
        return history
    }

    // MARK: Changing

    /// Enters a new version; its file is made when it is first opened.
    package func create(view: String, digest: String) throws -> VersionID {
        try transaction { try enter(view: view, digest: digest) }
    }

    /// Enters a new version, inside of a transaction.
    func enter(view: String, digest: String) throws(KappaError) -> VersionID {
        let next = try database.prepare(
            """
            INSERT INTO views (view, last_number) VALUES (?, 1)
            ON CONFLICT (view) DO UPDATE SET last_number = last_number + 1
            RETURNING last_number
            """)
        next.bind(0, view)
        guard try next.step() else {
            throw KappaError(.bug, "a new version got no number", at: view)
        }
        let number = next.integer(0)
        next.reset()
        let insert = try database.prepare("INSERT INTO versions VALUES (?, ?, ?, ?, NULL)")
        insert.bind(0, view)
        insert.bind(1, number)
        insert.bind(2, digest)
        insert.bind(3, VersionState.building.rawValue)
        try insert.execute()
        return VersionID(view, VersionNumber(Int(number)))
    }

    package func setState(
        _ id: VersionID, _ state: VersionState, reason: String? = nil
    ) throws(KappaError) {
        let update = try database.prepare(
            "UPDATE versions SET state = ?, reason = ? WHERE view = ? AND number = ?")
        update.bind(0, state.rawValue)
        update.bind(1, reason)
        update.bind(2, id.view)
        update.bind(3, Int64(id.number.rawValue))
        try update.execute()
    }

    /// Notes what a version waits for, unless it was switched meanwhile, or somebody has dropped it.
    func setWaiting(
        _ id: VersionID, _ state: VersionState, reason: String? = nil
    ) throws(KappaError) {
        let update = try database.prepare(
            """
            UPDATE versions SET state = ?, reason = ? WHERE view = ? AND number = ?
            AND state NOT IN ('live', 'retired', 'failed')
            """)
        update.bind(0, state.rawValue)
        update.bind(1, reason)
        update.bind(2, id.view)
        update.bind(3, Int64(id.number.rawValue))
        try update.execute()
    }

    /// Versions whose file is gone have failed; inside of a transaction.
    func failLostFiles(of view: String) throws(KappaError) {
        for entry in try entries(of: view) where hasLostFile(entry) {
            try setState(entry.id, .failed, reason: "its file is gone")
        }
    }

    /// Points a view at a version and writes the history; inside of a transaction.
    func point(
        _ view: String, from: VersionNumber?, to: VersionNumber, position: Offset, reason: String
    ) throws(KappaError) {
        let update = try database.prepare("UPDATE views SET live = ? WHERE view = ?")
        update.bind(0, Int64(to.rawValue))
        update.bind(1, view)
        try update.execute()
        if let from, from != to { try retire(VersionID(view, from)) }
        try setState(VersionID(view, to), .live)
        let insert = try database.prepare(
            """
            INSERT INTO history (view, from_number, to_number, position, reason, at)
            VALUES (?, ?, ?, ?, ?, ?)
            """)
        insert.bind(0, view)
        if let from { insert.bind(1, Int64(from.rawValue)) } else { insert.bindNull(1) }
        insert.bind(2, Int64(to.rawValue))
        insert.bind(3, Int64(bitPattern: position.rawValue))
        insert.bind(4, reason)
        insert.bind(5, SystemClock.wallMicroseconds())
        try insert.execute()
    }

    /// What has failed stays so: nothing goes back to it.
    private func retire(_ id: VersionID) throws(KappaError) {
        let failed = try entries(of: id.view).contains { $0.id == id && $0.state == .failed }
        if !failed { try setState(id, .retired) }
        try clearFailure(id)
    }

    /// Forgets a version and removes its files. The caller holds its lease.
    package func drop(_ id: VersionID) throws {
        // In one transaction, so that nobody makes it live between the look and the deletion.
        try transaction {
            if try live(id.view) == id.number {
                throw Self.isLive(id)
            }
            try forgetNotes(of: id)
            let delete = try database.prepare(
                "DELETE FROM versions WHERE view = ? AND number = ?")
            delete.bind(0, id.view)
            delete.bind(1, Int64(id.number.rawValue))
            try delete.execute()
        }
        try folder.removeFiles(of: id)
    }

    // MARK: Repairing

    /// The catalog is right: links that point elsewhere are put right, files that it does not know
    /// are removed unless somebody is at work on them.
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
                if entries.contains(where: { $0.id == id }) { continue }
                // Another process may have entered it a moment ago: look again under its lease.
                guard let lease = try? Lease(id, in: folder) else { continue }
                if try !self.entries(of: view).contains(where: { $0.id == id }) {
                    try folder.removeFiles(of: id)
                }
                withExtendedLifetime(lease) {}
            }
        }
    }

    /// Under the switch lock: a promotion may be about to put the link right itself.
    private func repairLink(of view: String) throws {
        try SwitchLock(view, in: folder).alone {
            guard let live = try live(view), folder.linkedNumber(of: view) != live,
                folder.hasFile(VersionID(view, live))
            else { return }
            try folder.pointLink(of: view, to: live)
        }
    }
}
