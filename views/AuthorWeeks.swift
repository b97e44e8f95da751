import KappaCore

/// What each author commits in a week.
public let authorWeeks = View("author_weeks") {
    Events(Commit.self, at: \.committedAt)
        .window(.tumbling(.days(7)))
        .grouped(by: \.author)
        .aggregate(.count().as("commits"), .sum(\.files).as("files"))
}
