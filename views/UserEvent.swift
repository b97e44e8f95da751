import KappaCore

/// What a user did, as the course's producer tells it.
struct UserEvent: Event {
    var userID: String
    var action: String
    var amount: ExactDecimal
    var timestamp: Timestamp

    /// These events carry no `event_type`.
    static let eventType: String? = nil
}
