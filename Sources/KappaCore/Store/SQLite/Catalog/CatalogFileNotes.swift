/// What the catalog keeps besides versions and switches: judgements, rebuilds that were begun, and failures
/// of live versions.
extension CatalogFile {
    static let judgementTable = """
        CREATE TABLE IF NOT EXISTS judgements (
            id INTEGER PRIMARY KEY AUTOINCREMENT, view TEXT NOT NULL, number INTEGER NOT NULL,
            against INTEGER, position INTEGER NOT NULL, verdict TEXT NOT NULL, added INTEGER,
            removed INTEGER, changed INTEGER, same INTEGER, gates TEXT NOT NULL,
            at INTEGER NOT NULL) STRICT
        """

    static let noteTables = """
        CREATE TABLE IF NOT EXISTS rebuilds (
            view TEXT NOT NULL, number INTEGER NOT NULL, promotes INTEGER NOT NULL,
            PRIMARY KEY (view, number)) STRICT;
        CREATE TABLE IF NOT EXISTS failures (
            view TEXT NOT NULL, number INTEGER NOT NULL, reason TEXT NOT NULL,
            since INTEGER NOT NULL, is_retried INTEGER NOT NULL,
            PRIMARY KEY (view, number)) STRICT;
        """

    // MARK: Judgements

    func add(_ judgement: JudgementRecord) throws(KappaError) {
        let insert = try database.prepare(
            """
            INSERT INTO judgements (view, number, against, position, verdict, gates, at, added,
                removed, changed, same)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)
        insert.bind(0, judgement.candidate)
        insert.bind(2, judgement.live)
        insert.bind(3, Int64(bitPattern: judgement.position.rawValue))
        insert.bind(4, judgement.verdict)
        insert.bind(5, judgement.gates)
        insert.bind(6, judgement.atMicros)
        for index in 0..<4 {
            if let counts = judgement.counts {
                insert.bind(7 + index, Int64(counts[index]))
            } else {
                insert.bindNull(7 + index)
            }
        }
        try insert.execute()
    }

    /// Every judgement of a view, oldest first.
    func judgements(of view: String) throws(KappaError) -> [JudgementRecord] {
        let select = try database.prepare(
            """
            SELECT number, against, position, verdict, gates, at, added, removed, changed, same
            FROM judgements WHERE view = ? ORDER BY id
            """)
        select.bind(0, view)
        var judgements: [JudgementRecord] = []
        while try select.step() {
            judgements.append(
                JudgementRecord(
                    candidate: VersionID(view, select.number(0)), live: select.optionalNumber(1),
                    position: Offset(UInt64(bitPattern: select.integer(2))),
                    verdict: select.string(3),
                    counts: select.isNull(6) ? nil : (6...9).map { Int(select.integer($0)) },
                    gates: select.string(4), atMicros: select.integer(5)))
        }
        return judgements
    }

    // MARK: Rebuilds

    /// Notes a rebuild that was begun, and whether it is to be promoted.
    func addRebuild(_ id: VersionID, promotes: Bool) throws(KappaError) {
        let insert = try database.prepare("INSERT OR REPLACE INTO rebuilds VALUES (?, ?, ?)")
        insert.bind(0, id)
        insert.bind(2, Int64(promotes ? 1 : 0))
        try insert.execute()
    }

    /// The rebuilds that were begun, and whether each is to be promoted.
    func rebuilds(of view: String) throws(KappaError) -> [VersionNumber: Bool] {
        if !hasNotes { return [:] }
        let select = try database.prepare("SELECT number, promotes FROM rebuilds WHERE view = ?")
        select.bind(0, view)
        var rebuilds: [VersionNumber: Bool] = [:]
        while try select.step() { rebuilds[select.number(0)] = select.integer(1) != 0 }
        return rebuilds
    }

    // MARK: Failures

    /// Notes why a version makes no progress, if it is live. Further tries keep the time since when.
    func addFailure(_ id: VersionID, _ failure: VersionEntry.Failure) throws(KappaError) {
        let insert = try database.prepare(
            """
            INSERT INTO failures
            SELECT view, number, ?3, ?4, ?5 FROM versions
            WHERE view = ?1 AND number = ?2 AND state = 'live'
            ON CONFLICT (view, number) DO UPDATE
            SET reason = excluded.reason, is_retried = excluded.is_retried
            """)
        insert.bind(0, id)
        insert.bind(2, failure.reason)
        insert.bind(3, failure.sinceMicros)
        insert.bind(4, Int64(failure.isRetried ? 1 : 0))
        try insert.execute()
    }

    func removeFailure(of id: VersionID) throws(KappaError) { try delete(id, from: "failures") }

    /// Removes all notes about a version.
    func removeNotes(of id: VersionID) throws(KappaError) {
        for table in ["failures", "rebuilds"] { try delete(id, from: table) }
    }

    /// Moves what the write-ahead log holds into the file, which makes room in the existing part of the
    /// log: on a full disk there is no other room.
    func makeRoom() { try? database.execute("PRAGMA wal_checkpoint(PASSIVE)") }
}

/// One judgement as the catalog records it.
struct JudgementRecord {
    var candidate: VersionID
    /// The live version that it was compared with; nil for a first version.
    var live: VersionNumber?
    var position: Offset
    var verdict: String
    /// How many rows were added, removed, changed and the same; nil where none were compared.
    var counts: [Int]?
    /// The gates' findings, as a JSON array.
    var gates: String
    /// In microseconds since 1970-01-01T00:00:00Z.
    var atMicros: Int64
}
