import Foundation
import KappaSinks
import KappaTesting
import Testing

@testable import KappaCore

/// What a sink in memory keeps when its process dies.
final class MemoryPlace {
    var tables: [TableSchema] = []
    var rows: [String: [String: [String]]] = [:]
    var position: SinkPosition?
    /// The columns that each table had first.
    var firstColumns: [String: [String]] = [:]

    /// The rows as a reader sees them.
    func read() -> ChangeSinkConformance.Rows { rows.mapValues { Array($0.values) } }
}

/// A sink in memory, which may have a fault.
final class MemorySink: ChangeSink {
    enum Fault: CaseIterable {
        // Transactions.
        case rowsWithoutPosition, positionWithoutRows, forgetsPosition, showsHalfATransaction
        case showsHalfALoad, ignoresLoad, keepsRolledBackRows, keepsHalfAfterError,
            commitsWhenDropped
        // Rows.
        case appliesTwice, losesDeletes, losesLastOfBatch, deletesLast, keepsOldCells
        // Tables.
        case losesAColumn, forgetsNewColumns, looksAtHalfTheKey, ignoresCase
    }

    private let place: MemoryPlace
    private let fault: Fault?
    private let wasCommitted: () -> Void
    /// Whether to fail now, with an error that passes.
    private let failure: () -> Bool
    private var isOpen = false
    private var hasLeftovers = false
    private var tables: [TableSchema] = []
    private var rows: [String: [String: [String]]] = [:]
    /// What readers had before the transaction.
    private var before: [String: [String: [String]]] = [:]

    init(
        _ place: MemoryPlace, _ fault: Fault? = nil, failing: @escaping () -> Bool = { false },
        committed: @escaping () -> Void = {}
    ) {
        (self.place, self.fault, failure, wasCommitted) = (place, fault, failing, committed)
        if fault == .forgetsPosition { place.position = nil }
    }

    deinit {
        if isOpen, fault == .commitsWhenDropped { place.rows = rows } else { rollBack() }
    }

    func position() -> SinkPosition? { place.position }

    func begin(anew tables: [TableSchema]?) throws(KappaError) {
        try mayFail()
        isOpen = true
        before = place.rows
        if !hasLeftovers { rows = place.rows }
        self.tables = place.tables
        if let tables {
            self.tables = tables
            if fault != .ignoresLoad { rows = [:] }
            if fault == .showsHalfALoad { place.rows = [:] }
            for table in tables where place.firstColumns[table.name] == nil {
                place.firstColumns[table.name] = table.columns.map(\.name)
            }
        }
    }

    func apply(_ changes: [SinkChange]) throws(KappaError) {
        try mayFail()
        for (number, change) in ordered(changes).enumerated() {
            guard let table = tables.first(where: { $0.name == change.table }) else {
                if fault == .keepsHalfAfterError { (place.rows, before) = (rows, rows) }
                throw KappaError(.usage, "there is no table \(change.table)")
            }
            if change.row == nil, fault == .losesDeletes { continue }
            if fault == .losesLastOfBatch, number > 0, number == changes.count - 1 { continue }
            let key = key(change)
            let row = cells(change, table, over: rows[table.name]?[key])
            rows[table.name, default: [:]][key] = row
            if fault == .appliesTwice { rows[table.name]?[key + " again"] = row }
        }
        if fault == .showsHalfATransaction { place.rows = rows }
    }

    func commit(_ position: SinkPosition) throws(KappaError) {
        try mayFail()
        isOpen = false
        if fault != .positionWithoutRows { (place.tables, place.rows) = (tables, rows) }
        if fault != .rowsWithoutPosition || place.position == nil { place.position = position }
        wasCommitted()
    }

    func rollBack() {
        if isOpen { place.rows = before }
        hasLeftovers = isOpen && fault == .keepsRolledBackRows
        isOpen = false
    }

    func close() { rollBack() }

    // MARK: Faults

    private func ordered(_ changes: [SinkChange]) -> [SinkChange] {
        guard fault == .deletesLast else { return changes }
        return changes.filter { $0.row != nil } + changes.filter { $0.row == nil }
    }

    private func key(_ change: SinkChange) -> String {
        switch fault {
        case .looksAtHalfTheKey: "\(change.key.prefix(1))"
        case .ignoresCase: "\(change.key)".lowercased()
        default: "\(change.key)"
        }
    }

    private func cells(
        _ change: SinkChange, _ table: TableSchema, over old: [String]?
    ) -> [String]? {
        guard var row = change.row?.map(\.plainText) else { return nil }
        switch fault {
        case .losesAColumn: row.removeLast()
        case .forgetsNewColumns:
            let known = place.firstColumns[table.name] ?? []
            for (index, column) in table.columns.enumerated() where !known.contains(column.name) {
                row[index] = ""
            }
        case .keepsOldCells:
            for (index, cell) in (change.row ?? []).enumerated() where cell == .null {
                row[index] = old?[index] ?? ""
            }
        default: break
        }
        return row
    }

    private func mayFail() throws(KappaError) {
        if failure() { throw KappaError(.unreachable, "the sink is away") }
    }
}

/// Reads what sinks have written, as other programs do.
enum SinkReader {
    static func sqlite(_ path: String, _ tables: [TableSchema]) throws -> ChangeSinkConformance.Rows
    {
        let connection = try SQLiteConnection(path, .readOnly)
        var rows: ChangeSinkConformance.Rows = [:]
        for table in tables {
            let select = try connection.prepare("SELECT * FROM \"\(table.name)\"")
            rows[table.name] = []
            while try select.step() {
                rows[table.name]?.append(
                    table.columns.indices.map { index in
                        if select.isNull(index) { return "" }
                        switch table.columns[index].kind {
                        case .bool: return select.integer(index) == 1 ? "true" : "false"
                        case .double: return Value.double(select.double(index)).plainText
                        default: return select.string(index)
                        }
                    })
            }
        }
        return rows
    }

    /// Reads the manifest, and then the files that it names.
    static func csv(_ folder: String, _ tables: [TableSchema]) throws -> ChangeSinkConformance.Rows
    {
        guard let data = FileManager.default.contents(atPath: folder + "/manifest.json") else {
            return [:]
        }
        let manifest = try JSONValue(parsing: String(decoding: data, as: UTF8.self))
        guard case .array(let files)? = manifest["tables"] else { return [:] }
        var rows: ChangeSinkConformance.Rows = [:]
        for file in files {
            guard case .string(let name)? = file["name"], case .string(let path)? = file["file"]
            else { continue }
            let text = try String(contentsOfFile: "\(folder)/\(path)", encoding: .utf8)
            rows[name] = Array(records(text).dropFirst())
        }
        return rows
    }

    private static func records(_ text: String) -> [[String]] {
        var records: [[String]] = []
        var record: [String] = []
        var field: [UInt8] = []
        var isQuoted = false
        var wasQuote = false
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""):
                if wasQuote, !isQuoted { field.append(byte) }
                isQuoted.toggle()
                wasQuote = !isQuoted
                continue
            case UInt8(ascii: ",") where !isQuoted, 0x0A where !isQuoted:
                record.append(String(decoding: field, as: UTF8.self))
                field = []
                if byte == 0x0A {
                    records.append(record)
                    record = []
                }
            default: field.append(byte)
            }
            wasQuote = false
        }
        return records
    }
}

extension VersionsFolder {
    /// Publishes a view until the sink has caught up, or is stopped after some steps.
    func publish(
        _ view: String, batch: Int = 10_000,
        to open: @escaping () throws(KappaError) -> any ChangeSink,
        steps: Int = .max, observer: (PublicationReport) -> Void = { _ in }
    ) throws {
        var rest = steps
        try Publication(
            view, try catalog(), batchChanges: batch, shortestDelay: .milliseconds(1), to: open
        ).run(
            untilCaughtUp: true,
            isStopped: {
                rest -= 1
                return rest < 0
            }, observer: observer)
    }

    /// The rows of the live version, as texts.
    func liveRows(_ view: String) throws -> ([TableSchema], ChangeSinkConformance.Rows) {
        let live = try #require(try catalog().live(view))
        let reader = try reader(view, live.rawValue)
        var rows: ChangeSinkConformance.Rows = [:]
        for (index, table) in reader.tables.enumerated() {
            rows[table.name] = []
            try reader.forEachRow(table: index) { cursor in
                rows[table.name]?.append(table.values(cursor).map(\.plainText))
            }
        }
        return (reader.tables, rows)
    }
}

extension ChangeSinkConformance.Rows {
    /// In an order of their own; without tables that have no rows.
    var sortedRows: Self {
        filter { !$0.value.isEmpty }.mapValues {
            $0.sorted { $0.lexicographicallyPrecedes($1) }
        }
    }
}
