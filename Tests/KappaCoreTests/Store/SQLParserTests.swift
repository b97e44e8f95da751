import Testing

@testable import KappaCore

/// Which SQL is accepted, and the SQL that SQLite gets for it.
@Suite("SQL is parsed and rewritten")
struct SQLParserTests {
    static let schema = TableSchema(
        name: "p",
        columns: [
            ColumnSchema("a", .integer, isKey: true), ColumnSchema("b", .text),
            ColumnSchema("c", .integer), ColumnSchema("x", .double), ColumnSchema("at", .timestamp),
            ColumnSchema("paid", .decimal), ColumnSchema("ok", .bool), ColumnSchema("doc", .json),
        ])
    static let table = SQLTable(name: "p", database: "live_p", schema: schema)

    /// Statements over integers and texts: none of them is rewritten.
    static let plain = [
        "SELECT 1", "SELECT a, b FROM p", "SELECT * FROM p", "SELECT p.*, 1 AS one FROM p",
        "SELECT DISTINCT b FROM p WHERE a > 1 AND NOT (c < 2 OR b LIKE 'x%' ESCAPE '!')",
        "SELECT ALL a FROM p ORDER BY b DESC NULLS LAST, 1 ASC LIMIT 3 OFFSET 1",
        "SELECT a FROM p LIMIT 2, 3", "VALUES (1, 'x'), (2, 'y')", "SELECT count(*) FROM p",
        "SELECT b, count(*) AS n, max(c) FROM p GROUP BY b HAVING n > 1 ORDER BY n",
        "SELECT a FROM p UNION ALL SELECT c FROM p UNION SELECT 1 ORDER BY a LIMIT 2",
        "SELECT a FROM p INTERSECT SELECT c FROM p EXCEPT SELECT 9",
        "SELECT q.a, r.b FROM p AS q JOIN p r ON q.a = r.c", "SELECT 1 FROM p q, p r, (p s, p t)",
        "SELECT q.a FROM p q LEFT OUTER JOIN p r USING (a) CROSS JOIN p s NATURAL JOIN p u",
        "SELECT q.a FROM p q FULL JOIN p r ON q.a = r.a RIGHT JOIN p s ON s.a = r.a",
        "SELECT a FROM (SELECT a, b FROM p) WHERE b IS NOT NULL",
        "SELECT a FROM p WHERE a IN (1, 2) OR a NOT IN (SELECT c FROM p) OR b IN ()",
        "SELECT a FROM p WHERE EXISTS (SELECT 1 FROM p AS q WHERE q.c = p.a)",
        "SELECT (SELECT max(q.a) FROM p AS q WHERE q.c <= p.c) FROM p",
        "SELECT a BETWEEN 1 AND 2 AND c NOT BETWEEN 3 AND 4 FROM p",
        "SELECT CASE a WHEN 1 THEN 'x' ELSE 'y' END, CASE WHEN a > 1 THEN 1 END FROM p",
        "SELECT CAST(a AS TEXT), CAST(b AS VARCHAR(10)), CAST(a AS DOUBLE PRECISION) FROM p",
        "SELECT a IS NULL, a ISNULL, a NOTNULL, a NOT NULL, a IS NOT 1, a IS TRUE FROM p",
        "SELECT a IS DISTINCT FROM c, a IS NOT DISTINCT FROM c FROM p",
        "SELECT -a, +a, ~a, NOT a, a + -1, a - - 1, a * 2 / 3 % 4, a & 1 | 2 << 3 >> 1 FROM p",
        "SELECT b || 'x' || upper(b), b COLLATE NOCASE FROM p", "SELECT x'0aFF', 0x1F, .5, 5., 1e3",
        "SELECT \"a\", `b`, [c] FROM \"p\" WHERE \"b\" = 'it''s'",
        "SELECT (a, b) = (1, 'x'), (a, c) < (SELECT a, c FROM p) FROM p",
        "SELECT (a, b) IN (VALUES (1, 'x')), (a, c) IN (SELECT a, c FROM p) FROM p",
        "SELECT sum(a) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 PRECEDING AND CURRENT ROW "
            + "EXCLUDE TIES) FROM p",
        "SELECT row_number() OVER w, lag(a, 1, 0) OVER (w) FROM p WINDOW w AS (ORDER BY a)",
        "SELECT count(*) FILTER (WHERE a > 1), sum(DISTINCT a), group_concat(b, ',') FROM p",
        "WITH q AS (SELECT a FROM p), r(n) AS MATERIALIZED (SELECT a FROM q) SELECT n FROM r",
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
        "WITH r AS NOT MATERIALIZED (SELECT * FROM q), q AS (SELECT a FROM p) SELECT * FROM r, q",
        "SELECT json_extract('{\"a\":1}', '$.a'), '{}' -> 'a', '{}' ->> '$.a'",
        "SELECT key, value FROM json_each('[1,2]') AS e WHERE e.value > 1",
        "SELECT q.a FROM p q, json_each('[' || q.a || ']') WHERE json_each.value = q.a",
        "SELECT a AS \"group\", b 'text', c AS [x y] FROM p NOT INDEXED",
        "SELECT coalesce(a, 1), ifnull(b, 'x'), iif(a, 'x', 'y'), nullif(a, 1), min(a, c) FROM p",
        "SELECT a /* what */ FROM p -- end", "SELECT a FROM p;", "SELECT live_p.p.a FROM live_p.p",
        "SELECT a, a + 1 AS b2 FROM p WHERE b2 > 2 ORDER BY b2", "SELECT max(a), b FROM p",
        "SELECT replace(b, 'a', 'b') FROM p", "SELECT CURRENT_TIMESTAMP, length(b) FROM p",
        "SELECT a FROM p WHERE b GLOB 'a*' AND b NOT LIKE 'b' AND (SELECT 1) AND true = 1",
        "SELECT round(x, 2), abs(a), avg(x), total(c) FROM p",
        "SELECT a NOT IN (p2.c) FROM p, (SELECT c FROM p) p2 WHERE a in (select c from p)",
    ]

    private func text(_ sql: String) throws -> String {
        try SQLStatement.select(sql, over: [Self.table]).text
    }

    @Test("a statement that needs no change stays byte for byte", arguments: plain)
    func verbatim(sql: String) throws {
        let trimmed = sql.replacing(" -- end", with: "").replacing(";", with: "")
        #expect(try text(sql) == trimmed)
    }

    @Test(
        "what SQLite would compute wrongly is rewritten",
        arguments: [
            ("at < '2024-01-01'", "at < 1704067200000000"),
            ("'1960-01-01' <= at", "(-315619200000000) <= at"),
            (
                "at IN ('2024-01-01', ts('2024-01-02'))",
                "at IN (1704067200000000, (1704153600000000))"
            ),
            ("at > b", "at > ts(b)"), ("at = doc ->> 'x'", "at = ts(doc ->> 'x')"),
            ("at -'1960-01-01'", "at -(-315619200000000)"),
            ("paid = 1.50", "paid = _kappa_decimal('1.5')"), ("paid = 2.0", "paid = 2"),
            ("paid < 10", "_kappa_order(paid) < _kappa_order(10)"),
            ("paid = c", "paid = +(c)"), ("paid + 1.1", "dec_add(paid, _kappa_decimal('1.1'))"),
            ("paid * x", "_kappa_double(paid) * x"), ("sum(paid)", "_kappa_sum(paid)"),
            ("max(DISTINCT paid)", "_kappa_unorder(max(DISTINCT _kappa_order(paid)))"),
            ("ok = 'TRUE'", "ok = 1"), ("ok IN (b)", "ok IN (_kappa_bool(b))"),
            ("c = '5'", "c = (5)"), ("b = 5", "b = '5'"), ("b IN (5, -6)", "b IN ('5', '-6')"),
            ("date(at)", "date(rfc3339(at))"), ("b || paid", "b || _kappa_text(paid)"),
            ("coalesce(at, '2024-01-01')", "coalesce(at, 1704067200000000)"),
            ("coalesce(at, 'never')", "coalesce(rfc3339(at), 'never')"),
            (
                "CASE at WHEN '2024-01-01' THEN paid ELSE 0.5 END",
                "CASE at WHEN 1704067200000000 THEN paid ELSE _kappa_decimal('0.5') END"
            ),
            (
                "(paid, at) < (1, '2024-01-01')",
                "(_kappa_order(paid), at) < (_kappa_order(1), 1704067200000000)"
            ),
            (
                "paid IN (SELECT c FROM p)",
                "paid IN (WITH \"kappa set\"(c1) AS (SELECT c FROM p) SELECT +(c1) FROM \"kappa set\")"
            ),
            (
                "sum(paid) OVER (ORDER BY paid)",
                "_kappa_sum(paid) OVER (ORDER BY _kappa_order(paid))"
            ),
        ])
    func rewritten(expression: String, expected: String) throws {
        let found = try text("SELECT \(expression) AS r FROM p")
        #expect(found == "SELECT \(expected) AS r FROM p")
    }

    @Test(
        "what cannot be parsed is refused with its position",
        arguments: [
            ("SELECT a FORM p x", "syntax error near \"p\" at character 15"),
            ("SELECT a FROM p WHERE", "it ends too early"),
            ("SELECT (a FROM p", "syntax error near \"FROM\" at character 11: expected )"),
            ("SELECT 'a FROM p", "a quote is not closed"),
            ("SELECT 1 /* x", "a comment is not closed"),
            ("SELECT 12ab", "12ab is neither a number nor a name"),
            ("SELECT a ! b", "! means nothing in SQL"),
            ("SELECT z FROM p", "no such column: z"), ("SELECT q.a FROM p", "no such column: q.a"),
            ("SELECT a FROM p; SELECT 2", "this is more than one statement"),
            ("SELECT * FROM sqlite_master", "no such table: sqlite_master"),
            ("SELECT _kappa_order(a) FROM p", "no such function: _kappa_order"),
            ("SELECT a FROM pragma_table_info('p')", "no such table: pragma_table_info"),
            (
                "WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a",
                "circular reference: a"
            ),
        ])
    func refused(sql: String, reason: String) throws {
        let error = #expect(throws: KappaError.self) { try text(sql) }
        #expect(error?.reason == reason)
        #expect(error?.place == sql)
    }

    @Test("depth and size are bounded")
    func bounds() throws {
        func expectBound(_ sql: String) {
            #expect(throws: KappaError.self, "\(sql.prefix(40))") { try text(sql) }
        }
        for (open, close) in [
            ("(", ")"), ("-", ""), ("NOT ", ""), ("(SELECT ", ")"), ("abs(", ")"),
            ("CASE WHEN ", " THEN 1 END"), ("1 IN (", ")"), ("EXISTS (SELECT ", ")"), ("~", ""),
            ("CAST(", " AS TEXT)"), ("(1, ", ")"),
        ] {
            let deep = String(repeating: open, count: 5_000) + "1"
            expectBound("SELECT " + deep + String(repeating: close, count: 5_000))
        }
        expectBound("SELECT 1" + String(repeating: " + 1", count: 5_000))
        expectBound("SELECT * FROM " + String(repeating: "(", count: 5_000) + "p")
        expectBound(String(repeating: "WITH a AS (", count: 3_000) + "SELECT 1")
        // An expression that rewriting repeats, nested in itself.
        var nested = "paid"
        for _ in 0..<40 { nested = "(SELECT \(nested) AS z FROM p ORDER BY z LIMIT 1)" }
        expectBound("SELECT \(nested) FROM p")
        var recursive = "SELECT 1"
        for level in 0..<30 {
            recursive =
                "WITH r\(level)(i) AS (SELECT 1 UNION ALL SELECT i + 0.5 FROM r\(level), "
                + "(\(recursive))) SELECT i FROM r\(level)"
        }
        _ = try? text(recursive)
    }
}
