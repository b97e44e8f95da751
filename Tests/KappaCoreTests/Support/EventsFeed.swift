import Testing

@testable import KappaCore

extension EventsVersion {
    /// Makes the rows of all tables out of the feed of changes alone. What is wrong with it, in
    /// words; nil where the rows are those of the tables, and each change begins where the one before
    /// it has ended.
    func feedDifference() throws -> String? {
        let reader = try VersionReader(file)
        var fed: [[String: String]] = reader.tables.map { _ in [:] }
        var wrong: String?
        try reader.changes(after: 0) { _, change in
            if fed[change.table][change.key] != change.before || change.before == change.after {
                wrong =
                    wrong
                    ?? "\(change.key) was \(fed[change.table][change.key] ?? "not there"), "
                    + "the change says \(change)"
            }
            fed[change.table][change.key] = change.after
        }
        if let wrong { return wrong }
        for (index, table) in reader.tables.enumerated() {
            var rows: [String: String] = [:]
            try reader.forEachRow(table: index) { cursor in
                let values = table.values(cursor)
                let key = table.keyColumns.map { values[$0].jsonText }.joined(separator: ",")
                rows["[\(key)]"] = ChangeFollower.object(values, table)
            }
            for key in Set(rows.keys).union(fed[index].keys) where rows[key] != fed[index][key] {
                return "\(key) is \(rows[key] ?? "not there"), not \(fed[index][key] ?? "gone")"
            }
        }
        return nil
    }

    /// How many rows each of the tables has that readers do not see.
    func stateRows() throws -> [Int] {
        let reader = try VersionReader(file)
        return try reader.allTables.filter(\.isInternal).map { table in
            Int(try reader.connection.integer("SELECT count(*) FROM \(table.name)") ?? -1)
        }
    }
}
