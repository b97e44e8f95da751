/// What is kept beside a rebuild's runs until its first commit: how many runs there are, their checkpoint
/// and dead letters, and the progress of the version's file if rows were written ahead.
final class SpillRecords {
    private let connection: SQLiteConnection
    private let records: VersionRecords

    /// The format of the runs and of these records. Earlier kappas wrote none.
    private static let format: Int64 = 2

    init(_ path: String) throws {
        let connection = try SQLiteConnection(path, .create)
        self.connection = connection
        try connection.useWAL()
        try Self.requireKnownFormat(connection)
        if try connection.integer("SELECT count(*) FROM sqlite_schema") == 0 {
            try connection.transaction {
                try connection.execute(VersionSchema.own)
                try connection.execute(
                    """
                    CREATE TABLE runs (number INTEGER PRIMARY KEY) STRICT;
                    CREATE TABLE ahead (progress BLOB NOT NULL) STRICT;
                    PRAGMA user_version = \(Self.format)
                    """)
            }
        }
        records = try VersionRecords(connection)
    }

    private static func requireKnownFormat(
        _ connection: SQLiteConnection
    ) throws(KappaError) {
        let found = try connection.integer("PRAGMA user_version") ?? 0
        if (0...format).contains(found) { return }
        throw KappaError(
            .usage, "the spilled rows of a rebuild cannot be read", at: connection.path,
            because: "they have format \(found), and this kappa reads formats up to \(format)",
            advice: "A newer kappa has written them: use that one, or remove their folder, and the "
                + "rebuild begins again")
    }

    /// The checkpoint of the runs, without opening them for writing.
    static func checkpoint(_ path: String) throws(KappaError) -> Checkpoint? {
        try VersionReader.checkpoint(ReadingConnection.open(path, lease: nil).connection)
    }

    func checkpoint() throws(KappaError) -> Checkpoint? {
        try VersionReader.checkpoint(connection)
    }

    func runCount() throws(KappaError) -> Int {
        Int(try connection.integer("SELECT count(*) FROM runs") ?? 0)
    }

    /// The progress of the version's file; nil where no row was written ahead.
    /// - Throws: `.damaged` where the runs are from an earlier build, which did not write ahead.
    func progress() throws(KappaError) -> [UInt8]? {
        guard
            try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'ahead'") == 1
        else {
            throw KappaError(
                .damaged, "an earlier build has spilled rows to disk", at: connection.path)
        }
        let select = try connection.prepare("SELECT progress FROM ahead")
        guard try select.step() else { return nil }
        return Array(select.blob(0))
    }

    /// Adds a run with its records, in one transaction.
    func add(
        run number: Int, _ checkpoint: Checkpoint, _ deadLetters: [DeadLetter],
        progress: [UInt8]?
    ) throws {
        try connection.transaction {
            for letter in deadLetters { try records.add(letter) }
            try connection.execute("INSERT INTO runs VALUES (\(number))")
            if let progress { try save(progress) }
            try records.save(checkpoint)
        }
    }

    private func save(_ progress: [UInt8]) throws(KappaError) {
        try connection.execute("DELETE FROM ahead")
        let insert = try connection.prepare("INSERT INTO ahead VALUES (?)")
        var failure: KappaError?
        progress.withUnsafeBytes { bytes in
            insert.bind(0, blob: bytes)
            do throws(KappaError) { try insert.execute() } catch { failure = error }
        }
        if let failure { throw failure }
    }

    func deadLetters() throws(KappaError) -> DeadLetterCursor { try DeadLetterCursor(connection) }
}
