import KappaCore

/// What a user did, as the course's producer reports it.
struct UserEvent: Event {
    var userID: String
    var action: String
    var amount: ExactDecimal
    var timestamp: Timestamp

    /// These events have no `event_type`.
    static let eventType: String? = nil
}
