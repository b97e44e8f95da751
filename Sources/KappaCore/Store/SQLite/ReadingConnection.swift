import CSQLite
import Glibc

/// Opens databases for reading where nothing can be written: on a full disk, in a folder that is mounted
/// read-only or belongs to somebody else.
///
/// Readers of a write-ahead log coordinate through its `-shm` file, which SQLite creates or enlarges for
/// the first of them. Where that fails, there are three more ways, none of which writes:
/// 1. the existing `-shm` file, read-only: SQLite then keeps an index of its own in memory;
/// 2. the database file alone, if its log is empty or gone, and for as long as nobody writes to it: a lock
///    on the version's lease keeps writers out;
/// 3. a copy in memory, of a small file that has no lease.
package enum ReadingConnection {
    /// - Parameter lease: The lock file that a writer of the database locks exclusively; nil where there is
    ///   none.
    package static func open(
        _ path: String, lease: String?
    ) throws(KappaError) -> (connection: SQLiteConnection, lock: OpenFileLock?) {
        do throws(KappaError) {
            return (try ready(SQLiteConnection(path, .readWrite, boundsFiles: true)), nil)
        } catch {
            guard error.isOfSystem else { throw error }
            // SQLite does not always report that descriptors have run out, and no other way needs fewer.
            if let failure = outOfFiles() {
                throw failure.error("a database cannot be opened", at: path)
            }
            let shared = "mode=ro&readonly_shm=1"
            if let connection = try? ready(
                SQLiteConnection(path, .readOnly, parameters: shared, boundsFiles: true))
            {
                connection.isMakeshift = true
                return (connection, nil)
            }
            guard hasEmptyLog(path) else { throw error }
            guard let lease else { return (try copy(path, or: error), nil) }
            // Where the lease's file does not exist, nobody has ever written to the database under it.
            let lock: OpenFileLock
            do throws(KappaError) { lock = try OpenFileLock(lease) } catch let other {
                throw other.code == .heldElsewhere ? other : error
            }
            let fixed = "mode=ro&immutable=1"
            guard hasEmptyLog(path),
                let connection = try? ready(
                    SQLiteConnection(path, .readOnly, parameters: fixed, boundsFiles: true))
            else { throw error }
            connection.isMakeshift = true
            return (connection, lock)
        }
    }

    /// The failure if this process cannot open as many files as a database with its two side files needs.
    private static func outOfFiles() -> IOFailure? {
        var files: [Int32] = []
        defer { for file in files { close(file) } }
        for _ in 0..<filesOfDatabase {
            let file = Glibc.open("/", O_RDONLY | O_CLOEXEC)
            if file < 0 { return IOFailure("open", errno) }
            files.append(file)
        }
        return nil
    }

    private static let filesOfDatabase = 4

    /// Reads once: only a first read opens the write-ahead log.
    private static func ready(_ connection: SQLiteConnection) throws(KappaError) -> SQLiteConnection
    {
        try connection.onlyRead()
        _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
        return connection
    }

    /// Whether all that was committed is in the file itself.
    private static func hasEmptyLog(_ path: String) -> Bool {
        var status = stat()
        return stat(path + "-wal", &status) != 0 || status.st_size == 0
    }

    private static let mostCopiedBytes = 64 << 20

    /// The file's bytes in memory, if they are those of one moment: nobody had the file open for writing
    /// before and after.
    private static func copy(
        _ path: String, or error: KappaError
    ) throws(KappaError) -> SQLiteConnection {
        let file = try OpenFile(reading: path)
        let size = file.size
        guard size > 100, size <= mostCopiedBytes,
            let memory = sqlite3_malloc64(UInt64(size))
        else { throw error }
        let bytes = UnsafeMutableRawBufferPointer(start: memory, count: size)
        guard (try? file.read(bytes, at: 0)) == size, hasEmptyLog(path),
            access(path + "-shm", F_OK) != 0, file.size == size
        else {
            sqlite3_free(memory)
            throw error
        }
        // These bytes say that there is a write-ahead log, but a database in memory has none.
        bytes[18] = 1
        bytes[19] = 1
        let connection = try SQLiteConnection(":memory:", .create, boundsFiles: true)
        let flags = UInt32(SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY)
        let code = sqlite3_deserialize(
            connection.handle, "main", memory.assumingMemoryBound(to: UInt8.self), Int64(size),
            Int64(size), flags)
        guard code == SQLITE_OK else { throw error }
        connection.isMakeshift = true
        return try ready(connection)
    }
}

/// A lock that is shared with other readers, held for as long as this object lives.
package final class OpenFileLock: Sendable {
    private let file: OpenFile?

    /// - Throws: `.heldElsewhere` where somebody writes.
    init(_ path: String) throws(KappaError) {
        guard try IOFailure.isThere(path) else {
            file = nil
            return
        }
        let file = try OpenFile(reading: path)
        guard flock(file.descriptor, LOCK_SH | LOCK_NB) == 0 else {
            throw KappaError(
                .heldElsewhere, "a version is being written to", at: path,
                because: "it cannot be read without its -shm file, which cannot be made",
                advice: "Free some space, or let a user who may write to the folder read it once")
        }
        self.file = file
    }
}
