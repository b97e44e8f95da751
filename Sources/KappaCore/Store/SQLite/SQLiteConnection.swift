import CSQLite
import Glibc

/// A connection to a SQLite database. Its calls block; only one thread at a time uses it.
package final class SQLiteConnection {
    package let path: String
    let handle: OpaquePointer
    /// Whether ``SQLFunctions`` are registered.
    var hasFunctions = false
    /// Whether ``ReadingConnection`` opened it in one of its ways for places where nothing can be written.
    /// Such a connection is not kept open for further queries: a writer in the same process would share its
    /// locks.
    package var isMakeshift = false
    /// Why it was opened read-only although that was not wanted; writes fail with this error.
    var whyReadOnly: KappaError?
    /// How large a value may be while a ``SQLGuard`` is in place.
    var guardedValueBytes: Int?

    /// The name by which a statement attaches this database: its path, and how it is read.
    package let name: String

    /// How long to wait for another connection's lock, unless said otherwise.
    package static let busyMilliseconds: Int32 = 10_000

    package enum Mode { case readOnly, readWrite, create }

    /// Opens a database file. `busyMilliseconds` is how long to wait for another connection's lock.
    /// - Parameters:
    ///   - parameters: The parameters of SQLite's URI for the file, such as `immutable=1`.
    ///   - boundsFiles: Whether the size of temporary files is limited, as it is for people's queries.
    package init(
        _ path: String, _ mode: Mode, parameters: String = "", boundsFiles: Bool = false,
        busyMilliseconds: Int32 = SQLiteConnection.busyMilliseconds
    ) throws(KappaError) {
        self.path = path
        name = path == ":memory:" ? path : Self.uri(path, parameters)
        try Self.refusePipes(path)
        var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI
        switch mode {
        case .readOnly: flags |= SQLITE_OPEN_READONLY
        case .readWrite: flags |= SQLITE_OPEN_READWRITE
        case .create: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        }
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(name, &opened, flags, boundsFiles ? SQLTemporaryFiles.name : nil)
        guard code == SQLITE_OK, let opened else {
            let number = opened.map { sqlite3_system_errno($0) } ?? ENOMEM
            let message = String(cString: sqlite3_errstr(code))
            sqlite3_close_v2(opened)
            throw Self.failure(number, message, "cannot open a database", at: path)
        }
        handle = opened
        sqlite3_busy_timeout(handle, busyMilliseconds)
        sqlite3_extended_result_codes(handle, 1)
    }

    deinit { sqlite3_close_v2(handle) }

    /// SQLite would wait for the other end of a pipe that somebody has put in the place of one of its files.
    private static func refusePipes(_ path: String) throws(KappaError) {
        for file in [path, path + "-wal", path + "-shm", path + "-journal"] {
            var status = stat()
            guard stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { continue }
            throw KappaError(
                .damaged, "cannot open a database", at: file, because: "it is a pipe, not a file",
                advice: "Remove it, or put the file back")
        }
    }

    /// A path as SQLite's URI, escaped so that any file's name means just that file.
    private static func uri(_ path: String, _ parameters: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        // After a bare `file:`, a path that begins with two slashes would name another machine.
        var uri = Array((path.hasPrefix("/") ? "file://" : "file:").utf8)
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "-"):
                uri.append(byte)
            default:
                uri += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        let text = String(decoding: uri, as: UTF8.self)
        return parameters.isEmpty ? text : text + "?" + parameters
    }

    /// Turns the write-ahead log on. While another connection does so, too, SQLite reports busy without
    /// waiting, so this retries.
    package func useWAL() throws(KappaError) {
        for attempt in 0... {
            do throws(KappaError) { return try execute("PRAGMA journal_mode = WAL") } catch {
                guard error.code == .heldElsewhere, attempt < 1_000 else { throw error }
                Pause.briefly()
            }
        }
    }

    /// Keeps the write-ahead log's files when the last connection closes: readers need them, and could not
    /// create them on a disk that is full or may not be written to.
    package func keepWAL() {
        var isKept: Int32 = 1
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &isKept)
    }

    /// From now on the connection changes nothing, not even when it closes: moving the write-ahead log into
    /// the file is left to writers.
    package func onlyRead() throws(KappaError) {
        leaveWAL()
        try execute("PRAGMA query_only = ON")
    }

    /// Leaves it to writers to move the write-ahead logs of all attached files into the files.
    func leaveWAL() { _ = kappa_sqlite_leave_wal(handle) }

    /// Runs statements that return nothing.
    package func execute(_ sql: String) throws(KappaError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        if code != SQLITE_OK { throw failure(code, sql) }
    }

    package func prepare(_ sql: String) throws(KappaError) -> SQLiteStatement {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, 0, &statement, nil)
        guard code == SQLITE_OK, let statement else { throw failure(code, sql) }
        return SQLiteStatement(statement, self)
    }

    /// The first column of the first row of a query, as an integer; nil where there is none.
    package func integer(_ sql: String) throws(KappaError) -> Int64? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.integer(0) : nil
    }

    /// What SQLite finds wrong with the file's structure; nil if it is sound.
    func integrityComplaint() throws(KappaError) -> String? {
        let check = try prepare("PRAGMA integrity_check(1)")
        guard try check.step() else { return nil }
        let text = check.string(0)
        return text == "ok" ? nil : text
    }

    /// Runs `body` in a transaction: committed if it returns, rolled back if it throws.
    package func transaction<R>(
        _ begin: String = "BEGIN IMMEDIATE", _ body: () throws -> R
    ) throws -> R {
        try execute(begin)
        do {
            let result = try body()
            try execute("COMMIT")
            return result
        } catch {
            // After some failures SQLite has already rolled back, and nothing is left to do.
            if isInTransaction { try? execute("ROLLBACK") }
            throw error
        }
    }

    package var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Copies the database as this connection sees it; where it holds a snapshot, as of that moment.
    func copy(to path: String) throws(KappaError) {
        let target = try SQLiteConnection(path, .create)
        guard let backup = sqlite3_backup_init(target.handle, "main", handle, "main") else {
            throw target.failure(sqlite3_errcode(target.handle), "backup")
        }
        let code = sqlite3_backup_step(backup, -1)
        sqlite3_backup_finish(backup)
        if code != SQLITE_DONE { throw target.failure(code, "backup") }
    }

    /// A failure of the operating system below SQLite, whose own message ("disk I/O error") says too
    /// little.
    private static func failure(
        _ number: Int32, _ message: String, _ what: String, at path: String
    ) -> KappaError {
        let system = number == 0 ? "" : ": \(IOFailure.text(of: number))"
        if number == ENOSPC || number == EDQUOT {
            return KappaError(
                .inputOutput, "the disk is full", at: path, because: message + system,
                advice: "Free some space: nothing is lost, and work resumes from the last commit")
        }
        return KappaError(
            IOFailure.code(of: number), what, at: path, because: message + system,
            advice: IOFailure.advice(for: number) ?? "Check the disk and who owns the file")
    }

    /// The system call that caused an error of SQLite.
    private static func call(of code: Int32) -> String? {
        switch code >> 8 {
        case 1, 2: "read"
        case 3: "write"
        case 4, 5: "fsync"
        case 6: "ftruncate"
        case 7, 13, 25: "fstat"
        case 10, 23: "unlink"
        case 18, 19, 20, 21: "shared memory (-shm)"
        case 24: "mmap"
        default: nil
        }
    }

    /// SQLite's error as a ``KappaError``.
    func failure(_ code: Int32, _ sql: String) -> KappaError {
        // SQLite reports a disk that cannot be read as a damaged file, and drops the error number.
        let number = errno
        let message = String(cString: sqlite3_errmsg(handle))
        switch code & 0xFF {
        case SQLITE_BUSY, SQLITE_LOCKED:
            return KappaError(
                .heldElsewhere, "a database is held by another process", at: path,
                because: message, advice: "Try again")
        case SQLITE_FULL where SQLTemporaryFiles.wasTooLarge():
            return KappaError(
                .usage, "the query was ended", at: path,
                because: "sorting or intermediate results need more than "
                    + "\(SQLLimits.temporaryBytes >> 20) MB of temporary files",
                advice: "Ask for less: a narrower condition, fewer columns, or fewer rows joined")
        case SQLITE_FULL: return Self.failure(ENOSPC, message, "", at: path)
        case SQLITE_READONLY, SQLITE_PERM:
            if let whyReadOnly { return whyReadOnly }
            // SQLite keeps no error number for these.
            let isDenied = access(path, W_OK) != 0
            return Self.failure(
                isDenied ? errno : 0, message, "a database cannot be written", at: path)
        case SQLITE_IOERR, SQLITE_CANTOPEN:
            let number = sqlite3_system_errno(handle)
            // A rollback since then may have overwritten the number; the call is known even so.
            let call = number == 0 ? Self.call(of: code).map { ": \($0)" } ?? "" : ""
            return Self.failure(
                number, message + call, "a database cannot be read or written", at: path)
        case SQLITE_NOMEM where sqlite3_hard_heap_limit64(-1) > 0:
            return KappaError(
                .usage, "the query was ended", at: path,
                because: "it needs more than \(sqlite3_hard_heap_limit64(-1) >> 20) MB of memory",
                advice: "Ask for less: fewer columns, shorter values, fewer calls")
        case SQLITE_NOMEM:
            return Self.failure(ENOMEM, message, "a database cannot be read or written", at: path)
        case SQLITE_CORRUPT where number == EIO:
            return Self.failure(EIO, message, "a database cannot be read or written", at: path)
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            return KappaError(
                .damaged, "a database is damaged", at: path, because: message,
                advice:
                    "If it is a version's, `kappa rebuild VIEW` makes a new one from the log; if it is "
                    + "catalog.db, remove it and views/, and `kappa run` makes both again")
        case SQLITE_INTERRUPT:
            return KappaError(
                .usage, "the query was ended", at: path, because: "it ran for too long",
                advice: "Ask for less: a narrower condition, or fewer rows joined")
        case SQLITE_TOOBIG:
            let most = guardedValueBytes.map { "a value, or a row, has more than \($0) bytes" }
            return KappaError(
                .usage, "the query was ended", at: path, because: most ?? message,
                advice: "Ask for parts: substr(…), json_extract(…), fewer columns or calls; "
                    + "`kappa query VIEW --key` without a condition reads rows of any size")
        case SQLITE_ERROR where message.hasPrefix("LIKE or GLOB pattern too complex"):
            let most = sqlite3_limit(handle, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, -1)
            return KappaError(
                .usage, "the query was ended", at: path,
                because: "a pattern of LIKE or GLOB has more than \(most) bytes",
                advice: "Shorten it; instr(x, y) finds a long text in another")
        case SQLITE_ERROR, SQLITE_AUTH:
            return KappaError(.usage, "the query cannot be run", at: path, because: message)
        default:
            return KappaError(.bug, "a statement failed", at: path, because: "\(message): \(sql)")
        }
    }
}

/// A prepared statement. Parameters and columns count from 0.
package final class SQLiteStatement: RowWriter, RowCursor {
    let handle: OpaquePointer
    private let connection: SQLiteConnection

    /// `SQLITE_STATIC`: the caller keeps the bytes until the statement has run.
    private static let keptByCaller = unsafeBitCast(0, to: sqlite3_destructor_type.self)
    /// `SQLITE_TRANSIENT`: SQLite copies the bytes.
    private static let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    init(_ handle: OpaquePointer, _ connection: SQLiteConnection) {
        self.handle = handle
        self.connection = connection
    }

    deinit { sqlite3_finalize(handle) }

    /// Moves to the next row; false after the last.
    package func step() throws(KappaError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code:
            let failure = connection.failure(code, String(cString: sqlite3_sql(handle)))
            sqlite3_reset(handle)
            throw failure
        }
    }

    package func reset() { sqlite3_reset(handle) }

    /// Runs the statement and resets it for the next time.
    package func execute() throws(KappaError) {
        _ = try step()
        sqlite3_reset(handle)
    }

    package func bindNull(_ index: Int) { sqlite3_bind_null(handle, Int32(index + 1)) }
    package func bind(_ index: Int, _ value: Int64) {
        sqlite3_bind_int64(handle, Int32(index + 1), value)
    }
    package func bind(_ index: Int, _ value: Double) {
        sqlite3_bind_double(handle, Int32(index + 1), value)
    }
    package func bind(_ index: Int, text: UnsafeRawBufferPointer) {
        guard let start = text.baseAddress else {
            sqlite3_bind_text(handle, Int32(index + 1), "", 0, Self.copied)
            return
        }
        sqlite3_bind_text64(
            handle, Int32(index + 1), start.assumingMemoryBound(to: CChar.self),
            UInt64(text.count), Self.keptByCaller, UInt8(SQLITE_UTF8))
    }
    package func bind(_ index: Int, blob: UnsafeRawBufferPointer) {
        guard let start = blob.baseAddress else {
            sqlite3_bind_zeroblob(handle, Int32(index + 1), 0)
            return
        }
        sqlite3_bind_blob64(
            handle, Int32(index + 1), start, UInt64(blob.count), Self.keptByCaller)
    }
    /// Binds a text that SQLite copies.
    package func bind(_ index: Int, _ text: String) {
        sqlite3_bind_text(handle, Int32(index + 1), text, Int32(text.utf8.count), Self.copied)
    }
    package func bind(_ index: Int, _ text: String?) {
        if let text { bind(index, text) } else { bindNull(index) }
    }

    var parameterCount: Int { Int(sqlite3_bind_parameter_count(handle)) }
    package var columnCount: Int { Int(sqlite3_column_count(handle)) }
    package func columnName(_ index: Int) -> String {
        sqlite3_column_name(handle, Int32(index)).map { String(cString: $0) } ?? ""
    }
    package func isNull(_ index: Int) -> Bool {
        sqlite3_column_type(handle, Int32(index)) == SQLITE_NULL
    }
    package func integer(_ index: Int) -> Int64 { sqlite3_column_int64(handle, Int32(index)) }
    package func double(_ index: Int) -> Double { sqlite3_column_double(handle, Int32(index)) }
    package func text(_ index: Int) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_text(handle, Int32(index))
        return UnsafeRawBufferPointer(
            start: start, count: Int(sqlite3_column_bytes(handle, Int32(index))))
    }
    package func blob(_ index: Int) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_blob(handle, Int32(index))
        return UnsafeRawBufferPointer(
            start: start, count: Int(sqlite3_column_bytes(handle, Int32(index))))
    }
    package func string(_ index: Int) -> String { String(decoding: text(index), as: UTF8.self) }
    package func optionalString(_ index: Int) -> String? { isNull(index) ? nil : string(index) }
    package func storage(_ index: Int) -> CellStorage {
        switch sqlite3_column_type(handle, Int32(index)) {
        case SQLITE_INTEGER: .integer
        case SQLITE_FLOAT: .double
        case SQLITE_TEXT: .text
        case SQLITE_BLOB: .blob
        default: .null
        }
    }
}
