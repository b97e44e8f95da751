import Glibc

/// The store of one version. Its file comes with its first commit.
///
/// That commit has most of a rebuild's rows, and a ``NewVersionFile`` writes them in one pass. Later
/// commits are transactions of a ``VersionFile``.
package final class VersionStore: RowStore {
    package private(set) var tables: [TableSchema]
    private let path: String
    private let identity: VersionIdentity?
    private var file: VersionFile?
    private var runs: SpilledRuns?
    /// The file that the first commit will put in place; nil until rows are written ahead of that commit.
    private var newFile: NewVersionFile?
    /// How much of the change feed is kept.
    package var feedPolicy = FeedPolicy() { didSet { file?.feedPolicy = feedPolicy } }

    /// Opens the store of the file at a path, or begins one for a new version.
    package init(
        at path: String, view: String, number: Int, digest: String, tables: [TableSchema]
    ) throws {
        self.path = path
        identity = VersionIdentity(view: view, number: number, digest: digest)
        let isThere = access(path, F_OK) == 0
        let id = VersionID(view, VersionNumber(number))
        self.tables = isThere ? try Self.tables(path, of: id) : tables
        if isThere {
            file = try VersionFile(path, self.tables)
            SpilledRuns.remove(path)
        } else if SpilledRuns.exist(path) {
            do { try resume() } catch let error as KappaError where error.code == .damaged {
                // Nothing is lost: all of it can be rebuilt from the log.
                SpilledRuns.remove(path)
                (runs, newFile, self.tables) = (nil, nil, tables)
            }
        }
        if newFile == nil { NewVersionFile.removeLeftovers(path) }
    }

    /// Resumes from what a killed process had spilled and written ahead.
    private func resume() throws {
        let runs = try SpilledRuns(path, tables)
        // If the rebuild was begun without an index, the index would lack its events so far.
        tables = runs.tables
        if let identity, let progress = try runs.progress() {
            newFile = try NewVersionFile(path, identity, tables, from: progress)
        }
        self.runs = runs
    }

    /// Opens the store of a version that has been committed to.
    package init(opening path: String) throws(KappaError) {
        self.path = path
        tables = try Self.tables(path, of: nil)
        identity = nil
        file = try VersionFile(path, tables)
    }

    /// The tables of a file that will be written to.
    private static func tables(
        _ path: String, of id: VersionID?
    ) throws(KappaError) -> [TableSchema] {
        let reader = try VersionReader(path)
        if let id { try reader.require(id) }
        try reader.requirePresentFormat()
        return reader.allTables
    }

    /// Checks that nobody has removed, moved or replaced the version's file.
    func requireItsName() throws(KappaError) { try file?.requireItsName() }

    package func lastCheckpoint() throws(KappaError) -> Checkpoint? {
        if let file { return try file.checkpoint() }
        return try runs?.checkpoint()
    }

    package func rowCount(table: Int) throws(KappaError) -> Int {
        try file?.rowCount(table: table) ?? 0
    }

    package func rowsEnded(table: Int, by end: Int64) throws(KappaError) -> [[Value]] {
        try file?.rowsEnded(table: table, by: end) ?? []
    }

    package func lookUp(
        table: Int, bindKey: (any RowWriter) -> Void, read: (any RowCursor) throws -> Void
    ) throws -> Bool {
        try file?.lookUp(table: table, bindKey: bindKey, read: read) ?? false
    }

    package func scan(
        table: Int, prefix parts: Int, bindKey: (any RowWriter) -> Void,
        _ visit: (any RowCursor) throws -> Void
    ) throws {
        try file?.scan(table: table, prefix: parts, bindKey: bindKey, visit)
    }

    package func scan(table: Int, _ visit: (any RowCursor) throws -> Void) throws {
        try scan(table: table, prefix: 0, bindKey: { _ in }, visit)
    }

    package func commit(
        _ checkpoint: Checkpoint, recordsChanges: Bool = false,
        write writeRows: (any StoreTransaction) throws -> Void
    ) throws {
        func write(_ transaction: any StoreTransaction) throws {
            guard recordsChanges else { return try writeRows(transaction) }
            try writeRows(
                ChangeFeed.recording(transaction, of: self, tables, at: checkpoint.offset))
        }
        if let file { return try file.commit(checkpoint, write: write) }
        do {
            try loading().complete(checkpoint) { visit in
                try runs?.forEachDeadLetter(visit)
            } write: {
                try write($0)
            }
        } catch {
            // On a full disk the incomplete file would take space from everybody else.
            abandon()
            throw error
        }
        newFile = nil
        runs = nil
        SpilledRuns.remove(path)
        file = try VersionFile(path, tables)
        file?.feedPolicy = feedPolicy
    }

    /// The file that the first commit will put in place.
    private func loading() throws -> NewVersionFile {
        if let newFile { return newFile }
        guard let identity else { throw KappaError(.bug, "a version has no identity", at: path) }
        let new = try NewVersionFile(path, identity, tables)
        newFile = new
        return new
    }

    /// Removes the file that could not be completed. What was spilled stays if it is enough to resume from.
    private func abandon() {
        let isAhead = (try? runs?.progress() != nil) ?? true
        newFile = nil
        NewVersionFile.removeLeftovers(path)
        if isAhead {
            runs = nil
            SpilledRuns.remove(path)
        }
    }

    package func writeAhead(_ rows: RecordList, table: Int) throws -> Bool {
        guard canSpill else { return false }
        do { try loading().append(rows, to: table) } catch {
            // No checkpoint resumes from this file, and on a full disk it would only take space.
            if try runs?.progress() == nil {
                newFile = nil
                NewVersionFile.removeLeftovers(path)
            }
            throw error
        }
        return true
    }

    package var isLoading: Bool { newFile != nil || spilled != nil }

    package var canSpill: Bool { file == nil && identity != nil }

    package func spill(
        _ checkpoint: Checkpoint, write: (any StoreTransaction) throws -> Void
    ) throws {
        let runs = try self.runs ?? SpilledRuns(path, tables)
        self.runs = runs
        try runs.add(checkpoint) { rows, table in
            guard rows.count > 0 else { return }
            _ = try self.writeAhead(rows, table: table)
        } pause: {
            try newFile?.pause()
        } write: { transaction in
            try write(transaction)
        }
    }

    package var spilled: (any SpilledRows)? { runs.flatMap { $0.count > 0 ? $0 : nil } }

    package func keyIndex(of table: Int) -> Int? {
        tables.firstIndex { $0.name == TableSchema.keyIndexName(table) }
    }

    /// The size of the write-ahead log if a reader pins it; otherwise 0.
    var pinnedLogBytes: Int { file?.log.pinnedBytes ?? 0 }
    /// Moves the write-ahead log into the file if the readers that pinned it are gone.
    func releaseLog() { file?.log.retry() }

    /// Ends a rebuild: collects statistics for the query planner, and moves the write-ahead log into the
    /// file.
    package func finish() throws(KappaError) { try file?.finish() }
}
