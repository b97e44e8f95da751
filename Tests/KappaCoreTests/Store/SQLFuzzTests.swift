import KappaTesting
import Testing

@testable import KappaCore

/// Random texts: they are refused, or mean what SQLite takes them to mean.
@Suite("Random SQL") struct SQLFuzzTests {
    private static let words = [
        "SELECT", "FROM", "p", "q", "a", "b", "c", "paid", "at", "ok", "x", "WHERE", "AND", "OR",
        "NOT",
        "IN", "(", ")", "(", ")", ",", "*", "+", "-", "||", "=", "<", ">=", "<>", "IS", "NULL", "1",
        "2.5", "'x'", "'2024-01-01'", "'5'", "\"a\"", "CASE", "WHEN", "THEN", "ELSE", "END", "AS",
        "JOIN", "ON", "USING", "UNION", "ALL", "GROUP", "BY", "ORDER", "LIMIT", "WITH", "RECURSIVE",
        "VALUES", "BETWEEN", "LIKE", "ESCAPE", "max", "sum", "count", "coalesce", "OVER",
        "PARTITION",
        "WINDOW", "FILTER", "CAST", "TEXT", "COLLATE", "NOCASE", "EXISTS", "DISTINCT", ".", ";",
        "?",
        ":n", "json_each", "[", "]", "'", "--", "/*", "0x1", "x'00'", "NATURAL", "LEFT", "->",
        "->>",
        "~", "EXPLAIN", "\u{0}", "é", "ISNULL", "HAVING", "OFFSET", "DESC", "NULLS", "FIRST",
    ]

    @Test("random sequences of words never end the program", arguments: [UInt64](1...8))
    func soups(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        for _ in 0..<3_000 {
            var text = random.below(3) == 0 ? "" : "SELECT "
            for _ in 0..<random.below(24) {
                text += Self.words[random.below(Self.words.count)]
                if random.below(8) > 0 { text += " " }
            }
            _ = try? SQLStatement.select(
                text, over: [SQLParserTests.table],
                parameters: random.below(4) == 0 ? [.text("1")] : [])
            _ = try? SQLStatement.condition(text, SQLParserTests.schema)
        }
    }

    /// A statement with tokens removed, doubled, swapped and replaced.
    private static func mutated(_ sql: String, _ random: inout SplitMix) throws -> String {
        let bytes = Array(sql.utf8)
        var tokens = try SQLTokenizer.tokens(bytes).dropLast().map {
            String(decoding: bytes[$0.range], as: UTF8.self)
        }
        for _ in 0...random.below(3) {
            guard tokens.count > 2 else { break }
            let at = 1 + random.below(tokens.count - 1)
            let other = 1 + random.below(tokens.count - 1)
            switch random.below(4) {
            case 0: tokens.remove(at: at)
            case 1: tokens.insert(tokens[other], at: at)
            case 2: tokens.swapAt(at, other)
            default: tokens[at] = tokens[other]
            }
        }
        return tokens.joined(separator: " ")
    }

    @Test(
        "a changed statement over integers and texts is refused, or gives what SQLite gives for it",
        arguments: [UInt64](1...6))
    func mutations(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let connection = try SQLiteConnection(":memory:", .create)
        try connection.execute(
            """
            ATTACH ':memory:' AS live_p;
            CREATE TABLE live_p.p (a INTEGER NOT NULL PRIMARY KEY, b TEXT, c INTEGER, x REAL,
                at INTEGER, paid ANY, ok INTEGER, doc TEXT) STRICT, WITHOUT ROWID;
            INSERT INTO p (a, b, c, x) VALUES (1, 'x', 2, 0.5), (2, 'y', 1, 2.0), (3, 'X', NULL, NULL),
                (4, NULL, 4, 1.5), (-5, 'abc', 3, -1.0);
            """)
        SQLFunctions.add(to: connection)
        let guardian = SQLGuard(connection, tables: ["p"], seconds: 60)
        defer { withExtendedLifetime(guardian) {} }
        var accepted = 0
        for round in 0..<1_500 {
            let whole = SQLParserTests.plain[random.below(SQLParserTests.plain.count)]
            let sql =
                round < SQLParserTests.plain.count
                ? SQLParserTests.plain[round] : try Self.mutated(whole, &random)
            // `doc` and the like are not integers or texts; CURRENT_TIMESTAMP changes with time.
            let others = ["*", "CURRENT", "at", "paid", "ok", "doc", "true"]
            if round >= SQLParserTests.plain.count, others.contains(where: { sql.contains($0) }) {
                continue
            }
            guard let statement = try? SQLStatement.select(sql, over: [SQLParserTests.table])
            else { continue }
            guard let expected = rows(sql, connection) else { continue }
            accepted += 1
            let found = rows(statement.text, connection)
            #expect(found == expected, "\(sql) as \(statement.text), seed \(seed)")
        }
        #expect(accepted > 100)
    }

    /// The first rows, as SQLite stores them; nil if it refuses the statement.
    private func rows(_ sql: String, _ connection: SQLiteConnection) -> [String]? {
        guard let statement = try? connection.prepare(sql) else { return nil }
        var rows: [String] = []
        while rows.count < 200 {
            guard let more = try? statement.step() else { return nil }
            guard more else { break }
            rows.append(
                (0..<statement.columnCount).map {
                    "\(statement.storage($0)) \(statement.string($0))"
                }.joined(separator: "|"))
        }
        return rows
    }
}
