import KappaCore

/// What each user has done in all, and when and how last.
public let userTotals = View("user_totals") {
    Events(UserEvent.self, at: \.timestamp)
        .grouped(by: \.userID)
        .aggregate(
            .count().as("events"),
            .sum(\.amount).as("revenue"),
            .max(\.timestamp).as("last_seen"),
            .last(\.action).as("last_action"))
}
