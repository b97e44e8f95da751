import Foundation
import Testing
import Views

@testable import KappaCore

/// `author_streaks` of the sample views, changed so that weekends do not break a streak.
private struct WeekendStreak: Codable, Equatable, Sendable {
    var commits = 0
    var filesChanged = 0
    var longestStreakDays = 0
    var currentStreakDays = 0
    @Hidden var lastDay: Int64?

    mutating func commit(on day: Int64) {
        commits += 1
        if let lastDay, day <= lastDay { return }
        let goesOn = lastDay.map { last in ((last + 1)..<day).allSatisfy(Self.isWeekend) } ?? false
        currentStreakDays = goesOn ? currentStreakDays + 1 : 1
        longestStreakDays = max(longestStreakDays, currentStreakDays)
        lastDay = day
    }

    /// Day 0 is a Thursday.
    private static func isWeekend(_ day: Int64) -> Bool { [2, 3].contains(((day % 7) + 7) % 7) }
}

private struct AnyCommit: Event {
    static let eventType: String? = "commit"
    var author: String
    var committedAt: Timestamp
}

private struct AnyFile: Event {
    static let eventType: String? = "file_changed"
    var author: String
}

private func weekendStreaks(_ gates: Gate...) -> View<WeekendStreak> {
    let view = View("author_streaks", initially: WeekendStreak(), digest: "weekends") {
        On(AnyCommit.self, key: \.author) { commit, streak in
            streak.commit(on: commit.committedAt.utcDay)
        }
        On(AnyFile.self, key: \.author) { _, streak in streak.filesChanged += 1 }
    }
    return gates.reduce(view) { $0.promote(when: $1) }
}

@Suite(
    "Weekends do not break a streak, in the history of a real project",
    .enabled(if: EventsShared.isThere, EventsShared.reason))
struct WeekendStreakTests {
    /// Streaks by the calendar, computed only from the lines.
    private enum Reference {
        static func changedAuthors(_ lines: [String]) throws -> Int {
            var calendar = Calendar(identifier: .gregorian)
            calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
            var days: [String: [Date]] = [:]
            for line in lines where line.contains(#""event_type":"commit""#) {
                let event = try #require(
                    try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                let author = try #require(event["author"] as? String)
                let date = try #require(event["committed_at"] as? String).prefix(10)
                let parts = date.split(separator: "-").compactMap { Int($0) }
                let day = try #require(
                    calendar.date(
                        from: DateComponents(year: parts[0], month: parts[1], day: parts[2])))
                // Days before the last one do not count.
                if days[author]?.last.map({ day <= $0 }) ?? false { continue }
                days[author, default: []].append(day)
            }
            return days.values.count {
                streaks($0, calendar) { _ in false } != weekends($0, calendar)
            }
        }

        private static func weekends(_ days: [Date], _ calendar: Calendar) -> [Int] {
            streaks(days, calendar) { calendar.isDateInWeekend($0) }
        }

        /// The longest and the last streak.
        private static func streaks(
            _ days: [Date], _ calendar: Calendar, passesOver: (Date) -> Bool
        ) -> [Int] {
            var longest = 0
            var current = 0
            var expected: Date?
            for day in days {
                while let next = expected, next < day, passesOver(next) {
                    expected = calendar.date(byAdding: .day, value: 1, to: next)
                }
                current = day == expected ? current + 1 : 1
                longest = max(longest, current)
                expected = calendar.date(byAdding: .day, value: 1, to: day)
            }
            return [longest, current]
        }
    }

    @Test("a gate of 1% refuses the change and one of 50% lets it through, with exact figures")
    func gates() throws {
        let lines = try EventsShared.events("redis-history.ndjson.gz")
        let folder = try VersionsFolder()
        try folder.append(lines)
        var options = ViewRunner.Options()
        options.follows = false
        let sample = ViewSet([authorStreaks], digests: sampleViews.digests)
        try ViewRunner(folder.data, sample, options: options).run()
        try folder.catchUp([weekendStreaks(.changedRows(atMost: .percent(1)))])
        #expect(try folder.catalog().live("author_streaks") == VersionNumber(1))
        #expect(try folder.entry("author_streaks", 2)?.state == .ready)
        let refused = try #require(try folder.catalog().judgements(of: "author_streaks").last)
        #expect(refused.verdict == .refused)
        #expect(refused.position == Offset(UInt64(lines.count)))
        #expect(refused.counts?.changed == (try Reference.changedAuthors(lines)))
        #expect(refused.counts?.added == 0 && refused.counts?.removed == 0)

        try folder.catchUp([weekendStreaks(.changedRows(atMost: .percent(50)))])
        #expect(try folder.catalog().live("author_streaks") == VersionNumber(2))
        let passed = try #require(try folder.catalog().judgements(of: "author_streaks").last)
        #expect(passed.verdict == .passed && passed.counts == refused.counts)
    }
}
