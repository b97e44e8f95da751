/// What a version's file keeps besides its rows: the checkpoint, dead letters, the change feed.
struct VersionRecords {
    private let saveCheckpoint: SQLiteStatement
    private let addDead: SQLiteStatement
    private let addChange: SQLiteStatement
    private let trim: SQLiteStatement

    /// How many changes are kept for followers.
    private static let keptChanges = 200_000

    init(_ connection: SQLiteConnection) throws(KappaError) {
        saveCheckpoint = try connection.prepare(
            "INSERT OR REPLACE INTO _kappa_checkpoint VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)")
        addDead = try connection.prepare("INSERT OR REPLACE INTO _kappa_dead VALUES (?, ?, ?)")
        addChange = try connection.prepare(
            """
            INSERT INTO _kappa_changes (offset, table_index, key, before, after)
            VALUES (?, ?, ?, ?, ?)
            """)
        trim = try connection.prepare(
            """
            DELETE FROM _kappa_changes
            WHERE seq <= (SELECT max(seq) FROM _kappa_changes) - \(Self.keptChanges)
            """)
    }

    func save(_ checkpoint: Checkpoint) throws(KappaError) {
        saveCheckpoint.bind(0, Int64(bitPattern: checkpoint.offset.rawValue))
        saveCheckpoint.bind(1, Int64(bitPattern: checkpoint.digest.bytes))
        saveCheckpoint.bind(2, Int64(checkpoint.digest.crc))
        saveCheckpoint.bind(3, Int64(bitPattern: checkpoint.counters.applied))
        saveCheckpoint.bind(4, Int64(bitPattern: checkpoint.counters.filtered))
        saveCheckpoint.bind(5, Int64(bitPattern: checkpoint.counters.late))
        saveCheckpoint.bind(6, Int64(bitPattern: checkpoint.counters.dead))
        saveCheckpoint.bind(7, checkpoint.streamTimes.text)
        try saveCheckpoint.execute()
    }

    func add(_ deadLetter: DeadLetter) throws(KappaError) {
        addDead.bind(0, Int64(bitPattern: deadLetter.offset.rawValue))
        addDead.bind(1, deadLetter.reason)
        addDead.bind(2, deadLetter.event)
        try addDead.execute()
    }

    func add(_ change: ChangeRecord) throws(KappaError) {
        addChange.bind(0, Int64(bitPattern: change.offset.rawValue))
        addChange.bind(1, Int64(change.table))
        addChange.bind(2, change.key)
        addChange.bind(3, change.before)
        addChange.bind(4, change.after)
        try addChange.execute()
    }

    /// Deletes the oldest changes beyond those that are kept.
    func trimChanges() throws(KappaError) { try trim.execute() }
}
