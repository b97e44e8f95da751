import Foundation
import KappaSinks
import KappaTesting

@testable import KappaCore

/// What a sink in memory keeps when its process dies.
final class MemoryPlace {
    var tables: [TableSchema] = []
    var rows: [String: [String: [String]]] = [:]
    var position: SinkPosition?

    /// The rows as a reader sees them.
    func read() -> ChangeSinkConformance.Rows { rows.mapValues { Array($0.values) } }
}

/// A sink in memory, which may have a fault.
final class MemorySink: ChangeSink {
    enum Fault: CaseIterable {
        case rowsWithoutPosition, positionWithoutRows, losesDeletes, keepsHalfAfterError
        case forgetsPosition, showsHalfAReset, ignoresReset, commitsWhenDropped, losesLastOfBatch
    }

    private let place: MemoryPlace
    private let fault: Fault?
    private var isOpen = false
    private var tables: [TableSchema] = []
    private var rows: [String: [String: [String]]] = [:]
    /// How often it is to fail with an error that passes.
    private let failure: () -> Bool

    init(_ place: MemoryPlace, _ fault: Fault? = nil, failing: @escaping () -> Bool = { false }) {
        (self.place, self.fault, failure) = (place, fault, failing)
        if fault == .forgetsPosition { place.position = nil }
    }

    deinit { if isOpen, fault == .commitsWhenDropped { place.rows = rows } }

    func position() -> SinkPosition? { place.position }

    func begin(anew tables: [TableSchema]?) throws(KappaError) {
        try mayFail()
        isOpen = true
        (self.tables, rows) = (place.tables, place.rows)
        if let tables {
            self.tables = tables
            if fault != .ignoresReset { rows = [:] }
            if fault == .showsHalfAReset { place.rows = [:] }
        }
    }

    func apply(_ changes: [SinkChange]) throws(KappaError) {
        try mayFail()
        for (number, change) in changes.enumerated() {
            guard tables.contains(where: { $0.name == change.table }) else {
                if fault == .keepsHalfAfterError { place.rows = rows }
                throw KappaError(.usage, "there is no table \(change.table)")
            }
            if change.row == nil, fault == .losesDeletes { continue }
            if fault == .losesLastOfBatch, number > 0, number == changes.count - 1 { continue }
            rows[change.table, default: [:]]["\(change.key)"] = change.row?.map(\.plainText)
        }
    }

    func commit(_ position: SinkPosition) throws(KappaError) {
        try mayFail()
        isOpen = false
        if fault != .positionWithoutRows { (place.tables, place.rows) = (tables, rows) }
        if fault != .rowsWithoutPosition || place.position == nil { place.position = position }
    }

    func rollBack() { isOpen = false }
    func close() { isOpen = false }

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
