import Glibc

/// The rows that a rebuild spills until its first commit because they do not fit its memory: runs, each in
/// the order of its keys.
///
/// A row of a run holds what happened to its key since the run before. When the version's file is made, the
/// rows of each key are merged into one. A run is durable before its checkpoint, so that a rebuild that was
/// killed resumes after its last run.
final class SpilledRuns: SpilledRows {
    private let folder: String
    /// The tables that every run has; a key index that was requested later is not among them.
    private(set) var tables: [TableSchema]
    private let records: SpillRecords
    private(set) var count: Int
    /// Where some rows begin in the runs that were added since opening, by run and table.
    private var marks: [Int: [[Int]]] = [:]

    static func path(_ version: String) -> String { version + ".runs" }
    private static func database(_ version: String) -> String { path(version) + "/records.db" }

    /// Whether there are runs of the version with this file.
    static func exist(_ version: String) -> Bool { access(database(version), F_OK) == 0 }

    /// Whether a spill was ever begun.
    static func hasFolder(_ version: String) -> Bool { access(path(version), F_OK) == 0 }

    /// The checkpoint of the runs of a version that has no file yet.
    static func checkpoint(_ version: String) throws(KappaError) -> Checkpoint? {
        guard exist(version) else { return nil }
        return try SpillRecords.checkpoint(database(version))
    }

    /// Opens the runs of a version; at first there are none.
    init(_ version: String, _ tables: [TableSchema]) throws {
        folder = Self.path(version)
        self.tables = tables
        try Folder.make(folder)
        records = try SpillRecords(Self.database(version))
        count = try records.runCount()
        while self.tables.last?.isKeyIndex == true,
            (0..<count).contains(where: { access(file($0, self.tables.count - 1), F_OK) != 0 })
        {
            self.tables.removeLast()
        }
    }

    static func remove(_ version: String) { Folder.remove(path(version)) }

    func checkpoint() throws(KappaError) -> Checkpoint? {
        try records.checkpoint()
    }

    private func file(_ run: Int, _ table: Int) -> String { "\(folder)/\(run)-\(table).run" }

    /// The progress of the version's file; nil where no row was written ahead.
    /// - Throws: `.damaged` where the runs are from an earlier build, which did not write ahead.
    func progress() throws(KappaError) -> NewVersionFile.Progress? {
        try records.progress().map(NewVersionFile.Progress.init(bytes:))
    }

    /// Adds a run: what `write` upserts, table by table in the order of the keys.
    /// - Parameters:
    ///   - ahead: Takes rows that go directly into the version's file.
    ///   - pause: Makes these durable, if there are any.
    func add(
        _ checkpoint: Checkpoint, ahead: @escaping (RecordList, _ table: Int) throws -> Void,
        pause: () throws -> NewVersionFile.Progress?,
        write: (any StoreTransaction) throws -> Void
    ) throws {
        let number = count
        let writers = try tables.indices.map { try RunWriter(file(number, $0)) }
        let transaction = BulkTransaction(
            zip(tables, writers).map { BulkRow($0, $1) }, records: ahead)
        try write(transaction)
        let progress = try pause()
        for writer in writers { try writer.finish() }
        do { try SystemFiles().syncFolder(folder) } catch {
            throw error.error("cannot make spilled rows durable", at: folder)
        }
        try records.add(
            run: number, checkpoint, transaction.deadLetters, progress: progress?.bytes)
        marks[number] = writers.map(\.marks)
        count += 1
    }

    func merge(
        table: Int, to writer: any RowWriter, sideBySide: Bool,
        combine: ([any RowCursor], any RowWriter) throws -> Void
    ) throws {
        guard let writer = writer as? BulkRow else {
            throw KappaError(.bug, "spilled rows go into a new version only")
        }
        let runs = (0..<count).map { run in
            RunMerge.Run(file: file(run, table), marks: marks[run]?[table] ?? [])
        }
        let bytes = runs.reduce(0) { $0 + $1.marks.count * RunSizes.mark }
        let merge = try RunMerge(
            runs, tables[table], pieces: sideBySide ? bytes / RunSizes.piece : 1)
        guard merge.pieces > 1 else { return try merge.write(0, to: writer, combine: combine) }
        try writer.append(pieces: merge.pieces) { piece, row in
            try merge.write(piece, to: row, combine: combine)
        }
    }

    func forEachDeadLetter(_ visit: (DeadLetter) throws -> Void) throws {
        let letters = try records.deadLetters()
        while let letter = try letters.next() { try visit(letter) }
    }
}

/// Takes the records of rows in the order of their keys.
protocol RecordSink: AnyObject {
    var hasRows: Bool { get }
    func append(_ record: UnsafeRawBufferPointer) throws(KappaError)
}

extension BulkTable: RecordSink {}

/// Writes a run: the records of some rows of one table, in the order of their keys, each preceded by its
/// length (4 bytes, little-endian).
final class RunWriter: RecordSink {
    private let file: OpenFile
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    private var used = 0
    private var position = 0
    private(set) var hasRows = false
    /// Where some of the rows begin, in bytes; the first row is among them.
    private(set) var marks: [Int] = []
    private let markBytes = RunSizes.mark

    private static let capacity = 1 << 20

    init(_ path: String) throws(KappaError) {
        do {
            file = OpenFile(
                try SystemFiles().open(path, O_RDWR | O_CREAT | O_TRUNC), path: path)
        } catch {
            throw error.error("cannot create a file for spilled rows", at: path)
        }
    }

    deinit { buffer.deallocate() }

    func append(_ record: UnsafeRawBufferPointer) throws(KappaError) {
        hasRows = true
        if used + 4 + record.count > Self.capacity { try flush() }
        if position + used >= (marks.last ?? -markBytes) + markBytes {
            marks.append(position + used)
        }
        buffer.store(UInt32(record.count), at: used)
        used += 4
        if record.count > Self.capacity - 4 {
            try flush()
            try write(record)
        } else if let source = record.baseAddress {
            (buffer + used).copyMemory(from: source, byteCount: record.count)
            used += record.count
        }
    }

    private func flush() throws(KappaError) {
        try write(UnsafeRawBufferPointer(start: buffer, count: used))
        used = 0
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws(KappaError) {
        do { try SystemFiles().write(file.descriptor, bytes, at: position) } catch {
            throw error.error("cannot write spilled rows", at: file.path)
        }
        position += bytes.count
    }

    /// Makes the run durable.
    func finish() throws(KappaError) {
        try flush()
        do { try SystemFiles().sync(file.descriptor) } catch {
            throw error.error("cannot make spilled rows durable", at: file.path)
        }
    }
}
