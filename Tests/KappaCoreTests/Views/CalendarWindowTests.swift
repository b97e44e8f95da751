import Foundation
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Calendar windows") struct CalendarWindowTests {
    static let zones = [
        "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
        "America/Sao_Paulo", "Pacific/Apia", "America/Havana", "UTC",
    ]
    static let hasDatabase = access("/usr/share/zoneinfo/Europe/Berlin", R_OK) == 0

    @Test(
        "offsets from UTC are those of Foundation",
        .enabled(if: hasDatabase), arguments: zones, Seeds.random(1))
    func offsets(name: String, seed: UInt64) throws {
        let rules = try TimeZoneDatabase.rules(of: name)
        let zone = try #require(TimeZone(identifier: name))
        var random = SplitMix(state: seed)
        for _ in 0..<2_000 {
            let seconds = random.below(2_100_000_000)
            let date = Date(timeIntervalSince1970: Double(seconds))
            #expect(
                rules.periods[rules.index(at: seconds)].offset == zone.secondsFromGMT(for: date),
                "\(name) at \(seconds), seed \(seed)")
        }
    }

    /// Checks the local date every quarter of an hour: no clock has ever changed in between.
    private static func startOfDay(_ day: Int, _ zone: TimeZone) -> Int {
        var seconds = (day - 2) * 86_400
        while true {
            let ahead = zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds)))
            if CivilDay.floorDivide(seconds + ahead, 86_400) >= day { return seconds }
            seconds += 900
        }
    }

    @Test(
        "a day begins when clocks first show it",
        .enabled(if: hasDatabase), arguments: zones, Seeds.random(1))
    func dayStarts(name: String, seed: UInt64) throws {
        let rules = try TimeZoneDatabase.rules(of: name)
        let zone = try #require(TimeZone(identifier: name))
        var random = SplitMix(state: seed)
        // Days around changes of the clocks since 1975, and any others.
        let changes = rules.periods.map(\.start).filter {
            (157_766_400..<1_900_000_000).contains($0)
        }
        for _ in 0..<12 {
            let near =
                changes.isEmpty || random.chance(1, in: 3)
                ? 157_766_400 + random.below(1_700_000_000) : random.pick(changes)
            for day in near / 86_400 - 1...near / 86_400 + 1 {
                #expect(
                    rules.start(ofDay: day) == Self.startOfDay(day, zone),
                    "\(name), day \(day), seed \(seed)")
            }
        }
    }

    @Test(
        "windows contain their times and are adjacent", .enabled(if: hasDatabase), arguments: zones
    )
    func sideBySide(name: String) throws {
        let rules = try TimeZoneDatabase.rules(of: name)
        let units: [CalendarWindow.Unit] = [
            .day, .week(startingOn: .monday), .week(startingOn: .sunday), .month,
        ]
        for unit in units {
            let window = CalendarWindow(unit: unit, zone: name)
            var time: Int64 = -3_000_000_000_000
            while time < 2_000_000_000_000_000 {
                let (start, end) = window.bounds(around: time, rules)
                #expect(start <= time && time < end)
                for inside in [start, end - 1] {
                    #expect(window.bounds(around: inside, rules) == (start, end))
                }
                #expect(window.bounds(around: end, rules).start == end)
                time = end + (unit == .day ? 9_000_000_000_000 : 50_000_000_000_000)
            }
        }
    }

    struct Sale: Event {
        var at: Timestamp
    }

    private func windows(_ window: Window, _ times: [String]) throws -> [String] {
        let view = View("calendar") {
            Events(Sale.self, at: \.at).window(window).aggregate(.count().as("sales"))
        }
        let lines = times.map { #"{"event_type":"sale","at":"\#($0)"}"# }
        return try EventsWay(appends: times.map { _ in 1 }, restarts: 50).run(view, lines).tables[0]
            .map { $0.map(\.plainText).joined(separator: " ") }
    }

    @Test("days are 23 or 25 hours long where clocks change", .enabled(if: hasDatabase))
    func changingDays() throws {
        #expect(
            try windows(
                .daily(in: "Europe/Berlin"),
                [
                    "2024-03-30T22:59:59Z", "2024-03-30T23:00:00Z", "2024-03-31T21:59:59Z",
                    "2024-03-31T22:00:00Z", "2024-10-27T22:59:59Z", "2024-10-27T23:00:00Z",
                ]) == [
                    "2024-03-29T23:00:00Z 2024-03-30T23:00:00Z 1",
                    "2024-03-30T23:00:00Z 2024-03-31T22:00:00Z 2",
                    "2024-03-31T22:00:00Z 2024-04-01T22:00:00Z 1",
                    "2024-10-26T22:00:00Z 2024-10-27T23:00:00Z 1",
                    "2024-10-27T23:00:00Z 2024-10-28T23:00:00Z 1",
                ])
    }

    @Test("a day that a zone has left out has no window", .enabled(if: hasDatabase))
    func missingDay() throws {
        #expect(
            try windows(
                .daily(in: "Pacific/Apia"), ["2011-12-30T09:59:59Z", "2011-12-30T10:00:00Z"])
                == [
                    "2011-12-29T10:00:00Z 2011-12-30T10:00:00Z 1",
                    "2011-12-30T10:00:00Z 2011-12-31T10:00:00Z 1",
                ])
    }

    @Test("weeks and months begin on their first day", .enabled(if: hasDatabase))
    func weeksAndMonths() throws {
        let times = ["2024-02-29T12:00:00Z", "2024-03-01T00:00:00Z", "1969-12-31T23:59:59.999999Z"]
        #expect(
            try windows(.monthly(), times) == [
                "1969-12-01T00:00:00Z 1970-01-01T00:00:00Z 1",
                "2024-02-01T00:00:00Z 2024-03-01T00:00:00Z 1",
                "2024-03-01T00:00:00Z 2024-04-01T00:00:00Z 1",
            ])
        #expect(
            try windows(.weekly(startingOn: .sunday, in: "America/New_York"), times) == [
                "1969-12-28T05:00:00Z 1970-01-04T05:00:00Z 1",
                "2024-02-25T05:00:00Z 2024-03-03T05:00:00Z 2",
            ])
        // After the last change that the file lists, its rule applies.
        #expect(
            try windows(.monthly(in: "Europe/Berlin"), ["2199-03-31T12:00:00Z"]) == [
                "2199-02-28T23:00:00Z 2199-03-31T22:00:00Z 1"
            ])
    }

    @Test("an unknown zone is reported when the view is defined")
    func unknownZone() throws {
        for name in ["Europe/Berlinn", "../../../etc/passwd", "", "/UTC", "Europe"] {
            let view = View("calendar") {
                Events(Sale.self, at: \.at).window(.daily(in: name)).aggregate(.count().as("sales"))
            }
            let error = #expect(throws: KappaError.self) {
                try ViewSet([view]).definitions(allowUndigested: true)
            }
            #expect(error?.code == .usage)
            #expect("\(error.map(String.init(describing:)) ?? "")".contains("\"\(name)\""))
        }
    }

    @Test("the zone's file is part of the digest", .enabled(if: hasDatabase))
    func digests() throws {
        func digest(_ window: Window) throws -> String {
            let view = View("calendar") {
                Events(Sale.self, at: \.at).window(window).aggregate(.count().as("sales"))
            }
            return try #require(ViewSet([view]).definitions(allowUndigested: true).first).digest
        }
        let digests = try [
            digest(.daily()), digest(.daily(in: "Europe/Berlin")), digest(.monthly()),
            digest(.weekly()), digest(.weekly(startingOn: .friday)),
        ]
        #expect(Set(digests).count == digests.count)
        let berlin = try TimeZoneDatabase.rules(of: "Europe/Berlin")
        let paris = try TimeZoneDatabase.rules(of: "Europe/Paris")
        #expect(berlin.digest != paris.digest && berlin.digest != "")
    }

    @Test("rules for future years are read in all their forms; anything else is refused")
    func rules() throws {
        func changes(_ text: String, _ year: Int) -> [Int]? {
            ZoneRule(text)?.changes(in: year).map {
                $0.start - CivilDay.day(year: year, month: 1, day: 1) * 86_400
            }
        }
        let day = 86_400
        #expect(ZoneRule("<+0330>-3:30")?.offset == 12_600)
        #expect(ZoneRule("EST5")?.offset == -18_000)
        #expect(changes("A0B,J60,J61", 2023) == [59 * day + 7_200, 60 * day + 3_600])
        // The 29th of February is never counted, or is.
        #expect(changes("A0B,J60,J61", 2024) == [60 * day + 7_200, 61 * day + 3_600])
        #expect(changes("A0B,59/0,60/-1", 2024) == [59 * day, 60 * day - 7_200])
        #expect(changes("A0B0:30,M1.1.1/0,M1.5.1/0", 2024) == [0, 28 * day + 1_800])
        // Summer time in the southern hemisphere spans the new year.
        #expect(changes("A0B,M10.1.0,M4.1.0", 2023) == [91 * day + 3_600, 273 * day + 7_200])
        for text in [
            "", "A", "5", "A0B,", "A0B,M1.1.1", "A0B,M13.1.1,M1.1.1", "A0B,M1.6.1,J1",
            "A0B,J0,J1", "A0B,J1,366", "A168", "A0,J1,J2x", "<A0", "A0B,J1,J2/1:60",
        ] {
            #expect(ZoneRule(text) == nil, "\(text)")
        }
    }

    @Test(
        "a damaged zone file is refused, wherever it is cut or changed", .enabled(if: hasDatabase))
    func damagedFiles() throws {
        let bytes = [UInt8](
            try Data(contentsOf: URL(fileURLWithPath: "/usr/share/zoneinfo/Europe/Berlin")))
        #expect(TimeZoneRules(file: bytes) != nil)
        for count in 0..<bytes.count - 1 {
            #expect(TimeZoneRules(file: Array(bytes[..<count])) == nil, "\(count) bytes")
        }
        // Whatever it contains, reading it does not trap.
        var random = SplitMix(state: 7)
        for _ in 0..<300 {
            var changed = bytes
            for _ in 0..<3 { changed[random.below(changed.count)] = UInt8(random.below(256)) }
            _ = TimeZoneRules(file: changed)?.start(ofDay: 20_000)
        }
    }
}
