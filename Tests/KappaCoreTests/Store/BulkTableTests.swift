import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// The pages that kappa writes itself, read by SQLite.
@Suite("A new version's file, written in one go")
struct BulkTableTests {
    private static let schema = TableSchema(
        name: "t",
        columns: [
            ColumnSchema("note", .text), ColumnSchema("name", .text, isKey: true),
            ColumnSchema("size", .double), ColumnSchema("number", .integer, isKey: true),
            ColumnSchema("amount", .decimal), ColumnSchema("isOn", .bool),
        ], hasState: true)

    private struct Row {
        var cells: [Value]
        var state: [UInt8]
    }

    /// Random rows in key order, some with texts of many pages.
    private static func rows(_ count: Int, longest: Int, _ random: inout SplitMix) -> [Row] {
        var keys: Set<String> = []
        var rows: [(name: String, number: Int64)] = []
        while rows.count < count {
            let name =
                ["", "a", "a\u{0}", "ä", "user_\(Int.random(in: 0...50, using: &random))"]
                .randomElement(using: &random) ?? ""
            let number = Self.number(&random)
            if keys.insert("\(name)|\(number)").inserted { rows.append((name, number)) }
        }
        rows.sort { a, b in
            a.name == b.name && a.name.utf8.elementsEqual(b.name.utf8)
                ? a.number < b.number : a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
        }
        return rows.map { name, number in
            let isLong = Int.random(in: 0..<10, using: &random) == 0
            let length = Int.random(in: 0...(isLong ? longest : 40), using: &random)
            let note: Value =
                Bool.random(using: &random) ? .null : .text(String(repeating: "x", count: length))
            return Row(
                cells: [
                    note, .text(name), .double(Double(number) / 3), .integer(number),
                    .decimal(ExactDecimal(mantissa: Int128(number), scale: 3)),
                    .bool(number & 1 == 0),
                ],
                state: (0..<(length % 7)).map { UInt8($0) })
        }
    }

    private static func number(_ random: inout SplitMix) -> Int64 {
        let bits = Int.random(in: 0...63, using: &random)
        let magnitude = Int64.random(in: 0...Int64.max, using: &random) >> Int64(bits)
        return Bool.random(using: &random) ? magnitude : -magnitude
    }

    @Test(
        "holds what was written, and SQLite finds nothing wrong with it",
        arguments: [
            (0, 10), (1, 10), (2, 9_000), (50, 3_000), (300, 100), (2_000, 20_000), (20_000, 30),
        ])
    func roundTrip(_ count: Int, _ longest: Int) throws {
        for seed in Seeds.random(2) {
            var random = SplitMix(state: seed)
            let folder = try TemporaryFolder()
            let path = folder.path + "/1.db"
            let rows = Self.rows(count, longest: longest, &random)
            let store = try VersionStore(
                at: path, view: "t", number: 1, digest: "d", tables: [Self.schema])
            try store.commit(Checkpoint(offset: Offset(7))) { transaction in
                for row in rows { try Self.write(row, transaction.upsert(into: 0)) }
            }
            let connection = try SQLiteConnection(path, .readWrite)
            let check = try connection.prepare("PRAGMA integrity_check")
            #expect(try check.step() && check.string(0) == "ok", "seed \(seed)")
            var index = 0
            try VersionReader(path).forEachRow(table: 0) { cursor in
                guard index < rows.count else {
                    index += 1
                    return
                }
                let found = Self.schema.values(cursor)
                if found != rows[index].cells || Array(cursor.blob(6)) != rows[index].state {
                    Issue.record("row \(index) is \(found), seed \(seed)")
                }
                index += 1
            }
            #expect(index == rows.count, "seed \(seed)")
            // Later commits change the same tree through SQLite.
            try store.commit(Checkpoint(offset: Offset(8))) { transaction in
                for row in rows { try Self.write(row, transaction.upsert(into: 0)) }
            }
            #expect(try store.rowCount(table: 0) == rows.count, "seed \(seed)")
        }
    }

    private static func write(_ row: Row, _ writer: any RowWriter) throws {
        var sink = StoreSink(writer)
        try row.cells.withTexts {
            sink.append($0)
        } then: {
            try row.state.withUnsafeBytes { state in
                sink.blob(state)
                try writer.execute()
            }
        }
    }

    @Test("rows that several threads encode make the same file as rows written one by one")
    func together() throws {
        var random = SplitMix(state: 3)
        let folder = try TemporaryFolder()
        // Enough rows to use several threads, and not a multiple of a piece.
        let rows = Self.rows(30_001, longest: 300, &random)
        var files: [[UInt8]] = []
        for isTogether in [false, true] {
            let path = folder.path + "/\(isTogether).db"
            let store = try VersionStore(
                at: path, view: "t", number: 1, digest: "d", tables: [Self.schema])
            try store.commit(Checkpoint(offset: Offset(7))) { transaction in
                if isTogether {
                    try transaction.upsertRows(into: 0, count: rows.count) { index, writer in
                        try Self.write(rows[index], writer)
                    }
                } else {
                    for row in rows { try Self.write(row, transaction.upsert(into: 0)) }
                }
            }
            var read: [[UInt8]] = []
            try VersionReader(path).forEachRow(table: 0) { cursor in
                read.append(Array("\(Self.schema.values(cursor))".utf8) + Array(cursor.blob(6)))
            }
            #expect(read.count == rows.count)
            files.append(Array(read.joined()))
        }
        #expect(files[0] == files[1])
    }

    @Test("rows in the wrong order are refused at the boundary between two threads' pieces, too")
    func wrongOrderTogether() throws {
        let folder = try TemporaryFolder()
        for place in [4_095, 4_096, 4_097, 29_999] {
            let store = try VersionStore(
                at: folder.path + "/1.db", view: "t", number: 1, digest: "d",
                tables: [Self.schema])
            let error = #expect(throws: KappaError.self) {
                try store.commit(Checkpoint()) { transaction in
                    try transaction.upsertRows(into: 0, count: 30_000) { index, writer in
                        let number = Int64(index == place ? index - 1 : index)
                        let cells: [Value] = [
                            .null, .text("a"), .double(0), .integer(number), .decimal(1),
                            .bool(true),
                        ]
                        try Self.write(Row(cells: cells, state: []), writer)
                    }
                }
            }
            #expect(error?.code == .bug, "row \(place)")
            #expect(Folder.names(in: folder.path) == [])
        }
    }

    @Test("a number may represent several rows, or none", arguments: [0, 1, 3])
    func several(_ most: Int) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/1.db"
        let store = try VersionStore(
            at: path, view: "t", number: 1, digest: "d", tables: [Self.schema])
        // A whole piece in the middle has no rows.
        let counts = (0..<25_000).map { (8_000..<13_000).contains($0) ? 0 : $0 % (most + 1) }
        try store.commit(Checkpoint(offset: Offset(7))) { transaction in
            try transaction.upsertRows(into: 0, count: counts.count) { index, writer in
                for part in 0..<counts[index] {
                    let cells: [Value] = [
                        .null, .text("a"), .double(0), .integer(Int64(10 * index + part)),
                        .decimal(1), .bool(true),
                    ]
                    try Self.write(Row(cells: cells, state: []), writer)
                }
            }
        }
        #expect(try store.rowCount(table: 0) == counts.reduce(0, +))
    }

    @Test("the page that SQLite locks, at 1 GiB, is left out")
    func lockPage() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/large.db"
        // A sparse file that ends two pages before it.
        let before = BulkFile.lockPage - 2
        #expect(Int(BulkFile.lockPage - 1) * BulkPage.size == 1 << 30)
        let descriptor = open(path, O_RDWR | O_CREAT, 0o644)
        #expect(ftruncate(descriptor, off_t(before) * off_t(BulkPage.size)) == 0)
        close(descriptor)
        let file = try BulkFile(path)
        #expect(file.allocate() == before + 1)
        #expect(file.allocate() == before + 3)
        #expect(file.allocate() == before + 4)
    }

    @Test("rows in the wrong order are refused, and nothing is left of the file")
    func wrongOrder() throws {
        let folder = try TemporaryFolder()
        var random = SplitMix(state: 1)
        let rows = Self.rows(5, longest: 10, &random)
        for order in [rows.reversed(), [rows[0], rows[0]]] {
            let store = try VersionStore(
                at: folder.path + "/1.db", view: "t", number: 1, digest: "d",
                tables: [Self.schema])
            let error = #expect(throws: KappaError.self) {
                try store.commit(Checkpoint()) { transaction in
                    for row in order { try Self.write(row, transaction.upsert(into: 0)) }
                }
            }
            #expect(error?.code == .bug)
            #expect(Folder.names(in: folder.path) == [])
        }
    }
}
