import KappaTesting
import Testing

@testable import KappaCore

/// The SQL views beside tables, as any SQLite client reads them: with none of kappa's functions.
@Suite("Tables for people and other tools") struct ReadableViewsTests {
    private let folder: VersionsFolder

    init() throws { folder = try VersionsFolder() }

    private static let table = TableSchema(
        name: "t",
        columns: [
            ColumnSchema("k", .integer, isKey: true), ColumnSchema("at", .timestamp),
            ColumnSchema("paid", .decimal), ColumnSchema("ok", .bool), ColumnSchema("more", .json),
        ])

    /// Rows of a query over a version's file, on a plain connection.
    private func read(_ sql: String, version: Int = 1) throws -> [[String?]] {
        let path = folder.data.file(VersionID("t", VersionNumber(version)))
        let statement = try SQLiteConnection(path, .readOnly).prepare(sql)
        var rows: [[String?]] = []
        while try statement.step() {
            rows.append((0..<statement.columnCount).map { statement.optionalString($0) })
        }
        return rows
    }

    private func make(_ rows: [[Value]]) throws {
        _ = try folder.make(1, [(Self.table, rows)])
    }

    @Test("times are RFC 3339 as kappa prints them", arguments: Seeds.random(4))
    func times(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var times: [Int64] = [
            0, -1, 1, 999_999, -1_000_000, -999_999, 1_704_067_200_000_000, 1_704_067_200_250_000,
            -62_167_219_200_000_000, 253_402_300_799_999_999, 253_402_300_799_000_000,
        ]
        for _ in 0..<300 {
            let span: UInt64 = 253_402_300_800_000_000 + 62_167_219_200_000_000
            times.append(Int64(random.next() % span) - 62_167_219_200_000_000)
        }
        try make(
            times.enumerated().map {
                [
                    .integer(Int64($0)), .timestamp(Timestamp(microseconds: $1)), .null, .null,
                    .null,
                ]
            })
        let found = try read("SELECT at FROM t_readable ORDER BY k").map { $0[0] }
        #expect(found == times.map { Timestamp(microseconds: $0).description })
    }

    @Test("a time that RFC 3339 cannot express stays a number, and nil stays nil")
    func timesBeyond() throws {
        let times: [Int64] = [.min, .max, 253_402_300_800_000_000]
        try make(
            times.enumerated().map {
                [
                    .integer(Int64($0)), .timestamp(Timestamp(microseconds: $1)), .null, .null,
                    .null,
                ]
            } + [[.integer(9), .null, .null, .null, .null]])
        #expect(
            try read("SELECT at, paid, paid_millionths, ok FROM t_readable ORDER BY k")
                == times.map { ["\($0)", nil, nil, nil] } + [[nil, nil, nil, nil]])
    }

    @Test("millionths are exact where they fit, and add up", arguments: Seeds.random(6))
    func decimals(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var texts = [
            "0", "0.1", "-0.000001", "0.0000001", "999999999.999999", "1000000000.999999",
            "999999999999.999999", "-999999999999.999999", "1000000000000", "99999999999999.9",
            "9223372036854", "9223372036855", "-9223372036854.775808", "0.1234567", "1e-20",
            "12345678901.1", "123456789012345.6",
        ].compactMap { ExactDecimal($0)?.description }
        for _ in 0..<150 {
            var number = SlowDecimal("\(random.next() % 1_000_000_000_000_000_000)")
            number.digits.removeLast(random.below(12))
            number.scale = random.below(8)
            number.isNegative = random.chance(1, in: 2)
            texts.append(number.text)
            texts.append(random.decimalText())
        }
        let decimals = try texts.map { try #require(ExactDecimal($0)) }
        try make(
            decimals.enumerated().map {
                [.integer(Int64($0)), .null, .decimal($1), .null, .null]
            })
        let found = try read(
            "SELECT paid_millionths, typeof(paid_millionths), typeof(paid), paid FROM t_readable ORDER BY k"
        )
        for (decimal, row) in zip(decimals, found) {
            let exact = (decimal * 1_000_000)
            let isSmall = decimal.magnitude < 1_000_000_000_000
            if decimal.scale <= 6, isSmall {
                #expect(row[0] == exact.description && row[1] == "integer", "\(decimal)")
            } else if row[1] == "integer" {
                #expect(row[0] == exact.description, "\(decimal)")
            } else {
                let double = try #require(row[0].flatMap { Double($0) })
                #expect(row[1] == "real")
                #expect(abs(double - Double(decimal) * 1e6) <= abs(Double(decimal) * 1e-8))
            }
            #expect(row[2] == "real")
        }
        let money = decimals.filter { $0.scale <= 6 && $0.magnitude < 1_000_000 }
        let total = try read(
            "SELECT sum(paid_millionths) FROM t_readable WHERE abs(paid) < 1e6 AND typeof(paid_millionths) = 'integer'"
        )
        #expect(total == [[(try money.sum() * 1_000_000).description]])
    }

    @Test("booleans are 0 and 1, JSON can be expanded, and names never collide")
    func others() throws {
        try make([
            [.integer(1), .null, .null, .bool(true), .json(#"[{"a":1},{"a":2}]"#)],
            [.integer(2), .null, .null, .bool(false), .json("[]")],
        ])
        #expect(try read("SELECT k FROM t_readable WHERE ok") == [["1"]])
        #expect(
            try read(
                "SELECT k, json_extract(value, '$.a') FROM t_readable, json_each(more) ORDER BY 2")
                == [["1", "1"], ["1", "2"]])
    }

    @Test("a view with tables and columns that are named like the SQL views and their columns")
    func names() throws {
        let tables = ["t", "T_readable"].map { name in
            TableSchema(
                name: name,
                columns: [
                    ColumnSchema("k", .integer, isKey: true), ColumnSchema("x", .decimal),
                    ColumnSchema("X_millionths", .integer),
                ])
        }
        let rows: [[Value]] = [[.integer(1), .decimal(2), .integer(7)]]
        _ = try folder.make(2, tables.map { ($0, rows) })
        for view in ["t_readable_", "T_readable_readable"] {
            #expect(
                try read("SELECT k, x, x_millionths_, X_millionths FROM \(view)", version: 2)
                    == [["1", "2.0", "2000000", "7"]])
        }
    }

    @Test("a file of an earlier build gets them on its next write, and is not rebuilt")
    func earlierFiles() throws {
        try make([[.integer(1), .timestamp(Timestamp(microseconds: 0)), .null, .null, .null]])
        let path = folder.data.file(VersionID("t", VersionNumber(1)))
        try SQLiteConnection(path, .readWrite).execute("DROP VIEW t_readable")
        _ = try VersionReader(path).checkpoint()
        #expect(throws: KappaError.self) { try read("SELECT * FROM t_readable") }
        let store = try VersionStore(opening: path)
        #expect(try read("SELECT k, at FROM t_readable") == [["1", "1970-01-01T00:00:00Z"]])
        try store.commit(Checkpoint(offset: Offset(6))) { _ in }
        #expect(try VersionReader(path).tables.map(\.name) == ["t"])
    }

    @Test("internal tables have none")
    func internalTables() throws {
        let path = folder.data.file(VersionID("t", VersionNumber(1)))
        try make([])
        let names = try SQLiteConnection(path, .readOnly).prepare(
            "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'view'")
        #expect(try names.step() && names.string(0) == "t_readable")
    }
}
