/// The change feed of a version's file, as it is written.
///
/// Changes are numbered. A number stands for one change for ever, whatever happens to the file: the numbers of
/// a file begin with the time at which it was made, in microseconds, and each time that it is opened for
/// writing they go on from the present time. So a file that was made again, put back from a copy, or lost its
/// last commits in a power cut does not use numbers again that followers of the earlier one have stored. The
/// numbers stay below 2^53 until the year 2255, so that any reader of JSON keeps them.
final class FeedRecords {
    private let connection: SQLiteConnection
    private let insert: SQLiteStatement
    /// How many changes the feed has; nil before the first change since the file was opened.
    private var count: Int?

    /// How many changes are kept for followers.
    private static let keptChanges = 200_000

    static let table = "_kappa_feed"
    /// Holds one number: that of the last change that is not kept. All later ones are.
    static let create = "CREATE TABLE \(table) (floor INTEGER NOT NULL) STRICT;"

    init(_ connection: SQLiteConnection) throws(KappaError) {
        self.connection = connection
        insert = try connection.prepare(
            """
            INSERT INTO _kappa_changes (seq, offset, table_index, key, before, after)
            VALUES (?, ?, ?, ?, ?, ?)
            """)
    }

    /// Begins the feed of a new file.
    static func begin(_ connection: SQLiteConnection) throws(KappaError) {
        try setFloor(SystemClock.wallMicroseconds(), connection)
    }

    func add(_ change: ChangeRecord) throws(KappaError) {
        if count == nil {
            insert.bind(0, try firstNumber())
        } else {
            insert.bindNull(0)
        }
        insert.bind(1, Int64(bitPattern: change.offset.rawValue))
        insert.bind(2, Int64(change.table))
        insert.bind(3, change.key)
        insert.bind(4, change.before)
        insert.bind(5, change.after)
        try insert.execute()
        if let count {
            self.count = count + 1
        } else {
            count = try presentCount()
        }
    }

    /// The number of the first change since the file was opened.
    private func firstNumber() throws(KappaError) -> Int64 {
        if try !FeedNumbers.hasFloor(connection) {
            // A file of an earlier release, whose feed has no gaps.
            let floor = try FeedNumbers.floor(connection)
            try connection.execute(Self.create)
            try Self.setFloor(floor, connection)
        }
        return max(try FeedNumbers.newest(connection) + 1, SystemClock.wallMicroseconds())
    }

    private func presentCount() throws(KappaError) -> Int {
        Int(try connection.integer("SELECT count(*) FROM _kappa_changes") ?? 0)
    }

    /// Deletes the oldest changes beyond those that are kept.
    func trim() throws(KappaError) {
        guard let count, count > Self.keptChanges else { return }
        let floor = try connection.integer(
            """
            SELECT seq FROM _kappa_changes ORDER BY seq
            LIMIT 1 OFFSET \(count - Self.keptChanges - 1)
            """)
        guard let floor else { return }
        try connection.execute(
            """
            UPDATE \(Self.table) SET floor = \(floor);
            DELETE FROM _kappa_changes WHERE seq <= \(floor)
            """)
        self.count = Self.keptChanges
    }

    /// A commit was undone.
    func wasUndone() { count = nil }

    private static func setFloor(
        _ floor: Int64, _ connection: SQLiteConnection
    ) throws(KappaError) {
        try connection.execute("INSERT INTO \(table) VALUES (\(floor))")
    }
}

/// The numbers in a version's change feed.
private enum FeedNumbers {
    /// Whether the file says which changes it no longer has; those of earlier releases do not.
    static func hasFloor(_ connection: SQLiteConnection) throws(KappaError) -> Bool {
        try connection.integer(
            "SELECT count(*) FROM sqlite_schema WHERE name = '\(FeedRecords.table)'") == 1
    }

    /// The number of the last change that is not kept.
    static func floor(_ connection: SQLiteConnection) throws(KappaError) -> Int64 {
        if try hasFloor(connection) {
            return try connection.integer("SELECT floor FROM \(FeedRecords.table)") ?? 0
        }
        return try connection.integer("SELECT min(seq) - 1 FROM _kappa_changes") ?? 0
    }

    /// The number of the newest change; where there is none, the floor.
    static func newest(_ connection: SQLiteConnection) throws(KappaError) -> Int64 {
        let newest = try connection.prepare("SELECT max(seq) FROM _kappa_changes")
        guard try newest.step(), !newest.isNull(0) else { return try floor(connection) }
        return newest.integer(0)
    }
}

/// The change feed of a version's file, as followers read it.
extension VersionReader {
    /// The number of the newest change; of the last one that is not kept if there are none.
    package func newestChange() throws(KappaError) -> Int64 { try FeedNumbers.newest(connection) }

    /// The number of the last change that is no longer kept: all later ones are.
    package func feedFloor() throws(KappaError) -> Int64 { try FeedNumbers.floor(connection) }

    /// Whether this file gave a change that number, and has all changes after it.
    func keepsChanges(after number: Int64) throws(KappaError) -> Bool {
        if try number == feedFloor() { return true }
        let select = try connection.prepare("SELECT 1 FROM _kappa_changes WHERE seq = ?")
        select.bind(0, number)
        return try select.step()
    }

    /// Visits the changes after number `after`, the oldest first, for as long as they are wanted.
    /// - Throws: `.notFound` if some of them are no longer kept.
    package func changes(
        after: Int64, while isWanted: () -> Bool = { true },
        _ visit: (Int64, ChangeRecord) throws -> Void
    ) throws {
        let floor = try feedFloor()
        if floor > after {
            throw KappaError(
                .notFound, "changes of \(view)@\(number) are no longer kept",
                because: "the follower is at change \(after), and those up to \(floor) are deleted",
                advice: "Read the view's rows again and follow from there")
        }
        let select = try connection.prepare(
            """
            SELECT seq, offset, table_index, key, before, after FROM _kappa_changes
            WHERE seq > ? ORDER BY seq
            """)
        select.bind(0, after)
        while isWanted(), try select.step() {
            try visit(
                select.integer(0),
                ChangeRecord(
                    offset: Offset(UInt64(bitPattern: select.integer(1))),
                    table: Int(select.integer(2)), key: select.string(3),
                    before: select.optionalString(4), after: select.optionalString(5)))
        }
    }
}
