@testable import KappaCore

/// Versions made from given rows, without a log.
extension VersionsFolder {
    typealias Rows = [[Value]]

    /// A version's file with these tables and rows, at an offset.
    func make(
        _ number: Int, _ tables: [(TableSchema, Rows)], at offset: UInt64 = 5
    ) throws -> VersionReader {
        try Folder.make(data.view("t"))
        let path = data.file(VersionID("t", VersionNumber(number)))
        let store = try VersionStore(
            at: path, view: "t", number: number, digest: "\(number)",
            tables: tables.map(\.0))
        try store.commit(Checkpoint(offset: Offset(offset))) { transaction in
            for (index, table) in tables.enumerated() {
                // A new version's rows are written in key order.
                for row in table.1.sorted(by: { Self.isOrdered($0, $1, table.0) }) {
                    let writer = transaction.upsert(into: index)
                    var sink = StoreSink(writer)
                    try row.withTexts {
                        sink.append($0)
                    } then: {
                        try writer.execute()
                    }
                }
            }
        }
        return try VersionReader(path)
    }

    private static func isOrdered(_ a: [Value], _ b: [Value], _ table: TableSchema) -> Bool {
        for column in table.keyColumns where a[column] != b[column] {
            switch (a[column], b[column]) {
            case (.text(let x), .text(let y)): return x.utf8.lexicographicallyPrecedes(y.utf8)
            case (.integer(let x), .integer(let y)): return x < y
            default: return false
            }
        }
        return false
    }
}
