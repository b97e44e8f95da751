import KappaCore

/// How many days in a row each author commits.
public struct Streak: Codable, Equatable, Sendable {
    public var commits = 0
    public var filesChanged = 0
    public var longestStreakDays = 0
    public var currentStreakDays = 0
    @Hidden var lastDay: Int64?

    /// Counts a commit on a day. One on the same day or an earlier day does not change the streaks.
    mutating func commit(on day: Int64) {
        commits += 1
        if let lastDay, day <= lastDay { return }
        currentStreakDays = day - 1 == lastDay ? currentStreakDays + 1 : 1
        longestStreakDays = max(longestStreakDays, currentStreakDays)
        lastDay = day
    }
}

public let authorStreaks = View("author_streaks", initially: Streak()) {
    On(Commit.self, key: \.author) { commit, streak in
        streak.commit(on: commit.committedAt.utcDay)
    }
    On(FileChanged.self, key: \.author) { _, streak in
        streak.filesChanged += 1
    }
}
