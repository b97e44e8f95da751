import KappaTesting
import Testing

@testable import KappaCore

@Suite("Timestamp") struct TimestampTests {
    @Test(
        "RFC 3339 is read with any offset, fraction and case",
        arguments: [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00z", 0),
            ("1970-01-01 00:00:00Z", 0),
            ("1970-01-01T00:00:00.1Z", 100_000),
            ("1970-01-01T00:00:00.000001Z", 1),
            ("1970-01-01T00:00:00.0000019Z", 1),
            ("1970-01-01T00:00:00.123456789012345678901234567890Z", 123_456),
            ("1970-01-01T02:00:00+02:00", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("1969-12-31T16:00:00-08:00", 0),
            ("1970-01-01T05:45:00.5+05:45", 500_000),
            ("1970-01-01T23:59:00+23:59", 0),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600_000_000),
            ("2024-01-15T14:30:00.25Z", 1_705_329_000_250_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
            // A leap second is the first second of the next minute, as in POSIX.
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
            ("1970-01-01T01:00:00+0100", 0), ("1970-01-01 01:00:00+01", 0),
            ("1970-01-01T00:00:00,5Z", 500_000), ("1970-01-01T00:00:00,5-00", 500_000),
            ("1970-01-01T01:00:00+01:00[Europe/Berlin]", 0), ("1970-01-01T00:00:00Z[UTC]", 0),
            ("1970-01-01T01:00:00+01[Europe/Berlin]", 0),
        ])
    func reads(text: String, microseconds: Int) {
        #expect(Timestamp(text)?.microseconds == Int64(microseconds))
    }

    @Test(
        "a text that is not an RFC 3339 time is refused",
        arguments: [
            "", "Z", "2024-01-15", "2024-01-15T14:30Z", "2024-01-15T14:30:00",
            "2024-01-15T14:30:00.Z", "2024-01-15T14:30:00.5", "2024-01-15T14:30:00,Z",
            "2024-01-15T14:30:00ZZ", "2024-01-15T14:30:00Z ", " 2024-01-15T14:30:00Z",
            "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z", "2024-01-00T00:00:00Z",
            "2024-01-32T00:00:00Z", "2024-04-31T00:00:00Z", "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z", "2024-02-30T00:00:00Z", "2024-01-15T24:00:00Z",
            "2024-01-15T14:60:00Z", "2024-01-15T14:30:61Z", "2024-01-15T14:30:00+24:00",
            "2024-01-15T14:30:00+01:60", "2024-01-15T14:30:00+010", "2024-01-15T14:30:00+1:00",
            "2024-01-15T14:30:00+01:00Z", "-001-01-15T14:30:00Z", "-2024-01-15T14:30:00Z",
            "+2024-01-15T14:30:00Z", "12024-01-15T14:30:00Z", "2024/01/15T14:30:00Z",
            "2024-01-15X14:30:00Z", "2024-01-15T14.30.00Z", "٢٠٢٤-01-15T14:30:00Z",
            "\0\0\0\0\0\0\0\0\0\0T14:30:00Z", "1705329000000",
            "9999-12-31T23:59:60Z", "9999-12-31T23:59:60.000Z", "9999-12-31T23:59:59-01:00",
            "9999-12-31T23:59:60+00", "0000-01-01T00:00:00+01:00", "2024-01-15T14:30:00Z[",
            "2024-01-15T14:30:00Z[]", "2024-01-15T14:30:00Z[!UTC]", "2024-01-15T14:30:00[UTC]",
            "20240301T091000Z", "2024-03-01 09:10:00 UTC", "Fri, 01 Mar 2024 09:10:00 GMT", "1e12",
        ])
    func refuses(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test("what is written is read back", arguments: Seeds.random(20))
    func roundTrip(seed: UInt64) {
        var random = SplitMix(state: seed)
        let first: Int64 = -62_167_219_200_000_000
        let last: Int64 = 253_402_300_799_999_999
        for _ in 0..<500 {
            let unit: Int64 = random.pick([1, 1_000, 1_000_000, 86_400_000_000])
            let time = Timestamp(
                microseconds: .random(in: first / unit...last / unit, using: &random) * unit)
            #expect(Timestamp(time.description) == time)
        }
    }

    @Test(
        "a printed time is accepted as a key and in SQL, whatever the year",
        arguments: Seeds.random(8))
    func anyYear(seed: UInt64) {
        var random = SplitMix(state: seed)
        for bits in 0..<200 {
            let micros = Int64.random(in: .min ... .max, using: &random) >> (bits % 20)
            let time = Timestamp(microseconds: micros)
            #expect(Value(.string(time.description), kind: .timestamp) == .timestamp(time))
            #expect(Timestamp(written: time.description) == time)
        }
    }

    @Test("days count from the epoch, also before it, and whatever the time")
    func days() {
        #expect(Timestamp(microseconds: 0).utcDay == 0)
        #expect(Timestamp(microseconds: 86_399_999_999).utcDay == 0)
        #expect(Timestamp(microseconds: 86_400_000_000).utcDay == 1)
        #expect(Timestamp(microseconds: -1).utcDay == -1)
        #expect(Timestamp(microseconds: -86_400_000_000).utcDay == -1)
        #expect(Timestamp(microseconds: -86_400_000_001).utcDay == -2)
        #expect(Timestamp(microseconds: .min).utcDay == -106_751_992)
        #expect(Timestamp(microseconds: .max).utcDay == 106_751_991)
    }

    @Test("every instant has calendar fields and can be written")
    func extremes() {
        #expect(Timestamp(microseconds: .max).description == "+294247-01-10T04:00:54.775807Z")
        #expect(Timestamp(microseconds: .min).description == "-290308-12-21T19:59:05.224192Z")
    }

    @Test("a number counts milliseconds below 10^14, microseconds from there on")
    func numbers() {
        #expect(Timestamp(epochNumber: 0).microseconds == 0)
        #expect(Timestamp(epochNumber: 1_705_329_000_250).microseconds == 1_705_329_000_250_000)
        #expect(Timestamp(epochNumber: 99_999_999_999_999).microseconds == 99_999_999_999_999_000)
        #expect(Timestamp(epochNumber: 100_000_000_000_000).microseconds == 100_000_000_000_000)
        #expect(Timestamp(epochNumber: -1_000).microseconds == -1_000_000)
        #expect(Timestamp(epochNumber: .min).microseconds == .min)
    }
}
