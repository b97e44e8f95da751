/// The change feed of a version's file, as it is written: a row for each commit, with its changes packed.
///
/// Changes are numbered. A number stands for one change for ever, whatever happens to the file: the numbers of a
/// commit begin with its time, in microseconds, or after the last one if the clock is not past that. So a file that
/// was made again, put back from a copy, or lost its last commits in a power cut does not use numbers again that
/// followers of the earlier one have stored. The numbers stay below 2^53 until the year 2255, so that any reader of
/// JSON keeps them. They also say how old a change is.
final class FeedRecords {
    private let connection: SQLiteConnection
    private var insert: SQLiteStatement?
    var policy = FeedPolicy()
    private let now: () -> Int64
    /// The changes of the open commit that are not written yet.
    private var packer = PackedChanges.Packer()
    /// What the feed has; nil before the first change since the file was opened.
    private var extent: Extent?

    private struct Extent {
        /// The number of the oldest row's last change.
        var oldest: Int64
        /// The number of the newest change.
        var newest: Int64
        var bytes: Int
        /// The number of the newest change before the open commit.
        var committed: Int64
    }

    /// The changes of one row take at most about this much before they are packed: a follower unpacks a row whole.
    private static let rowBytes = 1 << 15
    /// So much more than the policy says is there before old changes are deleted, so that not each commit deletes.
    private static let slack = 16

    static let table = "_kappa_feed"
    /// Holds one number: that of the last change that is not kept. All later ones are.
    static let create = "CREATE TABLE \(table) (floor INTEGER NOT NULL) STRICT;"
    /// `seq` is the number of the last of `count` changes.
    static let createChanges = """
        CREATE TABLE _kappa_changes (
            seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, changes BLOB NOT NULL) STRICT;
        """

    init(
        _ connection: SQLiteConnection, now: @escaping () -> Int64 = SystemClock.wallMicroseconds
    ) {
        self.connection = connection
        self.now = now
    }

    /// Begins the feed of a new file.
    static func begin(_ connection: SQLiteConnection) throws(KappaError) {
        try setFloor(SystemClock.wallMicroseconds(), connection)
    }

    /// Begins the feed of a file of an earlier format anew: followers of the old one read all rows again.
    static func restart(_ connection: SQLiteConnection) throws(KappaError) {
        let newest = try FeedNumbers.newest(connection)
        try connection.execute(
            """
            DROP TABLE IF EXISTS \(table); DROP TABLE _kappa_changes;
            \(create) \(createChanges)
            """)
        try setFloor(newest, connection)
    }

    func add(_ change: ChangeRecord) throws(KappaError) {
        packer.add(change)
        if packer.bytes >= Self.rowBytes { try writeRow() }
    }

    /// Ends the changes of a commit: writes them, and deletes old ones.
    func finish() throws(KappaError) {
        try writeRow()
        try trim()
        if let newest = extent?.newest { extent?.committed = newest }
    }

    private func writeRow() throws(KappaError) {
        let count = packer.count
        if count == 0 { return }
        var extent = try knownExtent()
        extent.newest = max(extent.newest, now() - 1) + Int64(count)
        let blob = packer.finish()
        extent.bytes += blob.count
        let insert = try preparedInsert()
        insert.bind(0, extent.newest)
        insert.bind(1, Int64(count))
        var failure: KappaError?
        blob.withUnsafeBytes { bytes in
            insert.bind(2, blob: bytes)
            do throws(KappaError) { try insert.execute() } catch { failure = error }
        }
        if let failure { throw failure }
        extent.oldest = min(extent.oldest, extent.newest)
        self.extent = extent
    }

    /// Spilled rows of an earlier build have a table of changes with other columns, which nobody uses; so this is not
    /// prepared before it is needed.
    private func preparedInsert() throws(KappaError) -> SQLiteStatement {
        if let insert { return insert }
        let insert = try connection.prepare("INSERT INTO _kappa_changes VALUES (?, ?, ?)")
        self.insert = insert
        return insert
    }

    private func knownExtent() throws(KappaError) -> Extent {
        if let extent { return extent }
        let sum = try connection.integer("SELECT sum(length(changes)) FROM _kappa_changes")
        let newest = try FeedNumbers.newest(connection)
        return Extent(
            oldest: try oldest(), newest: newest, bytes: Int(sum ?? 0), committed: newest)
    }

    private func oldest() throws(KappaError) -> Int64 {
        try connection.integer("SELECT coalesce(min(seq), \(Int64.max)) FROM _kappa_changes")
            ?? .max
    }

    /// Deletes the oldest changes that are not kept.
    private func trim() throws(KappaError) {
        guard var extent else { return }
        let age = policy.ageMicros
        let isLong = extent.bytes > policy.bytes + policy.bytes / Self.slack
        let isOld = extent.oldest < now() - age - age / Int64(Self.slack)
        guard isLong || isOld else { return }
        let select = try connection.prepare(
            "SELECT seq, length(changes) FROM _kappa_changes ORDER BY seq")
        var floor: Int64?
        while extent.bytes > policy.bytes || isOld, try select.step() {
            if extent.bytes <= policy.bytes, select.integer(0) >= now() - age { break }
            // The changes of the open commit stay, however many they are.
            if select.integer(0) > extent.committed { break }
            floor = select.integer(0)
            extent.bytes -= Int(select.integer(1))
        }
        select.reset()
        guard let floor else { return }
        try connection.execute(
            """
            UPDATE \(Self.table) SET floor = \(floor);
            DELETE FROM _kappa_changes WHERE seq <= \(floor)
            """)
        extent.oldest = try oldest()
        self.extent = extent
    }

    /// A commit was undone.
    func wasUndone() {
        packer = PackedChanges.Packer()
        extent = nil
    }

    private static func setFloor(
        _ floor: Int64, _ connection: SQLiteConnection
    ) throws(KappaError) {
        try connection.execute("INSERT INTO \(table) VALUES (\(floor))")
    }
}

/// The numbers in a version's change feed.
private enum FeedNumbers {
    /// Whether changes are stored as this build reads them. The feed of an earlier format is not read.
    static func isReadable(_ connection: SQLiteConnection) throws(KappaError) -> Bool {
        try connection.integer(
            "SELECT count(*) FROM pragma_table_info('_kappa_changes') WHERE name = 'changes'") == 1
    }

    /// The number of the last change that is not kept.
    static func floor(_ connection: SQLiteConnection) throws(KappaError) -> Int64 {
        guard try isReadable(connection) else { return try newest(connection) }
        return try connection.integer("SELECT floor FROM \(FeedRecords.table)") ?? 0
    }

    /// The number of the newest change; where there is none, the floor.
    static func newest(_ connection: SQLiteConnection) throws(KappaError) -> Int64 {
        let newest = try connection.prepare("SELECT max(seq) FROM _kappa_changes")
        if try newest.step(), !newest.isNull(0) { return newest.integer(0) }
        let hasFloor =
            try connection.integer(
                "SELECT count(*) FROM sqlite_schema WHERE name = '\(FeedRecords.table)'") == 1
        guard hasFloor else { return 0 }
        return try connection.integer("SELECT floor FROM \(FeedRecords.table)") ?? 0
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
        let floor = try feedFloor()
        if number <= floor { return number == floor }
        let select = try connection.prepare(
            "SELECT seq - count FROM _kappa_changes WHERE seq >= ? ORDER BY seq LIMIT 1")
        select.bind(0, number)
        return try select.step() && number > select.integer(0)
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
        if floor == (try newestChange()) { return }
        let select = try connection.prepare(
            "SELECT seq, count, changes FROM _kappa_changes WHERE seq > ? ORDER BY seq")
        select.bind(0, after)
        while isWanted(), try select.step() {
            let first = select.integer(0) - select.integer(1) + 1
            for (index, change) in try PackedChanges.unpacked(select.blob(2)).enumerated()
            where first + Int64(index) > after {
                guard isWanted() else { return }
                try visit(first + Int64(index), change)
            }
        }
    }
}
