import KappaCore

// Event types of docs/views.md; EventsGuideTests runs them.

// docs: units
struct ChargeMade: Event {
    var id: String
    @Seconds var created: Timestamp
    @Milliseconds var settled: Timestamp?
    static let localTimeZone: String? = "Europe/Berlin"
}

let paidByDay = View("paid_by_day") {
    Events(ChargeMade.self, at: \.created)
        .window(.tumbling(.days(1)))
        .aggregate(.count().as("payments"), .max(\.settled).as("last_settled"))
}
// docs: end
