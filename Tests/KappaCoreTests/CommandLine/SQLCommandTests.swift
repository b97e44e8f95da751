import Testing

/// `kappa sql` and `query --where` as a person types them.
@Suite("SQL on the command line")
struct SQLCommandTests {
    private let kappa: KappaProgram

    init() throws {
        kappa = try KappaProgram()
        try kappa.generate(1_000)
        try kappa.run("rebuild", "user_totals")
    }

    @Test(
        "a parameter takes the type of what it is compared with; a wrong number exits with 64"
    )
    func parameters() throws {
        let count = "SELECT count(*) AS n FROM user_totals WHERE "
        func run(_ condition: String, _ values: String...) throws -> KappaProgram.Finished {
            let options = values.flatMap { ["--parameter", $0] }
            return try kappa.start(["sql", count + condition, "--format", "csv"] + options).wait()
        }
        let all = try run("true").lines[1]
        #expect(try run("last_seen >= ?", "2024-01-15").lines[1] == all)
        #expect(try run("last_seen < ?", "1999-01-01").lines[1] == "0")
        #expect(try run("revenue > ? AND events >= ?", "0.00", "1").lines[1] == all)
        #expect(try run("user_id = ?", "x' OR '1'='1").lines[1] == "0")
        let missing = try run("user_id = ?")
        #expect(missing.code == 64 && missing.errors.contains("1 parameter, and 0 values"))
        let wrong = try run("last_seen = ?", "soon")
        #expect(wrong.code == 64 && wrong.errors.contains("'soon' is not a time"))
    }

    @Test("times and decimals print as in query, and EXPLAIN QUERY PLAN shows the key")
    func printing() throws {
        let sums = try kappa.run(
            "sql", "SELECT sum(revenue) AS r, max(last_seen) AS t FROM user_totals", "--format",
            "json")
        #expect(sums.output.contains(#""t":"2024-"#))
        let plan = try kappa.run(
            "sql", "EXPLAIN QUERY PLAN SELECT * FROM user_totals WHERE user_id = 'user_1'")
        #expect(plan.output.contains("SEARCH") && plan.output.contains("(user_id=?)"))
    }

    @Test("an order by a decimal and a condition of times, in query")
    func query() throws {
        let rows = try kappa.run(
            "query", "user_totals", "--where", "last_seen BETWEEN '2024-01-01' AND '2025-01-01'",
            "--order", "revenue desc", "--limit", "2", "--format", "csv")
        #expect(rows.lines.count == 3)
        let none = try kappa.run(
            "query", "user_totals", "--where", "last_seen < '1999-01-01'", "--format", "csv")
        #expect(none.lines.count == 1)
    }
}
