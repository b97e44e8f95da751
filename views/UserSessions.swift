import KappaCore

/// Bursts of activity: a user's events at most thirty seconds apart, in whatever order they arrive.
public let userSessions = View("user_sessions") {
    Events(UserEvent.self, at: \.timestamp)
        .grouped(by: \.userID)
        .window(.session(gap: .seconds(30)))
        .aggregate(.count().as("events"), .sum(\.amount).as("revenue"))
}
