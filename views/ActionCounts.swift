import KappaCore

/// How often each action happens, and what it earns, in windows of ten seconds.
public let actionCounts = View("action_counts") {
    Events(UserEvent.self, at: \.timestamp)
        .window(.tumbling(.seconds(10)), lateness: .seconds(30))
        .grouped(by: \.action)
        .aggregate(.count().as("events"), .sum(\.amount).as("revenue"))
}
