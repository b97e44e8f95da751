import Testing

@testable import KappaCore

@Suite("kappa query --at, and snapshots, on the command line")
struct PastProgramTests {
    private let kappa: KappaProgram
    init() throws {
        kappa = try KappaProgram()
        try kappa.generate(3_000)
    }

    @Test("looks back to an offset and a time, with all options of a query")
    func looksBack() throws {
        let built = try kappa.run(
            "rebuild", "user_totals", "--until", "1000", "--format", "json")
        #expect(built.code == 0, "\(built)")
        let then = try kappa.run("query", "user_totals", "--format", "csv").output
        #expect(try kappa.run("run", "--until-caught-up").code == 0)
        let past = try kappa.run("query", "user_totals", "--at", "1000", "--format", "csv")
        #expect(past.output == then)
        #expect(try kappa.run("query", "user_totals", "--format", "csv").output != then)
        let one = try kappa.run(
            "query", "user_totals@1", "--at=1000", "--where", "events > 0", "--order",
            "events desc, user_id", "--limit", "1", "--format", "json")
        #expect(one.records.count == 1, "\(one)")
        let user = try #require(one.records.first?["user_id"] as? String)
        let keyed = try kappa.run(
            "query", "user_totals", "--at", "1000", "--key", user, "--format", "json")
        #expect(keyed.output == one.output)

        let now = try kappa.run(
            "query", "user_totals", "--at", "9999-01-01T00:00:00Z", "--format", "csv")
        #expect(now.output == (try kappa.run("query", "user_totals", "--format", "csv").output))
        #expect(now.errors == "user_totals@1 as of 9999-01-01T00:00:00Z: offset 3000\n")
        let before = try kappa.run(
            "query", "user_totals", "--at", "1999-01-01T00:00:00Z", "--format", "json")
        #expect(before.code == 0 && before.output.isEmpty)
        #expect(before.errors.contains("offset 0"))
    }

    @Test("an offset that cannot be queried is refused, with what to do")
    func refusals() throws {
        #expect(try kappa.run("run", "--until-caught-up").code == 0)
        let wrong = try kappa.run("query", "user_totals", "--at", "yesterday")
        #expect(wrong.code == 64)
        #expect(wrong.errors.contains("--at 2024-01-15T14:30:00Z"))
        #expect(try kappa.run("query", "user_totals", "--at", "-3").code == 64)
        let behind = try kappa.run("query", "user_totals", "--at", "3001")
        #expect(behind.code == 66)
        #expect(behind.errors.contains("the log ends at offset 3000"))
        #expect(try kappa.run("query", "user_totals", "--at", "5", "--table", "x").code == 66)
        #expect(try kappa.run("run", "--keep-snapshots", "hourly").code == 64)
        #expect(try kappa.run("snapshots", "nothing").code == 66)
    }

    @Test("snapshots are kept, listed and dropped")
    func snapshots() throws {
        #expect(try kappa.run("snapshots").errors.hasPrefix("no snapshots"))
        let built = try kappa.run(
            "rebuild", "--all", "--keep-snapshots", "every=2000,keep=2")
        #expect(built.code == 0, "\(built)")
        #expect(try kappa.run("snapshots").lines.count > 1)
        let listed = try kappa.run("snapshots", "user_totals@1", "--format", "json")
        #expect(listed.keys == ["view", "version", "offset", "appended_until", "bytes"])
        #expect(listed.records.count == 1)
        #expect((listed.records[0]["offset"] as? Int ?? 0) >= 2_000)
        #expect(try kappa.run("gc", "--keep-snapshots", "0").code == 0)
        let none = try kappa.run("snapshots")
        #expect(none.output.isEmpty && none.errors.hasPrefix("no snapshots"))
    }
}
