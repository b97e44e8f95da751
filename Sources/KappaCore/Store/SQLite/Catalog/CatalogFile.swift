/// The catalog's file: versions, live pointers and switches. `CatalogFileNotes.swift` has what else it
/// keeps.
///
/// A SQLite database with `synchronous=FULL`: what is committed survives power loss. Only one thread at a
/// time uses it; each opens its own.
final class CatalogFile {
    let database: SQLiteConnection
    private let dataVersion: SQLiteStatement
    private let identity: FileIdentity?
    private var nameTimer = IntervalTimer(milliseconds: 100)
    /// Whether it has the tables of ``noteTables``: a catalog of an earlier build that cannot be written to
    /// lacks them.
    let hasNotes: Bool
    /// Whether it has ``feedTable``, which catalogs of earlier builds lack as well.
    private let hasFeedStarts: Bool

    /// Opens it for writing, and creates it where it does not exist.
    convenience init(writing path: String) throws {
        let database = try SQLiteConnection(path, .create)
        try Self.requireKnownFormat(database)
        try database.useWAL()
        database.keepWAL()
        try database.execute("PRAGMA synchronous = FULL")
        if try database.integer(Self.has("feed_starts")) == 0 {
            try database.transaction { try Self.makeTables(database) }
        }
        try self.init(database)
    }

    /// Opens it for reading only, where nothing can be written.
    /// - Parameter reason: Why nothing can be written; a change of the catalog fails with this error.
    convenience init(reading path: String, because reason: KappaError) throws(KappaError) {
        let database = try ReadingConnection.open(path, lease: nil).connection
        try Self.requireKnownFormat(database)
        try self.init(database)
        database.whyReadOnly = reason
    }

    /// Stands in for a catalog that could not be created: it has no versions.
    /// - Parameter reason: Why it could not be created.
    convenience init(emptyBecause reason: KappaError) throws(KappaError) {
        let database = try SQLiteConnection(":memory:", .create)
        try Self.makeTables(database)
        try database.onlyRead()
        try self.init(database)
        database.whyReadOnly = reason
    }

    private init(_ database: SQLiteConnection) throws(KappaError) {
        self.database = database
        identity = FileIdentity(of: database.path)
        dataVersion = try database.prepare("PRAGMA data_version")
        hasNotes = try database.integer(Self.has("failures")) == 1
        hasFeedStarts = try database.integer(Self.has("feed_starts")) == 1
    }

    /// The format of its tables. Earlier builds have not written it, so that it is 0 in their files.
    private static let format: Int64 = 1

    private static func requireKnownFormat(_ database: SQLiteConnection) throws(KappaError) {
        let found = try database.integer("PRAGMA user_version") ?? 0
        guard !(0...format).contains(found) else { return }
        throw KappaError(
            .usage, "the catalog cannot be read", at: database.path,
            because: "it has format \(found), and this kappa reads format \(format)",
            advice: "A newer kappa has written it: use that one. Nothing was changed")
    }

    private static func has(_ table: String) -> String {
        "SELECT count(*) FROM sqlite_master WHERE name = '\(table)'"
    }

    private static func makeTables(_ database: SQLiteConnection) throws(KappaError) {
        try database.execute(tables)
        try database.execute(judgementTable)
        try database.execute(noteTables)
        try database.execute(feedTable)
        try database.execute("PRAGMA user_version = \(format)")
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

    /// For each switch, the number of the newest change in the feed of the version that became live.
    private static let feedTable = """
        CREATE TABLE IF NOT EXISTS feed_starts (
            switch INTEGER PRIMARY KEY, change INTEGER NOT NULL) STRICT
        """

    /// Why it can only be read; nil where it can be written to.
    var whyReadOnly: KappaError? { database.whyReadOnly }

    /// Whether its connection must not be kept open; see ``SQLiteConnection/isMakeshift``.
    var isMakeshift: Bool { database.isMakeshift }

    /// A number that changes whenever another connection has changed the catalog.
    func changeCounter() throws(KappaError) -> Int64 {
        if nameTimer.isDue(), let loss = identity?.loss(of: database.path) {
            throw KappaError(
                .damaged, "the catalog is gone", at: database.path, because: loss,
                advice:
                    "Restore the data folder. Everything in it except the log can be rebuilt by "
                    + "`kappa run`")
        }
        defer { dataVersion.reset() }
        return try dataVersion.step() ? dataVersion.integer(0) : 0
    }

    func transaction<R>(_ body: () throws -> R) throws -> R {
        try database.transaction("BEGIN IMMEDIATE", body)
    }

    // MARK: Versions

    /// All versions, by view and number.
    /// - Parameter view: The only view to look at; nil for all.
    func versions(of view: String?) throws(KappaError) -> [VersionEntry] {
        let select = try database.prepare(
            """
            SELECT v.view, v.number, v.digest, v.state, v.reason, w.live IS v.number,
                \(hasNotes ? "f.reason, f.since, f.is_retried" : "NULL, NULL, NULL")
            FROM versions v LEFT JOIN views w USING (view)
                \(hasNotes ? "LEFT JOIN failures f USING (view, number)" : "")
            WHERE ?1 IS NULL OR v.view = ?1 ORDER BY v.view, v.number
            """)
        select.bind(0, view)
        var versions: [VersionEntry] = []
        while try select.step() {
            let isLive = select.integer(5) != 0
            let failure = select.optionalString(6).map { reason in
                VersionEntry.Failure(
                    reason: reason, sinceMicros: select.integer(7),
                    isRetried: select.integer(8) != 0)
            }
            versions.append(
                VersionEntry(
                    id: VersionID(select.string(0), select.number(1)), digest: select.string(2),
                    state: VersionState(rawValue: select.string(3)) ?? .failed, isLive: isLive,
                    reason: select.optionalString(4), failure: isLive ? failure : nil))
        }
        return versions
    }

    /// Adds a new version under the view's next number. Call it inside a transaction.
    func add(view: String, digest: String, _ state: VersionState) throws(KappaError) -> VersionID {
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
        let id = VersionID(view, next.number(0))
        next.reset()
        let insert = try database.prepare(
            "INSERT INTO versions (view, number, digest, state) VALUES (?, ?, ?, ?)")
        insert.bind(0, id)
        insert.bind(2, digest)
        insert.bind(3, state.rawValue)
        try insert.execute()
        return id
    }

    /// - Parameter others: States in which a version stays as it is.
    func setState(
        _ id: VersionID, _ state: VersionState, reason: String?, unless others: [VersionState] = []
    ) throws(KappaError) {
        let kept = others.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        let update = try database.prepare(
            """
            UPDATE versions SET state = ?3, reason = ?4
            WHERE view = ?1 AND number = ?2 AND state NOT IN (\(kept))
            """)
        update.bind(0, id)
        update.bind(2, state.rawValue)
        update.bind(3, reason)
        try update.execute()
    }

    func remove(_ id: VersionID) throws(KappaError) { try delete(id, from: "versions") }

    /// Deletes a version's rows from a table.
    func delete(_ id: VersionID, from table: String) throws(KappaError) {
        let delete = try database.prepare("DELETE FROM \(table) WHERE view = ? AND number = ?")
        delete.bind(0, id)
        try delete.execute()
    }

    // MARK: Live pointers and their history

    func live(_ view: String) throws(KappaError) -> VersionNumber? {
        try number("SELECT live FROM views WHERE view = ?", of: view)
    }

    func setLive(_ view: String, _ number: VersionNumber) throws(KappaError) {
        let update = try database.prepare("UPDATE views SET live = ? WHERE view = ?")
        update.bind(0, number)
        update.bind(1, view)
        try update.execute()
    }

    /// Adds a switch to the history.
    func add(_ change: SwitchRecord) throws(KappaError) {
        let insert = try database.prepare(
            """
            INSERT INTO history (view, from_number, to_number, position, reason, at)
            VALUES (?, ?, ?, ?, ?, ?)
            """)
        insert.bind(0, change.view)
        insert.bind(1, change.from)
        insert.bind(2, change.to)
        insert.bind(3, Int64(bitPattern: change.position.rawValue))
        insert.bind(4, change.reason)
        insert.bind(5, change.atMicros)
        try insert.execute()
        guard let start = change.feedStart else { return }
        try database.execute(
            "INSERT INTO feed_starts VALUES (last_insert_rowid(), \(start))")
    }

    /// Every switch of a view, oldest first.
    func switches(of view: String) throws(KappaError) -> [SwitchRecord] {
        let select = try database.prepare(
            """
            SELECT from_number, to_number, position, reason, at,
                \(hasFeedStarts ? "change" : "NULL")
            FROM history \(hasFeedStarts ? "LEFT JOIN feed_starts ON switch = id" : "")
            WHERE view = ? ORDER BY id
            """)
        select.bind(0, view)
        var switches: [SwitchRecord] = []
        while try select.step() {
            switches.append(
                SwitchRecord(
                    view: view, from: select.optionalNumber(0), to: select.number(1),
                    position: Offset(UInt64(bitPattern: select.integer(2))),
                    reason: select.string(3), atMicros: select.integer(4),
                    feedStart: select.isNull(5) ? nil : select.integer(5)))
        }
        return switches
    }

    /// Whether a version is or was live.
    func wasLive(_ id: VersionID) throws(KappaError) -> Bool {
        let select = try database.prepare(
            "SELECT 1 FROM history WHERE view = ? AND to_number = ? LIMIT 1")
        select.bind(0, id)
        return try select.step()
    }

    /// The highest number that was ever live.
    func newestEverLive(_ view: String) throws(KappaError) -> VersionNumber? {
        try number("SELECT max(to_number) FROM history WHERE view = ?", of: view)
    }

    /// The number of a view's last switch; 0 where nothing was ever live.
    func lastSwitch(_ view: String) throws(KappaError) -> Int64 {
        let select = try database.prepare("SELECT max(id) FROM history WHERE view = ?")
        select.bind(0, view)
        return try select.step() ? select.integer(0) : 0
    }

    private func number(_ sql: String, of view: String) throws(KappaError) -> VersionNumber? {
        let select = try database.prepare(sql)
        select.bind(0, view)
        return try select.step() ? select.optionalNumber(0) : nil
    }
}

/// One version as the catalog records it.
package struct VersionEntry: Equatable, Sendable {
    package var id: VersionID
    package var digest: String
    package var state: VersionState
    package var isLive: Bool
    /// Why it is paused or failed, or waits.
    package var reason: String?
    /// Why it makes no progress although it is live.
    package var failure: Failure?

    /// Why a live version makes no progress.
    package struct Failure: Equatable, Sendable {
        package var reason: String
        /// In microseconds since 1970-01-01T00:00:00Z.
        package var sinceMicros: Int64
        /// Whether its process tries again.
        package var isRetried: Bool
    }
}

/// One change of a live pointer as the catalog records it.
struct SwitchRecord {
    var view: String
    var from: VersionNumber?
    var to: VersionNumber
    var position: Offset
    var reason: String
    /// When, in microseconds since 1970-01-01T00:00:00Z.
    var atMicros: Int64
    /// The number of the newest change in the feed of `to`; nil if an earlier build made the switch.
    var feedStart: Int64?
}

extension SQLiteStatement {
    func number(_ index: Int) -> VersionNumber { VersionNumber(Int(integer(index))) }

    func optionalNumber(_ index: Int) -> VersionNumber? { isNull(index) ? nil : number(index) }

    func bind(_ index: Int, _ number: VersionNumber?) {
        if let number { bind(index, Int64(number.rawValue)) } else { bindNull(index) }
    }

    /// Binds a view and a number, one after the other.
    func bind(_ index: Int, _ id: VersionID) {
        bind(index, id.view)
        bind(index + 1, id.number)
    }
}
