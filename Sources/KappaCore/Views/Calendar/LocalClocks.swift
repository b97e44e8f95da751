extension TimeZoneDatabase {
    /// How the local times of a zone are told from UTC; see ``TimeZoneRules/instant(ofLocal:)``.
    /// - Throws: `.usage` where there is no such zone.
    static func clock(of name: String) throws(KappaError) -> LocalClock {
        let rules = try rules(of: name)
        return LocalClock(name: name, rulesDigest: rules.digest) { local in
            let seconds = CivilDay.floorDivide(Int(local), 1_000_000)
            let rest = local - Int64(seconds) * 1_000_000
            return rules.isShown(local: seconds)
                ? Int64(rules.instant(ofLocal: seconds)) * 1_000_000 + rest
                : Int64(rules.instant(ofLocal: seconds)) * 1_000_000
        }
    }
}

extension Event {
    /// What makes this type read other times than its fields tell, as a part of a view's digest: a zone's
    /// rules may change.
    static var timesSignature: String {
        guard let zone = localTimeZone else { return allowsTimesBefore1990 ? " early" : "" }
        let digest = (try? TimeZoneDatabase.clock(of: zone))?.rulesDigest ?? "unknown"
        return " in \(zone) \(digest)" + (allowsTimesBefore1990 ? " early" : "")
    }
}

extension TimeZoneRules {
    /// The first instant at which clocks show a local time or a later one, as calendar windows begin:
    /// where clocks go forward over it, the instant at which they do; where it comes twice, the first.
    /// Both in seconds.
    func instant(ofLocal local: Int) -> Int {
        var index = index(at: local - 2 * Self.secondsOfDay)
        while true {
            let period = periods[index]
            let start = max(period.start, local - period.offset)
            index += 1
            if index == periods.count || start < periods[index].start { return start }
        }
    }

    /// Whether clocks ever show a local time.
    fileprivate func isShown(local: Int) -> Bool {
        let instant = instant(ofLocal: local)
        return instant + periods[index(at: instant)].offset == local
    }
}
