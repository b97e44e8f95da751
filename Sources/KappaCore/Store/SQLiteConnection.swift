import CSQLite
import Glibc

/// A connection to a SQLite database. Its calls block; one thread uses it at a time.
package final class SQLiteConnection {
    package let path: String
    let handle: OpaquePointer
    /// Whether ``SQLFunctions`` are there.
    var hasFunctions = false

    package enum Mode { case readOnly, readWrite, create }

    /// Opens a database file. `milliseconds` is how long to wait for another connection's lock.
    package init(
        _ path: String, _ mode: Mode, busyMilliseconds: Int32 = 10_000
    ) throws(KappaError) {
        self.path = path
        var flags = SQLITE_OPEN_NOMUTEX
        switch mode {
        case .readOnly: flags |= SQLITE_OPEN_READONLY
        case .readWrite: flags |= SQLITE_OPEN_READWRITE
        case .create: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        }
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            let reason =
                opened.map { String(cString: sqlite3_errmsg($0)) }
                ?? String(cString: sqlite3_errstr(code))
            let isLimit = Self.isOutOfFiles(opened)
            sqlite3_close_v2(opened)
            if isLimit { throw Self.outOfFiles(path) }
            throw KappaError(
                mode == .create ? .cannotCreate : .inputOutput, "cannot open a database", at: path,
                because: reason, advice: "Check that the folder is there and who owns it")
        }
        handle = opened
        sqlite3_busy_timeout(handle, busyMilliseconds)
        sqlite3_extended_result_codes(handle, 1)
    }

    deinit { sqlite3_close_v2(handle) }

    /// Turns the write-ahead log on. While somebody else does so, too, SQLite says busy without waiting.
    package func useWAL() throws(KappaError) {
        for attempt in 0... {
            do throws(KappaError) { return try execute("PRAGMA journal_mode = WAL") } catch {
                guard error.code == .heldElsewhere, attempt < 1_000 else { throw error }
                Pause.briefly()
            }
        }
    }

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
            // After some failures SQLite has rolled back by itself: then this one has nothing to do.
            if isInTransaction { try? execute("ROLLBACK") }
            throw error
        }
    }

    package var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Copies the database as it is for this connection: of one moment, where that is held.
    func copy(to path: String) throws(KappaError) {
        let target = try SQLiteConnection(path, .create)
        guard let backup = sqlite3_backup_init(target.handle, "main", handle, "main") else {
            throw target.failure(sqlite3_errcode(target.handle), "backup")
        }
        let code = sqlite3_backup_step(backup, -1)
        sqlite3_backup_finish(backup)
        if code != SQLITE_DONE { throw target.failure(code, "backup") }
    }

    /// Whether a call has failed because no more files can be opened, which SQLite does not say.
    private static func isOutOfFiles(_ handle: OpaquePointer?) -> Bool {
        guard let handle else { return false }
        let number = sqlite3_system_errno(handle)
        return number == EMFILE || number == ENFILE
    }

    private static func outOfFiles(_ path: String) -> KappaError {
        KappaError(
            .inputOutput, "too many open files", at: path,
            because: "the process, or the machine, has reached its limit on open files",
            advice: "Raise the limit (ulimit -n), or end what holds files open")
    }

    /// What went wrong, in the terms of the four questions.
    func failure(_ code: Int32, _ sql: String) -> KappaError {
        let message = String(cString: sqlite3_errmsg(handle))
        let isOfSystem = code & 0xFF == SQLITE_IOERR || code & 0xFF == SQLITE_CANTOPEN
        if isOfSystem, Self.isOutOfFiles(handle) { return Self.outOfFiles(path) }
        switch code & 0xFF {
        case SQLITE_BUSY, SQLITE_LOCKED:
            return KappaError(
                .heldElsewhere, "a database is held by another process", at: path,
                because: message, advice: "Try again")
        case SQLITE_FULL:
            return KappaError(
                .inputOutput, "the disk is full", at: path, because: message,
                advice: "Free some space: nothing is lost, and work goes on from the last commit")
        case SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM:
            return KappaError(
                .inputOutput, "a database cannot be read or written", at: path, because: message,
                advice: "Check the disk and who owns the file")
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            return KappaError(
                .damaged, "a database is damaged", at: path, because: message,
                advice: "If it is a version's, drop it and rebuild: the log has everything")
        case SQLITE_INTERRUPT:
            return KappaError(
                .usage, "the query was ended", at: path, because: "it ran for too long",
                advice: "Ask for less: a narrower condition, or fewer rows joined")
        case SQLITE_ERROR, SQLITE_AUTH, SQLITE_TOOBIG:
            return KappaError(.usage, "the query cannot be run", at: path, because: message)
        default:
            return KappaError(.bug, "a statement failed", at: path, because: "\(message): \(sql)")
        }
    }
}

/// A prepared statement: binds from 0, reads from 0.
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

    /// Goes to the next row; false behind the last.
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

    /// Runs the statement to its end and makes it ready for the next time.
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
