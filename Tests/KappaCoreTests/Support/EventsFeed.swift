import Testing

@testable import KappaCore

extension EventsVersion {
    /// Makes the rows of all tables from the change feed alone. Returns what is wrong with it; nil if the
    /// rows equal those of the tables, and each change starts from the result of the one before it.
    func feedDifference() throws -> String? {
        let reader = try VersionReader(file)
        // As bytes: Swift treats canonically equivalent texts as equal.
        var fed: [[[UInt8]: [UInt8]]] = reader.tables.map { _ in [:] }
        var wrong: String?
        try reader.changes(after: reader.feedFloor()) { _, change in
            let key = Array(change.key.utf8)
            let (before, after) = (change.before, change.after)
            let (old, new) = (before.map { Array($0.utf8) }, after.map { Array($0.utf8) })
            if fed[change.table][key] != old || old == new {
                let was = Self.text(fed[change.table][key])
                wrong = wrong ?? "\(change.key) was \(was), the change says \(change)"
            }
            fed[change.table][key] = new
        }
        if let wrong { return wrong }
        for (index, table) in reader.tables.enumerated() {
            var rows: [[UInt8]: [UInt8]] = [:]
            try reader.forEachRow(table: index) { cursor in
                let values = table.values(cursor)
                let key = table.keyColumns.map { values[$0].jsonText }.joined(separator: ",")
                rows[Array("[\(key)]".utf8)] = Array(Change.object(values, table).utf8)
            }
            for key in Set(rows.keys).union(fed[index].keys) where rows[key] != fed[index][key] {
                return "\(Self.text(key)): \(Self.text(rows[key])), not "
                    + Self.text(fed[index][key])
            }
        }
        return nil
    }

    private static func text(_ bytes: [UInt8]?) -> String {
        bytes.map { String(decoding: $0, as: UTF8.self) } ?? "not there"
    }

    /// How many rows each of the tables has that readers do not see.
    func stateRows() throws -> [Int] {
        let reader = try VersionReader(file)
        return try reader.allTables.filter(\.isInternal).map { table in
            Int(try reader.connection.integer("SELECT count(*) FROM \(table.name)") ?? -1)
        }
    }
}
