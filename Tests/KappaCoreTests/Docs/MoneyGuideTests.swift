import KappaCore
import KappaTesting
import Testing

/// Runs the code of docs/money-and-time.md.
@Suite("The guide to money and time", .enabled(if: CalendarWindowTests.hasDatabase))
struct MoneyGuideTests {
    private static let sales = [
        ("north", "19.99", "2024-03-30T22:30:00Z"), ("north", "0.10", "2024-03-30T23:30:00Z"),
        ("south", "7", "2024-03-31T13:00:00Z"),
    ].map { #"{"event_type":"receipt","shop":"\#($0)","net":\#($1),"at":"\#($2)"}"# }

    @Test("tax is rounded for each sale, and adds up")
    func tax() throws {
        try Scenario(takings).given(lines: Self.sales).expect(
            "shop,net,tax", "north,20.09,3.82", "south,7,1.33")
    }

    @Test("shares, conversions and times")
    func values() throws {
        #expect(try MoneyGuide.split().map(\.description) == ["33.33", "33.34"])
        let (price, cents, roughly, foundation) = MoneyGuide.convert()
        #expect(price?.description == "1234567890.123456789")
        #expect(cents == 1_999 && roughly == 19.99 && "\(foundation)" == "19.99")
        let ordered = try #require(Timestamp(year: 2024, month: 3, day: 29))
        let (isSlow, date, hour) = try MoneyGuide.times(ordered, ordered + .hours(61))
        #expect(isSlow && date == "2024-03-31" && hour == 15)
    }

    @Test("days of a zone, as a key and as a window's column")
    func days() throws {
        try Scenario(salesByDay).given(lines: Self.sales).expect(
            "shop,day,net", "north,2024-03-30,19.99", "north,2024-03-31,0.1", "south,2024-03-31,7")
        try Scenario(dailySales).given(lines: Self.sales).expect(
            "day,shop,net", "2024-03-30,north,19.99", "2024-03-31,north,0.1", "2024-03-31,south,7")
    }
}
