import Testing

@testable import KappaCore

/// Times, decimals, booleans and JSON in users' SQL.
@Suite("SQL knows the types of columns")
struct SQLTypesTests {
    private let questions: SQLQuestions

    init() throws {
        questions = try SQLQuestions([
            SQLQuestions.row(
                "a",
                [
                    "at": .time("2024-01-15"), "seen": .time("2024-01-15T14:30:00.25Z"),
                    "paid": .number("0.1"), "owed": .number("12345678901234567890.123456789"),
                    "n": .integer(5), "x": .double(0.5), "ok": .bool(true), "s": .text("5"),
                    "doc": .json(#"{"tags":["red","blue"],"since":"2024-01-01","price":12.5}"#),
                ]),
            SQLQuestions.row(
                "b",
                [
                    "at": .time("2024-03-01"), "seen": .time("1969-12-31T23:59:59.999999Z"),
                    "paid": .number("0.2"), "owed": .number("-98765432109876543210.5"),
                    "n": .integer(10), "x": .double(2), "ok": .bool(false), "s": .text("10"),
                    "doc": .json(#"{"tags":[]}"#),
                ]),
            SQLQuestions.row(
                "c",
                [
                    "at": .time("2024-03-02"), "paid": .number("10"), "owed": .number("7"),
                    "s": .text("x"),
                ]),
        ])
    }

    @Test("a text compared with a time is a time: as a date, with and without a zone")
    func times() throws {
        #expect(try questions.query("seen < '1999-01-01'") == ["b"])
        #expect(try questions.query("at >= '2024-03-01'") == ["b", "c"])
        #expect(try questions.query("at = '2024-03-01T01:00:00+01:00'") == ["b"])
        #expect(try questions.query("seen BETWEEN '2024-01-15 14:30' AND '2024-01-16'") == ["a"])
        #expect(try questions.query("'2024-03-02' IN (at, seen)") == ["c"])
        #expect(try questions.query("(at, k) > ('2024-03-01', 'a')") == ["b", "c"])
        #expect(try questions.csv("SELECT count(*) FROM t WHERE at < '2024-02-01'") == ["1"])
        #expect(try questions.csv("SELECT count(*) FROM t WHERE at < ts('2024-02-01')") == ["1"])
        #expect(try questions.csv("SELECT k FROM t WHERE at < date('2024-02-01')") == ["a"])
        #expect(
            try questions.csv("SELECT k FROM t WHERE at IN (SELECT '2024-03-01' UNION SELECT NULL)")
                == ["b"])
        #expect(
            try questions.csv(
                "WITH d(day) AS (VALUES ('2024-03-01'), ('2024-03-02')) "
                    + "SELECT k FROM d JOIN t ON t.at = d.day ORDER BY k") == ["b", "c"])
        #expect(
            try questions.gate(.sql("SELECT 1 FROM new WHERE at >= '2024-03-01'")).figures
                == "it returns 2 rows")
        #expect(try questions.diff("seen < '1999-01-01'") == ["b"])
    }

    @Test("a value that cannot be a time is refused, with how to write one")
    func notTimes() throws {
        let error = #expect(throws: KappaError.self) { try questions.query("seen < 'yesterday'") }
        #expect(error?.reason == "seen is a time, and 'yesterday' is not a time")
        #expect(error?.advice?.hasPrefix("Write a date such as '2024-01-15'") == true)
        #expect(
            questions.refusal("SELECT * FROM t WHERE seen > 5")
                == "usage seen is a time, and 5 is an integer")
        for wrong in [
            "seen < n", "seen < paid", "seen = ok", "seen + 1.5 > seen", "seen * 2", "-seen",
            "sum(seen)", "seen / 1000000", "datetime(seen, 'unixepoch')", "abs(seen)",
            "printf('%d', seen)", "printf('%s %*.1f', 'x', 5, seen)", "printf(s, seen)",
            "coalesce(seen, 0)", "CAST(s AS DATE)", "seen IN (1, 2)",
            "CASE seen WHEN 5 THEN 1 END", "nullif(seen, 'x')", "(seen, n) < ('x', 1)", "ts('now')",
            "ts(5)", "seen < 'x' || 'y'", "seen IN (SELECT n FROM t)", "max(seen, 5)",
        ] {
            let refusal = questions.refusal("SELECT \(wrong) FROM t")
            #expect(refusal.hasPrefix("usage "), "\(wrong): \(refusal)")
            #expect(!refusal.contains("_kappa_"), "\(refusal)")
        }
    }

    @Test("times computed from times print as times, and differences as microseconds")
    func computedTimes() throws {
        #expect(
            try questions.csv(
                "SELECT max(seen), min(at), max(seen) - min(seen), seen - '2024-01-15' FROM t "
                    + "WHERE k = 'a'") == [
                    "2024-01-15T14:30:00.25Z,2024-01-15T00:00:00Z,0,52200250000"
                ])
        #expect(
            try questions.csv(
                "WITH c AS (SELECT at + 1000000 AS later FROM t) "
                    + "SELECT later FROM c WHERE later > '2024-03-02'") == ["2024-03-02T00:00:01Z"])
        #expect(
            try questions.csv(
                "SELECT coalesce(seen, 'never'), coalesce(seen, '1970-01-01') FROM t "
                    + "WHERE k = 'c'") == ["never,1970-01-01T00:00:00Z"])
        #expect(
            try questions.csv(
                "SELECT lag(at) OVER (ORDER BY at), 'at ' || at FROM t LIMIT 1 OFFSET 1")
                == ["2024-01-15T00:00:00Z,at 2024-03-01T00:00:00Z"])
        #expect(
            try questions.csv(
                "SELECT date(at), strftime('%Y-%m', at), unixepoch(at), time(seen) "
                    + "FROM t WHERE k = 'a'") == ["2024-01-15,2024-01,1705276800,14:30:00"])
        #expect(try questions.query("at LIKE '2024-03%'") == ["b", "c"])
        #expect(
            try questions.csv("SELECT printf('%.2f%% at %s', paid, at) FROM t LIMIT 1")
                == ["0.10% at 2024-01-15T00:00:00Z"])
        #expect(
            try questions.csv("SELECT local_date(at, 'Asia/Tokyo') FROM t LIMIT 1")
                == ["2024-01-15"])
        #expect(
            try questions.csv("SELECT CAST(at AS TEXT), CAST(at AS INTEGER) FROM t LIMIT 1")
                == ["2024-01-15T00:00:00Z,1705276800000000"])
        #expect(
            try questions.csv("SELECT CAST('2024-01-15' AS TIMESTAMP)")
                == ["2024-01-15T00:00:00Z"])
    }

    @Test("decimals are compared and ordered by their values, however many digits they have")
    func decimalOrder() throws {
        #expect(try questions.query("owed > 10") == ["a"])
        #expect(try questions.query("owed > '10'") == ["a"])
        #expect(try questions.query("owed < 10", order: ["owed"]) == ["b", "c"])
        #expect(try questions.query("true", order: ["owed desc"]) == ["a", "c", "b"])
        #expect(try questions.csv("SELECT k FROM t ORDER BY owed") == ["b", "c", "a"])
        #expect(
            try questions.csv("SELECT k, owed AS o FROM t ORDER BY 2 DESC LIMIT 1")
                == ["a,12345678901234567890.123456789"])
        #expect(
            try questions.csv("SELECT k, -owed AS owed FROM t ORDER BY owed LIMIT 1")
                == ["a,-12345678901234567890.123456789"])
        #expect(
            try questions.csv("SELECT k, max(owed) FROM t")
                == ["a,12345678901234567890.123456789"])
        #expect(
            try questions.csv("SELECT min(owed) OVER (ORDER BY k) FROM t LIMIT 1 OFFSET 2")
                == ["-98765432109876543210.5"])
        #expect(
            try questions.csv("SELECT paid FROM t UNION SELECT owed FROM t ORDER BY 1 DESC LIMIT 2")
                == ["12345678901234567890.123456789", "10"])
        #expect(try questions.query("paid = 0.10 OR paid = '1e1'") == ["a", "c"])
        #expect(
            try questions.query("owed IN (7.0, 12345678901234567890.1234567890)") == ["a", "c"])
        #expect(try questions.query("owed BETWEEN -1e20 AND paid") == ["b", "c"])
        #expect(
            try questions.csv("SELECT max(paid, owed), min(paid, 0.15) FROM t ORDER BY k")
                == ["12345678901234567890.123456789,0.1", "0.2,0.15", "10,0.15"])
        #expect(
            questions.refusal("SELECT 1 FROM t WHERE paid > 'much'")
                == "usage paid is a decimal, and 'much' is not a number")
        #expect(questions.refusal("SELECT paid % 3 FROM t").hasPrefix("usage paid is a decimal"))
    }

    @Test("sums, means and arithmetic of decimals are exact, in sql and in gates")
    func decimalSums() throws {
        #expect(
            try questions.csv("SELECT sum(paid), total(paid), avg(paid) FROM t WHERE paid < 1")
                == ["0.3,0.3,0.15"])
        #expect(
            try questions.csv("SELECT sum(owed) FROM t")
                == ["-86419753208641975313.376543211"])
        #expect(
            try questions.csv(
                "SELECT paid + 0.2, paid * 3, paid - n, paid / 3, -paid, 1 - paid "
                    + "FROM t WHERE k = 'a'")
                == ["0.3,0.3,-4.9,0.03333333333333333333333333333,-0.1,0.9"])
        #expect(
            try questions.csv(
                "SELECT round(owed, 1), abs(owed), sign(owed), floor(owed) FROM t "
                    + "WHERE k = 'b'") == [
                    "-98765432109876543210.5,98765432109876543210.5,-1,-98765432109876543211"
                ])
        #expect(
            try questions.csv(
                "SELECT CAST(owed AS TEXT), 'x' || paid, CAST('1.50' AS DECIMAL) "
                    + "FROM t WHERE k = 'a'") == ["12345678901234567890.123456789,x0.1,1.5"])
        #expect(questions.refusal("SELECT CAST(owed AS INTEGER) FROM t").hasPrefix("usage "))
        #expect(
            try questions.csv("SELECT sum(paid) FILTER (WHERE ok), count(DISTINCT paid) FROM t")
                == ["0.1,3"])
        let gate = try questions.gate(.sql("SELECT sum(paid) AS s FROM new WHERE paid < 1"))
        #expect(gate.sample == ["s 0.3"])
        #expect(
            try questions.gate(.columnDrift("paid", atMost: 0)).figures
                == "its sum goes from 10.3 to 10.3 (0%)")
    }

    @Test("booleans are written true and false; numbers and texts are compared as one kind")
    func booleansAndNumbers() throws {
        #expect(try questions.query("ok = 'true'") == ["a"])
        #expect(try questions.query("ok = TRUE OR ok = 0") == ["a", "b"])
        #expect(try questions.query("ok IN ('FALSE')") == ["b"])
        #expect(try questions.csv("SELECT max(ok), ok FROM t WHERE k = 'a'") == ["true,true"])
        #expect(try questions.query("n > '9'") == ["b"])
        #expect(try questions.query("n + 1 = '6'") == ["a"])
        #expect(try questions.query("x IN ('0.5')") == ["a"])
        #expect(try questions.query("s = 5") == ["a"])
        #expect(try questions.query("upper(s) IN (5, 10)") == ["a", "b"])
        for wrong in ["ok = 'yes'", "ok = 2", "n > 'many'", "n = s", "x < s", "paid = ok"] {
            #expect(questions.refusal("SELECT \(wrong) FROM t").hasPrefix("usage "), "\(wrong)")
        }
    }

    @Test("JSON functions, json_each and json_tree read nested values")
    func json() throws {
        #expect(
            try questions.csv("SELECT k, e.value FROM t, json_each(t.doc, '$.tags') AS e")
                == ["a,red", "a,blue"])
        #expect(
            try questions.csv("SELECT k, e.value FROM t, json_each(doc -> 'tags') e ORDER BY 2")
                == ["a,blue", "a,red"])
        #expect(try questions.csv("SELECT count(*) FROM t JOIN json_tree(t.doc)") == ["8"])
        #expect(
            try questions.query(
                "EXISTS (SELECT 1 FROM json_each(doc, '$.tags') WHERE value = 'red')")
                == ["a"])
        #expect(try questions.query("at > doc ->> 'since'") == ["a"])
        #expect(try questions.query("json_extract(doc, '$.price') >= 12") == ["a"])
        #expect(
            try questions.sql("SELECT json_object('at', at, 'owed', owed, 'ok', ok) FROM t LIMIT 1")
                == [
                    [
                        .json(
                            #"{"at":"2024-01-15T00:00:00Z","owed":12345678901234567890.123456789,"ok":true}"#
                        )
                    ]
                ])
        #expect(
            try questions.csv("SELECT json_array_length(doc, '$.tags') FROM t") == ["2", "0", ""])
    }

    @Test("EXPLAIN QUERY PLAN shows that keys are still used")
    func plans() throws {
        func plan(_ condition: String) throws -> String {
            try questions.csv("EXPLAIN QUERY PLAN SELECT * FROM t WHERE \(condition)").joined()
        }
        #expect(try plan("k = 'x'").contains("SEARCH live_t.t USING PRIMARY KEY (k=?)"))
        #expect(
            try plan("k = 'x' AND at >= '2024-03-01'")
                .contains("SEARCH live_t.t USING PRIMARY KEY (k=? AND at>?)"))
        #expect(try plan("k IN ('x', 'y') AND at = ts('2024-03-01')").contains("SEARCH"))
        #expect(try plan("s = 'x'").contains("SCAN"))
        #expect(try questions.sql("EXPLAIN SELECT k FROM t").count > 5)
    }

    @Test("parameters take the type of what they are compared with")
    func parameters() throws {
        func keys(_ condition: String, _ values: String...) throws -> [String] {
            try questions.csv("SELECT k FROM t WHERE \(condition)", values.map { .text($0) })
        }
        #expect(try keys("at >= ?", "2024-03-01") == ["b", "c"])
        #expect(try keys("n = ? AND s = ?", "5", "5") == ["a"])
        #expect(try keys("owed > ?", "10.0") == ["a"])
        #expect(try keys("ok = :yes", "true") == ["a"])
        #expect(try keys("k IN (?2, ?1)", "a", "c'") == ["a"])
        #expect(try keys("k = ? LIMIT ?", "a", "1") == ["a"])
        #expect(try questions.columns("SELECT k FROM t") == ["k"])
        #expect(
            questions.refusal("SELECT ?")
                == "usage it has 1 parameter, and 0 values are given")
        #expect(
            questions.refusal("SELECT 1", [.text("x")])
                == "usage it has 0 parameters, and 1 value is given")
        #expect(
            questions.refusal("SELECT 1 FROM t WHERE at > ?", [.text("x")])
                == "usage at is a time, and 'x' is not a time")
    }

    @Test("a result column is named as it was written")
    func names() throws {
        #expect(
            try questions.columns("SELECT max(owed), sum(paid) AS s, paid + 1, paid FROM t")
                == ["max(owed)", "s", "paid + 1", "paid"])
    }

    @Test("a name in double quotes that is not a column is an error, not a text")
    func doubleQuotes() throws {
        #expect(try questions.query("\"k\" = 'a'") == ["a"])
        #expect(
            questions.refusal("SELECT 1 FROM t WHERE s = \"red\"")
                == "usage there is no column \"red\"")
    }
}
