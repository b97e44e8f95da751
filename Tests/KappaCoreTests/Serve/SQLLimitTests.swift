import Glibc
import Testing

@testable import KappaCLI
@testable import KappaCore

/// Every query ends in bounded time and memory.
@Suite("Limits of users' SQL")
struct SQLLimitTests {
    private let folder: VersionsFolder

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 100)
        try folder.catchUp([tally("a")])
    }

    private func rows(_ statement: String, seconds: Int = 60) throws -> [[Value]] {
        let query = try SQLQuery(statement, folder.catalog(), seconds: seconds)
        var rows: [[Value]] = []
        try query.run { rows.append($0) }
        return rows
    }

    /// The reason why it was ended or refused.
    private func refusal(_ statement: String, seconds: Int = 60) throws -> String {
        do {
            _ = try rows(statement, seconds: seconds)
            return ""
        } catch let error as KappaError {
            #expect(error.code == .usage, "\(statement.prefix(100)): \(error)")
            #expect(
                error.advice != nil || error.reason?.contains("not authorized") == true, "\(error)")
            return error.reason ?? error.what
        }
    }

    @Test("a value larger than a megabyte is refused, however it is made")
    func sizes() throws {
        for expression in [
            "zeroblob(2000000)", "randomblob(2000000)", "hex(randomblob(1000000))",
            "printf('%.*c', 99000000, 'x')", "printf('%2000000d', 1)",
            "replace(hex(randomblob(10000)), '0', hex(randomblob(20000)))",
            "quote(zeroblob(1000000))",
            "(SELECT group_concat(hex(randomblob(1000))) FROM (WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c LIMIT 2000) SELECT x FROM c))",
            "(SELECT json_group_array(hex(randomblob(1000))) FROM (WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c LIMIT 2000) SELECT x FROM c))",
            "hex(randomblob(500000)) || hex(randomblob(500000))",
        ] {
            let why = try refusal("SELECT length(\(expression))")
            #expect(why.contains("bytes") || why.contains("too big"), "\(expression): \(why)")
        }
        #expect(try rows("SELECT length(hex(randomblob(200000)))") == [[.integer(400_000)]])
    }

    @Test("a statement of thousands of large values stays within its memory limit")
    func many() throws {
        let before = Self.memory()
        for (count, expression) in [
            (1_900, "printf('%.*c',999999,'x')"), (1_900, "randomblob(999999)"),
        ] {
            let list = Array(repeating: expression, count: count).joined(separator: ",")
            _ = try refusal("SELECT \(list)")
            let sum = (0..<900).map { "length(printf('%.*c',999999,'\($0)'))" }.joined(
                separator: "+")
            _ = try refusal("SELECT \(sum)")
        }
        #expect(Self.memory() - before < 1 << 30)
    }

    /// The peak memory of this process, in bytes.
    private static func memory() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1_024
    }

    /// Arguments that are bad for one function or another, at the limit of values.
    private static let arguments = [
        "s.a", "s.b", "s.c", "s.j", "s.o", "s.d", "s.n", "s.p", "1", "-1", "9223372036854775807",
        "''", "NULL", "1e308",
        "'$.a'", "'%s'",
    ]

    /// Texts of nearly a megabyte: one repeated letter; the same with another letter at the end; half of it;
    /// JSON; many keys; digits; a nested array; patterns.
    private static let source = """
        WITH s AS MATERIALIZED (SELECT
          replace(hex(zeroblob(400000)), '0', 'a') AS a,
          replace(hex(zeroblob(200000)), '0', 'a') || 'b' AS b,
          replace(hex(zeroblob(2000)), '0', 'ab') AS c,
          '[' || substr(replace(hex(zeroblob(100000)), '0', ',[1]'), 2) || ']' AS j,
          '{' || substr(replace(hex(zeroblob(50000)), '0', ',"a":1'), 2) || '}' AS o,
          replace(hex(zeroblob(400000)), '0', '9') AS d,
          replace(hex(zeroblob(900)), '0', '[') || replace(hex(zeroblob(900)), '0', ']') AS n,
          substr(replace(hex(zeroblob(400)), '0', '%a'), 1, 900) AS p)

        """

    @Test("no call of an allowed function takes long, with any arguments at the limits")
    func functions() throws {
        let seed = Seeds.one()
        var random = EventRandom(seed: seed)
        let connection = try SQLiteConnection(":memory:", .create)
        try connection.execute("CREATE TABLE s AS \(Self.source) SELECT * FROM s")
        SQLFunctions.add(to: connection)
        let guardian = SQLGuard(connection, tables: ["s"])
        defer { withExtendedLifetime(guardian) {} }
        var slowest = (Duration.zero, "")
        for name in SQLLimits.functions.sorted()
        where !["->", "->>", "match", "regexp"].contains(name) {
            for count in 0...3 {
                for _ in 0..<(count == 0 ? 1 : 8) {
                    let values = (0..<count).map { _ in
                        Self.arguments[Int(random.below(UInt64(Self.arguments.count)))]
                    }
                    let call = "\(name)(\(values.joined(separator: ", ")))"
                    let start = ContinuousClock.now
                    // Most of these are refused: the test only requires that each ends.
                    if let select = try? connection.prepare("SELECT length(\(call)) FROM s") {
                        _ = try? select.step()
                    }
                    let took = ContinuousClock.now - start
                    if took > slowest.0 { slowest = (took, call) }
                }
            }
        }
        // Some milliseconds each; a product of the lengths would take minutes.
        #expect(slowest.0 < .seconds(20), "\(slowest), KAPPA_SEED=\(seed)")
    }

    @Test("the product of two long texts is never computed")
    func products() throws {
        for expression in [
            "instr(s.a, s.b)", "replace(s.a, s.b, 'x')", "trim(s.a, s.b)", "rtrim(s.a, s.a)",
            "ltrim(s.c, s.a)",
            "s.a LIKE s.p", "s.a LIKE '%' || s.p || 'b'", "s.a GLOB replace(s.p, '%', '*')",
            "instr(s.a, 'b')", "json_extract(s.j, '$[99999]')", "json_set(s.o, '$.b', s.o)",
            "s.a = s.b",
            "dec(s.d)", "ts(s.d)", "local_date('2024-01-15', s.a)", "CAST(s.d AS DECIMAL)",
            "round(CAST(s.d AS DECIMAL), 2)",
        ] {
            let start = ContinuousClock.now
            _ = try? rows("\(Self.source) SELECT \(expression) FROM s")
            let took = ContinuousClock.now - start
            #expect(took < .seconds(20), "\(expression) took \(took)")
        }
        let long = String(repeating: "%a", count: 2_000)
        #expect(try refusal("SELECT k LIKE '\(long)' FROM tally").contains("more than 1000 bytes"))
        #expect(try refusal("SELECT json_patch('{}', '{}')").contains("not authorized"))
    }

    @Test("kappa's replacements of SQLite's functions give the same results")
    func sameResults() throws {
        let plain = try SQLiteConnection(":memory:", .create)
        let own = try SQLiteConnection(":memory:", .create)
        SQLFunctions.add(to: own)
        let seed = Seeds.one()
        var random = EventRandom(seed: seed)
        let parts = ["a", "b", "ab", "é", "€", "😀", "", " ", "x", "aa", "\u{301}"]
        func text() -> String {
            let count = Int(random.below(6))
            return "'"
                + (0..<count).map { _ in parts[Int(random.below(UInt64(parts.count)))] }.joined()
                + "'"
        }
        func value() -> String {
            switch random.below(12) {
            case 0: "NULL"
            case 1: "\(random.below(200))"
            case 2: "1.5"
            case 3: "x'\(random.below(2) == 0 ? "6162" : "c3a962")'"
            default: text()
            }
        }
        for _ in 0..<4_000 {
            let name = ["instr", "replace", "trim", "ltrim", "rtrim"][Int(random.below(5))]
            let count = name == "replace" ? 3 : 2
            let call = "\(name)(\((0..<count).map { _ in value() }.joined(separator: ", ")))"
            func result(_ connection: SQLiteConnection) throws -> String {
                let select = try connection.prepare("SELECT quote(\(call))")
                return try select.step() ? select.string(0) : ""
            }
            #expect(try result(own) == result(plain), "\(call), KAPPA_SEED=\(seed)")
        }
    }

    @Test("endless statements are ended: recursion, products of tables, sorts, windows, aggregates")
    func deadlines() throws {
        let endless = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c)"
        for statement in [
            "\(endless) SELECT count(*) FROM c", "\(endless) SELECT x FROM c ORDER BY x DESC",
            "\(endless) SELECT sum(x) OVER (ORDER BY x) FROM c",
            "\(endless) SELECT count(DISTINCT x) FROM c",
            "\(endless) SELECT group_concat(x) FROM c",
            "\(endless) SELECT x, count(*) FROM c GROUP BY x",
            "\(endless) SELECT max(length(hex(randomblob(100000)))) FROM c",
            "SELECT count(*) FROM tally a, tally b, tally c, tally d, tally e, tally f, tally g, tally h, tally i, tally j, tally k, tally l, tally m, tally n",
        ] {
            let start = ContinuousClock.now
            let why = try refusal(statement, seconds: 1)
            #expect(why.contains("too long") || why.contains("bytes"), "\(statement): \(why)")
            #expect(ContinuousClock.now - start < .seconds(30), "\(statement)")
        }
    }

    @Test(
        "temporary files have a maximum size, whether for sorting, windows or intermediate results")
    func temporaryFiles() throws {
        let rows =
            "(WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c LIMIT 300) "
            + "SELECT x, hex(randomblob(50000)) AS t FROM c)"
        for statement in [
            "SELECT length(t) FROM \(rows) ORDER BY t", "SELECT count(DISTINCT t) FROM \(rows)",
            "SELECT length(t), count(*) FROM \(rows) GROUP BY t",
            "SELECT x, length(lag(t, 200) OVER (ORDER BY x)) FROM \(rows)",
            "WITH m AS MATERIALIZED (SELECT * FROM \(rows)) SELECT count(*) FROM m a JOIN m b ON a.t = b.t",
        ] {
            #expect(try refusal(statement) == "", "\(statement)")
            try SQLLimits.$temporaryBytes.withValue(4 << 20) {
                let why = try refusal(statement)
                #expect(why.contains("temporary files"), "\(statement): \(why)")
            }
        }
    }

    @Test("rows larger than the limit are read without a condition, and refused clearly with one")
    func largeRows() throws {
        let long = String(repeating: "x", count: 3 << 20)
        try folder.append([Tick.line(long, 1)])
        try folder.catchUp([tally("a")])
        var query = RowQuery()
        var keys: [Int] = []
        let reader = try folder.reader("tally", 1)
        try query.run(on: reader) { keys.append($0[0].plainText.utf8.count) }
        #expect(keys.contains(3 << 20))
        query.condition = "n > 0"
        let error = #expect(throws: KappaError.self) { try query.run(on: reader) { _ in } }
        #expect(error?.code == .usage)
        #expect(error?.reason?.contains("1048576 bytes") == true, "\(String(describing: error))")
        // The limit ended with the query.
        query.condition = nil
        var count = 0
        try query.run(on: reader) { _ in count += 1 }
        #expect(count == keys.count)
        #expect(try folder.csv(reader).count == keys.count)
    }
}
