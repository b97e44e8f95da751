import Testing

@testable import KappaCore

@Suite("Times in SQL") struct SQLTimeTests {
    private func run(_ sql: String) throws -> String? {
        let connection = try SQLiteConnection(":memory:", .create)
        SQLFunctions.add(to: connection)
        let statement = try connection.prepare("SELECT \(sql)")
        #expect(try statement.step())
        return statement.isNull(0) ? nil : statement.string(0)
    }

    @Test(
        "a time is written as a date, or with or without a zone",
        arguments: [
            ("2024-01-01", "2024-01-01T00:00:00Z"),
            ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
            ("2024-01-01 10:00:00", "2024-01-01T10:00:00Z"),
            ("2024-01-01T10:00:00.25", "2024-01-01T10:00:00.25Z"),
            ("2024-01-01 10:00", "2024-01-01T10:00:00Z"),
            ("2024-01-01T10:00:00+02:00", "2024-01-01T08:00:00Z"),
            ("2024-01-01 10:00:00 +02:00", "2024-01-01T08:00:00Z"),
            ("2024-01-01 10:00:00+02", "2024-01-01T08:00:00Z"),
            ("1969-12-31 23:59:59.999999", "1969-12-31T23:59:59.999999Z"),
            ("0001-01-01", "0001-01-01T00:00:00Z"),
        ])
    func reads(text: String, time: String) throws {
        #expect(try run("rfc3339(ts('\(text)'))") == time)
        #expect(try run("ts('\(text)')") == Timestamp(time).map { "\($0.microseconds)" })
    }

    @Test("a number is a time's cell, and NULL is NULL")
    func passes() throws {
        #expect(try run("ts(1704067200000000)") == "1704067200000000")
        #expect(try run("rfc3339(1704067200000000)") == "2024-01-01T00:00:00Z")
        #expect(try run("ts(NULL)") == nil)
        #expect(try run("rfc3339(NULL)") == nil)
        #expect(try run("local_date(NULL, 'Europe/Berlin')") == nil)
        #expect(try run("local_date(0, NULL)") == nil)
    }

    @Test(
        "a text that is not a time is refused with how to write one",
        arguments: [
            "'yesterday'", "'2024-13-01'", "'2024-02-30'", "'2024-1-1'", "''", "'2024-01-01x'",
            "'2024-01-01T'", "'2024-01-01 25:00'", "'2024-01-01 10:00:00 '", "'01.02.2024'",
            "1.5", "x'00'",
        ])
    func refuses(text: String) throws {
        for function in ["ts(\(text))", "local_date(\(text), 'UTC')"] {
            let error = #expect(throws: KappaError.self) { _ = try run(function) }
            #expect(error?.reason?.contains("2024-01-15T14:30:00Z") == true)
        }
    }

    @Test("local dates and hours follow a zone's clocks")
    func local() throws {
        // On 2024-03-31 clocks in Berlin go from 02:00 to 03:00, which is 01:00 in UTC.
        let before = "'2024-03-31T00:59:59Z', 'Europe/Berlin'"
        let after = "'2024-03-31T01:00:00Z', 'Europe/Berlin'"
        #expect(try run("local_datetime(\(before))") == "2024-03-31T01:59:59")
        #expect(try run("local_datetime(\(after))") == "2024-03-31T03:00:00")
        #expect(try run("local_hour(\(after))") == "3")
        #expect(try run("local_time(\(after))") == "03:00:00")
        #expect(try run("local_weekday(\(after))") == "7")
        #expect(try run("local_date('2024-03-30T23:30:00Z', 'Europe/Berlin')") == "2024-03-31")
        #expect(try run("local_date(ts('2024-01-01'), 'America/New_York')") == "2023-12-31")
        #expect(try run("local_weekday(ts('2024-01-01'), 'UTC')") == "1")
        #expect(
            try run("local_datetime('1969-12-31T23:59:59.5Z', 'UTC')") == "1969-12-31T23:59:59.5")
        #expect(try run("local_date(9223372036854775807, 'Asia/Tokyo')")?.hasPrefix("+2") == true)
        #expect(try run("local_date(-9223372036854775808, 'Asia/Tokyo')")?.hasPrefix("-2") == true)
    }

    @Test("an unknown zone is refused")
    func unknownZone() throws {
        for zone in ["'Europe/Atlantis'", "'../etc/passwd'", "''", "5"] {
            let error = #expect(throws: KappaError.self) { _ = try run("local_date(0, \(zone))") }
            #expect(error?.reason?.contains("Europe/Berlin") == true)
        }
    }
}
