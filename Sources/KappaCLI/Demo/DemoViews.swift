import KappaCore

/// A user event, as `kappa generate user-events` generates it.
struct DemoEvent: Event {
    var userID: String
    var amount: ExactDecimal

    static let eventType: String? = nil
}

/// One view in two builds of a program: the original, and one with an added line.
///
/// Both are in this one program so that the demo needs no second one. The digests take the place of those
/// that the build plugin would make of two different files.
enum DemoViews {
    static let before = ViewSet([
        View("spending", digest: "before") {
            Events(DemoEvent.self)
                .grouped(by: \.userID)
                .aggregate(.count().as("events"), .sum(\.amount).as("revenue"))
        }
    ])

    static let after = ViewSet([
        View("spending", digest: "after") {
            Events(DemoEvent.self)
                .filter { $0.amount < 199 }
                .grouped(by: \.userID)
                .aggregate(.count().as("events"), .sum(\.amount).as("revenue"))
        }
    ])

    static let beforeText = """
        View("spending") {
            Events(UserEvent.self)
                .grouped(by: \\.userID)
                .aggregate(.count().as("events"), .sum(\\.amount).as("revenue"))
        }
        """

    static let changedLine =
        "        .filter { $0.amount < 199 }      // larger amounts are typos"
}
