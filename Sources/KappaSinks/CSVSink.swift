import Glibc
import KappaCore

/// Publishes to a folder of CSV files: `csv:DIR`.
public struct CSVSinkConnector: SinkConnector {
    public let scheme = "csv"
    public let usage = "csv:DIR"

    /// The connector.
    public init() {}

    public func sink(_ url: String, of view: String) throws(KappaError) -> any ChangeSink {
        try CSVSink("\(try SinkPath.of(url, usage))/\(view)", view: view)
    }
}

/// A view's tables as CSV files in a folder.
///
/// `manifest.json` names the present file of each table, with the position. A commit writes the tables that have
/// changed to new files, and then puts a new manifest in the place of the old one: a reader that reads the
/// manifest first sees rows of one moment. Files of the commit before stay, for readers that are at them.
///
/// A changed table is written whole, and a transaction is held in memory: for views of up to a few million rows.
/// A missing cell is an empty field, and an empty text is `""`.
public final class CSVSink: ChangeSink {
    private let folder: String
    private let view: String
    private let lock: OpenFile
    private var manifest: CSVManifest?
    private var transaction: Transaction?

    private struct Transaction {
        var tables: [TableSchema]
        var isAnew: Bool
        /// For each table, the last change of each key, in the order in which keys first came.
        var changes: [String: TableChanges] = [:]
    }

    private struct TableChanges {
        var keys: [String] = []
        var lines: [String: String?] = [:]
    }

    /// Opens the folder, and makes it if it is not there.
    /// - Throws: `KappaError`; `.heldElsewhere` if another process publishes to it.
    public init(_ folder: String, view: String) throws(KappaError) {
        self.folder = folder
        self.view = view
        do { try Folder.make(folder) } catch {
            var error = error
            if error.code == .cannotCreate { error.advice = "Check the folder above it" }
            throw error
        }
        let path = folder + "/.lock"
        do {
            lock = OpenFile(try SystemFiles().open(path, O_RDWR | O_CREAT), path: path)
        } catch {
            throw error.error("cannot open a lock", at: path)
        }
        if flock(lock.descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK else {
                throw IOFailure("flock", errno).error("cannot lock a folder", at: folder)
            }
            throw KappaError(
                .heldElsewhere, "another process publishes \(view)", at: folder,
                because: "it holds the lock", advice: "End one of the two")
        }
        manifest = try CSVManifest.read(folder)
        removeOldFiles()
    }

    public func position() -> SinkPosition? { manifest?.position }

    public func begin(anew tables: [TableSchema]?) throws(KappaError) {
        guard let present = tables ?? manifest?.tables.map(\.schema) else {
            throw KappaError(.usage, "the folder has no tables yet", at: folder)
        }
        transaction = Transaction(tables: present, isAnew: tables != nil)
    }

    public func apply(_ changes: [SinkChange]) throws(KappaError) {
        for change in changes {
            guard transaction?.tables.contains(where: { $0.name == change.table }) == true else {
                throw KappaError(.usage, "there is no table \(change.table)", at: folder)
            }
            let key = Self.line(change.key)
            let line: String? = change.row.map(Self.line)
            let isNew =
                transaction?.changes[change.table, default: TableChanges()].lines
                .updateValue(line, forKey: key) == nil
            if isNew { transaction?.changes[change.table]?.keys.append(key) }
        }
    }

    public func commit(_ position: SinkPosition) throws(KappaError) {
        guard let transaction = self.transaction else { return }
        var next = CSVManifest(
            position: position, generation: (manifest?.generation ?? 0) + 1, tables: [],
            previous: manifest?.tables.map(\.file) ?? [])
        for schema in transaction.tables {
            let old = manifest?.tables.first { $0.schema.name == schema.name }
            let changes = transaction.changes[schema.name]
            if !transaction.isAnew, let old, changes == nil {
                next.tables.append(old)
                continue
            }
            let file = "\(schema.name)-\(next.generation).csv"
            try write(
                schema, changes ?? TableChanges(), over: transaction.isAnew ? nil : old?.file,
                to: file)
            next.tables.append(.init(schema: schema, file: file))
        }
        try next.write(to: folder)
        (manifest, self.transaction) = (next, nil)
        removeOldFiles()
    }

    public func rollBack() { transaction = nil }

    public func close() {
        transaction = nil
        flock(lock.descriptor, LOCK_UN)
    }

    // MARK: Files

    /// Removes the files that neither the manifest nor the one before names: older ones, and those of a commit that
    /// was not completed.
    private func removeOldFiles() {
        let kept = Set((manifest?.tables.map(\.file) ?? []) + (manifest?.previous ?? []))
        for file in Folder.names(in: folder) where !kept.contains(file) {
            guard file.hasSuffix(".csv"), let dash = file.lastIndex(of: "-"),
                UInt64(file[file.index(after: dash)...].dropLast(4)) != nil
            else { continue }
            unlink("\(folder)/\(file)")
        }
    }

    /// Writes a table: the rows of its file so far, with the changes.
    private func write(
        _ schema: TableSchema, _ changes: TableChanges, over old: String?, to file: String
    ) throws(KappaError) {
        var rest = changes.lines
        let output = try CSVWriter("\(folder)/\(file)")
        try output.write(Self.line(schema.columns.map { .text($0.name) }))
        if let old {
            let records = try CSVRecords("\(folder)/\(old)")
            _ = try records.next()
            while let record = try records.next() {
                let key = schema.keyColumns.map { record.fields[$0] }.joined(separator: ",")
                guard let change = rest.removeValue(forKey: key) else {
                    try output.write(record.line)
                    continue
                }
                if let change { try output.write(change) }
            }
        }
        for key in changes.keys {
            if case .some(.some(let line)) = rest[key] { try output.write(line) }
        }
        try output.finish()
    }

    private static func line(_ cells: [Value]) -> String {
        cells.map { $0 == .text("") ? "\"\"" : $0.csvText }.joined(separator: ",")
    }
}
