extension Event {
    /// What makes this type read other times than its fields tell, as a part of a view's digest: a zone's
    /// rules may change.
    static var timesSignature: String {
        guard let zone = localTimeZone else { return allowsTimesBefore1990 ? " early" : "" }
        let digest = (try? TimeZoneDatabase.clock(of: zone))?.rulesDigest ?? "unknown"
        return " in \(zone) \(digest)" + (allowsTimesBefore1990 ? " early" : "")
    }
}

extension TimeRules {
    /// How an event type reads its times.
    /// - Parameter clocks: Finds a time zone.
    init<E: Event>(
        _ type: E.Type, _ clocks: (String) throws(KappaError) -> LocalClock
    ) throws(KappaError) {
        var clock: LocalClock?
        if let zone = E.localTimeZone { clock = try clocks(zone) }
        self.init(allowsEarly: E.allowsTimesBefore1990, clock: clock)
    }
}
