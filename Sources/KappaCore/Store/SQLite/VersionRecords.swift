/// What a version's file keeps besides its rows: the checkpoint, dead letters, the change feed.
struct VersionRecords {
    private let saveCheckpoint: SQLiteStatement
    private let addDead: SQLiteStatement
    let feed: FeedRecords

    init(_ connection: SQLiteConnection) throws(KappaError) {
        saveCheckpoint = try connection.prepare(
            "INSERT OR REPLACE INTO _kappa_checkpoint VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)")
        addDead = try connection.prepare("INSERT OR REPLACE INTO _kappa_dead VALUES (?, ?, ?)")
        feed = FeedRecords(connection)
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
}
