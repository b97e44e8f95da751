import Foundation
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Local times", .enabled(if: CalendarWindowTests.hasDatabase)) struct LocalTimeTests {
    @Test(
        "dates and clocks are those of Foundation's calendar",
        arguments: CalendarWindowTests.zones, Seeds.random(2))
    func sameAsFoundation(name: String, seed: UInt64) throws {
        let zone = try TimeZoneName(name)
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: name))
        var random = SplitMix(state: seed)
        for _ in 0..<500 {
            let seconds = Int64(random.below(2_100_000_000))
            let time = Timestamp(microseconds: seconds * 1_000_000 + Int64(random.below(1_000_000)))
            let local = time.local(in: zone)
            let parts = calendar.dateComponents(
                [.year, .month, .day, .hour, .minute, .second, .weekday],
                from: Date(timeIntervalSince1970: Double(seconds)))
            #expect(
                [local.year, local.month, local.day, local.hour, local.minute, local.second]
                    == [
                        parts.year, parts.month, parts.day, parts.hour, parts.minute, parts.second,
                    ], "\(time) in \(name)")
            #expect(local.weekday.number % 7 + 1 == parts.weekday, "\(time) in \(name)")
            #expect(local.microsecond == Int(time.microseconds % 1_000_000))
        }
    }

    @Test("texts are as in SQL, for every time")
    func texts() throws {
        let time = try #require(Timestamp("2024-03-31T01:00:00.25Z"))
        let local = try time.local(in: "Europe/Berlin")
        #expect(local.dateText == "2024-03-31")
        #expect(local.timeText == "03:00:00.25")
        #expect("\(local)" == "2024-03-31T03:00:00.25")
        #expect(local.weekday == .sunday)
        for time in [Timestamp(microseconds: .min), Timestamp(microseconds: .max)] {
            _ = try time.local(in: "Europe/Berlin").description
            _ = time.local(in: .utc)
        }
        let error = #expect(throws: KappaError.self) { try time.local(in: "Europe/Atlantis") }
        #expect(error?.code == .usage)
        #expect(throws: KappaError.self) { try TimeZoneName("../passwd") }
    }

    struct Sale: Event {
        var shop: String
        var at: Timestamp
    }

    private static let sales = [
        ("north", "2024-03-30T22:30:00Z"), ("north", "2024-03-30T23:30:00Z"),
        ("south", "2024-03-31T00:30:00Z"), ("north", "2024-03-31T22:30:00Z"),
    ].map { #"{"event_type":"sale","shop":"\#($0)","at":"\#($1)"}"# }

    @Test("local dates, months, hours and weekdays are keys of groups")
    func keys() throws {
        try Scenario(
            View("days", digest: "1") {
                Events(Sale.self)
                    .grouped(
                        by: \.shop, as: "day", by: .localDate(of: \.at, in: "Europe/Berlin")
                    )
                    .aggregate(.count().as("sales"))
            }
        ).given(lines: Self.sales).expect(
            "shop,day,sales", "north,2024-03-30,1", "north,2024-03-31,1", "north,2024-04-01,1",
            "south,2024-03-31,1")
        try Scenario(
            View("hours", digest: "1") {
                Events(Sale.self)
                    .grouped(as: "hour", by: .localHour(of: \.at, in: "Europe/Berlin"))
                    .aggregate(.count().as("sales"))
            }
        ).given(lines: Self.sales).expect("hour,sales", "0,2", "1,1", "23,1")
        try Scenario(
            View("weekdays", digest: "1") {
                Events(Sale.self)
                    .grouped(as: "weekday", by: .localWeekday(of: \.at, in: "Europe/Berlin"))
                    .aggregate(.count().as("sales"))
            }
        ).given(lines: Self.sales).expect("weekday,sales", "1,1", "6,1", "7,2")
        try Scenario(
            View("months", digest: "1") {
                Events(Sale.self)
                    .grouped(as: "month", by: .localMonth(of: \.at, in: "Europe/Berlin"))
                    .aggregate(.count().as("sales"))
            }
        ).given(lines: Self.sales).expect("month,sales", "2024-03,3", "2024-04,1")
        let berlin = try TimeZoneName("Europe/Berlin")
        try Scenario(
            View("closures", digest: "1") {
                Events(Sale.self).grouped(as: "day") { $0.at.local(in: berlin).dateText }
                    .aggregate(.count().as("sales"))
            }
        ).given(lines: Self.sales).expect(
            "day,sales", "2024-03-30,1", "2024-03-31,2", "2024-04-01,1")
    }

    @Test("an unknown zone is an error when the view is defined, and rules are in the digest")
    func definitions() throws {
        func view(_ zone: String) -> View<Columns> {
            View("days", digest: "1") {
                Events(Sale.self).grouped(as: "day", by: .localDate(of: \.at, in: zone))
                    .aggregate(.count().as("sales"))
            }
        }
        let error = #expect(throws: KappaError.self) {
            try ViewSet([view("Europe/Atlantis")]).definitions()
        }
        #expect(error?.code == .usage && error?.what.contains("Europe/Atlantis") == true)
        let digests = try ["Europe/Berlin", "Europe/Paris"].map {
            try ViewSet([view($0)]).definitions()[0].digest
        }
        #expect(digests[0] != digests[1])
    }

    @Test("a calendar window shows the local date on which it begins")
    func dateColumns() throws {
        func view(_ window: Window) -> View<Columns> {
            View("windows", digest: "1") {
                Events(Sale.self, at: \.at).window(window).grouped(by: \.shop)
                    .aggregate(.count().as("sales"))
            }
        }
        try Scenario(view(.daily(in: "Europe/Berlin", dateColumn: "day"))).given(lines: Self.sales)
            .expect(
                "window_start,window_end,day,shop,sales",
                "2024-03-29T23:00:00Z,2024-03-30T23:00:00Z,2024-03-30,north,1",
                "2024-03-30T23:00:00Z,2024-03-31T22:00:00Z,2024-03-31,north,1",
                "2024-03-30T23:00:00Z,2024-03-31T22:00:00Z,2024-03-31,south,1",
                "2024-03-31T22:00:00Z,2024-04-01T22:00:00Z,2024-04-01,north,1")
        try Scenario(view(.weekly(in: "Europe/Berlin", dateColumn: "week"))).given(
            lines: Self.sales
        ).expect(
            "week,shop,sales", "2024-03-25,north,2", "2024-03-25,south,1", "2024-04-01,north,1")
        try Scenario(view(.monthly(in: "Europe/Berlin", dateColumn: "month"))).given(
            lines: Self.sales
        ).expect(
            "month,shop,sales", "2024-03-01,north,2", "2024-03-01,south,1", "2024-04-01,north,1")
        // With keys before it, and without any key.
        try Scenario(
            View("windows", digest: "1") {
                Events(Sale.self, at: \.at).grouped(by: \.shop).window(.daily(dateColumn: "day"))
                    .aggregate(.count().as("sales"))
            }
        ).given(lines: Self.sales).expect(
            "shop,window_start,window_end,day,sales",
            "north,2024-03-30T00:00:00Z,2024-03-31T00:00:00Z,2024-03-30,2",
            "north,2024-03-31T00:00:00Z,2024-04-01T00:00:00Z,2024-03-31,1",
            "south,2024-03-31T00:00:00Z,2024-04-01T00:00:00Z,2024-03-31,1")
        try Scenario(
            View("windows", digest: "1") {
                Events(Sale.self, at: \.at).window(.daily(dateColumn: "day"))
                    .aggregate(.count().as("sales"), .countDistinct(\.shop).as("shops"))
            }
        ).given(lines: Self.sales).expect("day,sales,shops", "2024-03-30,2,1", "2024-03-31,2,2")
    }
}
