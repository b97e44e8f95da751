import Foundation
import KappaTesting
import Testing
import Views

@testable import KappaCore

/// Reviews a changed view over a real history: `author_streaks`, where a weekend no longer breaks a streak.
@Suite(
    "Reviewing a changed view over a real history",
    .enabled(if: EventsShared.isThere, EventsShared.reason))
struct StreakReviewTests {
    struct Commit: Event {
        var author: String
        var committedAt: Timestamp
    }
    struct FileChanged: Event { var author: String }

    struct WorkStreak: Codable, Equatable, Sendable {
        var commits = 0
        var filesChanged = 0
        var longestStreakDays = 0
        var currentStreakDays = 0
        @Hidden var lastDay: Int64?

        mutating func commit(on day: Int64) {
            commits += 1
            if let lastDay, day <= lastDay { return }
            // 1970-01-01 was a Thursday.
            var next = (lastDay ?? day) + 1
            while next < day, (next + 3) % 7 >= 5 { next += 1 }
            currentStreakDays = lastDay != nil && next == day ? currentStreakDays + 1 : 1
            longestStreakDays = max(longestStreakDays, currentStreakDays)
            lastDay = day
        }
    }

    private static let changed = View(
        "author_streaks", initially: WorkStreak(), digest: "weekends do not count"
    ) {
        On(Commit.self, key: \.author) { commit, streak in
            streak.commit(on: commit.committedAt.utcDay)
        }
        On(FileChanged.self, key: \.author) { _, streak in streak.filesChanged += 1 }
    }

    // MARK: The reference

    /// The longest and the last run of consecutive days.
    private static func streaks(_ days: [Int], _ follows: (Int, Int) -> Bool) -> [Int] {
        var runs: [[Int]] = []
        for day in days {
            if let last = runs.last?.last, follows(last, day) {
                runs[runs.count - 1].append(day)
            } else {
                runs.append([day])
            }
        }
        return [runs.map(\.count).max() ?? 0, runs.last?.count ?? 0]
    }

    private static func isWeekend(_ day: Int) -> Bool {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        return calendar.isDateInWeekend(Date(timeIntervalSince1970: Double(day) * 86_400))
    }

    /// The authors whose rows change, each with the offset of the first commit that makes the
    /// difference.
    private static func reference(_ lines: [String]) throws -> [String: Int] {
        let format = ISO8601DateFormatter()
        var commits: [String: [(day: Int, offset: Int)]] = [:]
        for (offset, line) in lines.enumerated() where line.contains(#""event_type":"commit""#) {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
            guard let event = object as? [String: Any], let author = event["author"] as? String,
                let text = event["committed_at"] as? String, let date = format.date(from: text)
            else { continue }
            let day = Int((date.timeIntervalSince1970 / 86_400).rounded(.down))
            if let latest = commits[author]?.last?.day, day <= latest { continue }
            commits[author, default: []].append((day, offset))
        }
        let weekends = Set((0..<25_000).filter(isWeekend))
        func isOther(_ commits: some Sequence<(day: Int, offset: Int)>) -> Bool {
            let days = commits.map(\.day)
            return streaks(days) { $1 == $0 + 1 }
                != streaks(days) { a, b in (a + 1..<b).allSatisfy(weekends.contains) }
        }
        return commits.filter { isOther($0.value) }.compactMapValues { commits in
            let first = commits.indices.first { isOther(commits[...$0]) }
            return first.map { commits[$0].offset }
        }
    }

    // MARK: The review

    @Test("diff counts the authors that a reference finds; why names the commit where they diverge")
    func review() throws {
        let lines = try EventsShared.events("redis-history.ndjson.gz")
        let expected = try Self.reference(lines)
        #expect(expected.count > 5)
        let folder = try VersionsFolder()
        try folder.append(lines)
        let end = Offset(UInt64(lines.count))
        let digests = sampleViews.digests
        try ViewRunner(
            folder.data, ViewSet([authorStreaks], digests: digests), options: Self.once
        ).run()
        let before = try #require(
            try ViewSet([authorStreaks], digests: digests).definitions().first)
        let after = try #require(try ViewSet([Self.changed]).definitions().first)

        // The new definition is not built yet.
        let alignment = try Alignment(
            .version(VersionID("author_streaks", VersionNumber(1))),
            .definition("author_streaks"), in: folder.data, ViewSet([Self.changed]))
        var found: [String: [String]] = [:]
        let summary = try Diff(alignment.old, alignment.new).run { difference in
            #expect(difference.operation == .changed)
            found[difference.key.map(\.plainText).joined()] = difference.columns
        }
        withExtendedLifetime(alignment) {}
        #expect(Set(found.keys) == Set(expected.keys))
        #expect(summary.changed == expected.count && summary.added + summary.removed == 0)
        #expect(summary.position == end)
        let columns = Set(summary.columns.map(\.column))
        #expect(columns.isSubset(of: ["longest_streak_days", "current_streak_days"]))

        for author in expected.keys.sorted().prefix(2) {
            let why = try Why(
                [before, after], key: .string(author), to: end, in: folder.data)
            var parting: Why.Step?
            try why.run {
                if $0.diverges { parting = $0 }
                return !$0.diverges
            }
            #expect(parting.map { Int($0.offset.rawValue) } == expected[author])
            #expect(parting?.event.contains(#""event_type":"commit""#) == true)
        }
    }

    private static let once: ViewRunner.Options = {
        var options = ViewRunner.Options()
        options.follows = false
        return options
    }()
}
