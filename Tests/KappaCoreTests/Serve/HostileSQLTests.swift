import Testing

@testable import KappaCore

/// Users' SQL: `sql` and `query --where`.
@Suite("Users' SQL")
struct HostileSQLTests {
    private let folder: VersionsFolder

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 100)
        try folder.catchUp([tally("a"), tally("a", named: "other"), times])
    }

    private func sql(_ statement: String, seconds: Int = 60) throws -> [[Value]] {
        let query = try SQLQuery(statement, folder.catalog(), seconds: seconds)
        var rows: [[Value]] = []
        try query.run { rows.append($0) }
        return rows
    }

    private func rows(where condition: String, seconds: Int = 60) throws -> [[Value]] {
        var query = RowQuery()
        query.condition = condition
        query.seconds = seconds
        var rows: [[Value]] = []
        try query.run(on: folder.reader("tally", 1)) { rows.append($0) }
        return rows
    }

    @Test("ordinary queries work")
    func ordinary() throws {
        #expect(try sql("SELECT count(*) FROM tally") == [[.integer(5)]])
        #expect(try sql("select k from tally order by total desc limit 1;") == [[.text("k4")]])
        let join = "SELECT a.k FROM tally a JOIN other b ON a.k = b.k AND a.n = b.n"
        #expect(try sql(join).count == 5)
        let withs = "WITH big AS (SELECT * FROM tally WHERE n > 0) SELECT sum(n) FROM big"
        #expect(try sql(withs) == [[.integer(100)]])
        #expect(try sql("-- a comment\nSELECT 1 -- another;\n") == [[.integer(1)]])
        #expect(try sql("SELECT ';' /* ; */ ; ;") == [[.text(";")]])
        #expect(
            try sql("WITH c AS (SELECT * FROM tally) SELECT count(*) FROM c") == [[.integer(5)]])
        #expect(try sql("VALUES (1), (2)").count == 2)
        #expect(try sql("SELECT upper(k), round(total / 3.0, 1) FROM TALLY").count == 5)
        let recursion = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c LIMIT 9) "
        #expect(try sql(recursion + "SELECT max(x) FROM c") == [[.integer(9)]])
    }

    @Test("a table that two views have is an error with both names, if a statement uses it")
    func twoTables() throws {
        let shared = View("more", digest: "1") {
            Events(Tick.self).grouped(by: \.k).aggregate(.count().as("n")).into("tally")
            Events(Tick.self).grouped(by: \.k).aggregate(.count().as("n")).into("only_here")
        }
        try folder.catchUp([tally("a"), tally("a", named: "other"), times, shared])
        let error = #expect(throws: KappaError.self) { try sql("SELECT count(*) FROM tally") }
        #expect(error?.code == .usage)
        #expect(error?.what == "there are two tables tally")
        #expect(error?.reason == "the views more and tally have one each")
        #expect(try sql("SELECT count(*) FROM only_here") == [[.integer(5)]])
    }

    @Test("the error for a missing table has the statement and the existing tables")
    func noSuchTable() throws {
        let error = #expect(throws: KappaError.self) { try sql("SELECT * FROM talli") }
        #expect(error?.place == "SELECT * FROM talli")
        #expect(error?.reason == "no such table: talli")
        #expect(error?.advice == "There are other, tally, times")
    }

    @Test("the columns of a view come with their types")
    func kinds() throws {
        let row = try #require(
            try sql("SELECT k, first, price, price + 1, first + 0 FROM times").first)
        #expect(row[0] == .text("k0"))
        #expect(row[1] == .timestamp(Timestamp(microseconds: 1_705_329_000_000_000)))
        #expect(row[2] == .decimal(ExactDecimal("0.1") ?? 0))
        #expect(row[3] == .decimal(ExactDecimal("1.1") ?? 0))
        #expect(row[4] == .timestamp(Timestamp(microseconds: 1_705_329_000_000_000)))
    }

    @Test("ts() and rfc3339() turn times into the numbers of columns and back")
    func timeFunctions() throws {
        #expect(
            try sql("SELECT ts('2024-01-15T14:30:00Z')")
                == [[.timestamp(Timestamp(microseconds: 1_705_329_000_000_000))]])
        #expect(
            try sql("SELECT rfc3339(ts('2024-01-15T15:30:00.25+01:00'))")
                == [[.text("2024-01-15T14:30:00.25Z")]])
        #expect(try sql("SELECT rfc3339(NULL)") == [[.null]])
        #expect(try sql("SELECT k FROM times WHERE first < ts('2024-01-15T14:30:01Z')").count == 1)
        #expect(try sql("SELECT ts(NULL)") == [[.null]])
        for bad in ["'yesterday'", "''", "1.5"] {
            let error = #expect(throws: KappaError.self, "\(bad)") { try sql("SELECT ts(\(bad))") }
            #expect(error?.code == .usage)
        }
    }

    @Test(
        "a statement that does not only read views is refused",
        arguments: [
            "ATTACH '/etc/passwd' AS x", "PRAGMA user_version", "VACUUM", "BEGIN",
            "DELETE FROM tally", "UPDATE tally SET n = 0", "INSERT INTO tally VALUES ('x', 1, 1)",
            "CREATE TABLE x (y)", "DROP TABLE tally", "CREATE TEMP TABLE x AS SELECT 1",
            "SELECT * FROM sqlite_master", "SELECT * FROM sqlite_schema",
            "SELECT * FROM temp.sqlite_master", "SELECT * FROM live_tally.sqlite_master",
            "SELECT * FROM tally, live_tally._kappa_checkpoint", "SELECT * FROM _kappa_dead",
            "SELECT * FROM live_tally._kappa_version, tally",
            "SELECT * FROM pragma_table_info('tally')", "SELECT * FROM pragma_database_list",
            "SELECT load_extension('x.so'), k FROM tally", "SELECT readfile('/etc/passwd')",
            "SELECT writefile('/tmp/x', 'y')", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE tally",
            "SELECT 1;-- \nDELETE FROM tally", "/* x */ DELETE FROM tally", "", "   ", ";", "--",
            "WITH x AS (SELECT 1) DELETE FROM tally", "EXPLAIN DELETE FROM tally", "SELECT",
            "SELECT * FROM",
            "SELECT * FROM nowhere", "SELECT _kappa_state FROM tally",
            "REPLACE INTO tally VALUES(1)",
            "WITH x AS (SELECT 1) INSERT INTO tally SELECT * FROM x", "SELECT 1 FROM tally INTO x",
            "SELECT edit('x')", "SELECT fts3_tokenizer('x')", "SELECT count(*) FROM sqlite_master",
            "SELECT count(*) FROM tally, live_tally._kappa_dead", "ANALYZE", "REINDEX",
            "DETACH live_tally",
        ])
    func refusedStatements(statement: String) throws {
        let error = #expect(throws: KappaError.self) { try sql(statement) }
        #expect(error?.code == .usage)
        #expect(try sql("SELECT sum(n) FROM tally") == [[.integer(100)]])
    }

    @Test(
        "a condition is one expression over the table's columns",
        arguments: [
            "1) OR (1", "1); DROP TABLE tally; --", "1) UNION SELECT k, n, total FROM other --",
            "k = ?", "k = :k", "1 /*", "", " ", ")", "(", "1; SELECT 1", "nosuch = 1",
            "(SELECT count(*) FROM sqlite_master) > 0", "EXISTS (SELECT 1 FROM _kappa_checkpoint)",
            "EXISTS (SELECT offset FROM _kappa_dead)", "load_extension('x') IS NULL",
            "1) LIMIT 1 --", "1 ORDER BY k", "k = ?1 OR ?2)", "1) GROUP BY (k",
            "(SELECT 1 FROM pragma_table_info('tally'))",
        ])
    func refusedConditions(condition: String) throws {
        let error = #expect(throws: KappaError.self) { try rows(where: condition) }
        #expect(error?.code == .usage)
        #expect(error?.place == condition)
        #expect(try rows(where: "true").count == 5)
    }

    @Test("ordinary conditions work, even with comments and brackets")
    func conditions() throws {
        #expect(try rows(where: "k = 'k1' OR k = 'k2'").count == 2)
        #expect(try rows(where: "(n > 1) AND (total >= 0)").count == 5)
        #expect(try rows(where: "k IN ('k1', ')')").count == 1)
        #expect(try rows(where: "k LIKE 'k%' -- all of them").count == 5)
        #expect(try rows(where: "total = (SELECT max(total) FROM tally)").count == 1)
        #expect(try rows(where: "false").isEmpty)
    }

    @Test("a query that would run forever is ended at its deadline")
    func deadline() throws {
        let endless = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c) "
        let error = #expect(throws: KappaError.self) {
            try sql(endless + "SELECT count(*) FROM c", seconds: 0)
        }
        #expect(error?.reason == "it ran for too long")
        let other = #expect(throws: KappaError.self) {
            try rows(where: "n < (\(endless) SELECT max(x) FROM c)", seconds: 0)
        }
        #expect(other?.reason == "it ran for too long")
    }

    @Test("a statement that is too long or too deep is refused")
    func limits() throws {
        let deep = String(repeating: "(", count: 5_000) + "1" + String(repeating: ")", count: 5_000)
        #expect(throws: KappaError.self) { try rows(where: deep) }
        #expect(throws: KappaError.self) { try sql("SELECT \(deep)") }
        let long = "SELECT '" + String(repeating: "x", count: 200_000) + "'"
        #expect(throws: KappaError.self) { try sql(long) }
        #expect(throws: KappaError.self) { try sql("SELECT randomblob(1000000000)") }
    }

    @Test("keys are values, never SQL; wrong ones say what the key is")
    func keys() throws {
        func rows(key: String) throws -> Int {
            var query = RowQuery()
            query.key = RowKey(json: key)
            var count = 0
            try query.run(on: folder.reader("tally", 1)) { _ in count += 1 }
            return count
        }
        #expect(try rows(key: #""k1""#) == 1)
        #expect(try rows(key: #"["k1"]"#) == 1)
        #expect(try rows(key: #"{"k":"k1"}"#) == 1)
        #expect(try rows(key: #""k1' OR '1'='1""#) == 0)
        for bad in ["null", "true", "[]", #"["k1","k2"]"#, "{}", #"{"x":"k1"}"#] {
            let error = #expect(throws: KappaError.self, "\(bad)") { try rows(key: bad) }
            #expect(error?.reason == "its key is k (text)")
        }
    }

    @Test("rows are ordered by columns only")
    func order() throws {
        func keys(_ order: String...) throws -> [String] {
            var query = RowQuery()
            query.order = order
            var keys: [String] = []
            try query.run(on: folder.reader("tally", 1)) { keys.append($0[0].plainText) }
            return keys
        }
        #expect(try keys("total desc") == ["k4", "k3", "k2", "k1", "k0"])
        #expect(try keys("n", "k desc") == ["k4", "k3", "k2", "k1", "k0"])
        for bad in ["nosuch", "n sideways", "n desc nulls", "1", "random()", "n; DROP TABLE tally"]
        {
            #expect(throws: KappaError.self, "\(bad)") { try keys(bad) }
        }
    }
}

/// A view with a time and a decimal.
private let times = View("times", digest: "times") {
    Events(Tick.self)
        .filter { $0.k == "k0" }
        .grouped(by: \.k)
        .aggregate(
            .max(\.time).as("first"), .max(\.price).as("price"))
}

extension Tick {
    fileprivate var time: Timestamp { Timestamp(microseconds: 1_705_329_000_000_000) }
    fileprivate var price: ExactDecimal { ExactDecimal("0.1") ?? 0 }
}
