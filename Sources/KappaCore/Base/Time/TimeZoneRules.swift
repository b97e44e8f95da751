/// How far a zone's clocks are ahead of UTC, at every instant.
///
/// Read from the system's time zone database, so its file is an input of a view: its digest is part of
/// the view's, and a changed rule makes a new version.
package final class TimeZoneRules: Sendable {
    /// From `start` on, in seconds since 1970, clocks are `offset` seconds ahead of UTC.
    struct Period: Equatable, Sendable {
        var start: Int
        var offset: Int
    }
    /// By their start; the first one begins before all time.
    let periods: [Period]
    /// Of the file's bytes; empty for UTC.
    package let digest: String

    package static let utc = TimeZoneRules(periods: [Period(start: .min, offset: 0)], digest: "")

    private init(periods: [Period], digest: String) {
        self.periods = periods
        self.digest = digest
    }

    /// The rules in the bytes of a TZif file (RFC 8536); nil where they are none.
    init?(file bytes: [UInt8]) {
        guard let file = ZoneFile(bytes) else { return nil }
        periods = file.periods
        var hash = StableHash()
        hash.add(bytes)
        digest = hash.digits
    }

    /// The index of the period that an instant is in.
    func index(at seconds: Int) -> Int {
        var (low, high) = (0, periods.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if periods[middle].start <= seconds { low = middle } else { high = middle }
        }
        return low
    }

    /// The day that a calendar in this zone shows.
    func day(at seconds: Int) -> Int {
        CivilDay.floorDivide(seconds + periods[index(at: seconds)].offset, Self.secondsOfDay)
    }

    /// The first instant at which clocks show this day or a later one, in seconds since 1970. Where
    /// midnight is left out, the day begins with its first hour; where it comes twice, with the first.
    func start(ofDay day: Int) -> Int {
        let local = day * Self.secondsOfDay
        var index = index(at: local - 2 * Self.secondsOfDay)
        while true {
            let period = periods[index]
            let start = max(period.start, local - period.offset)
            index += 1
            if index == periods.count || start < periods[index].start { return start }
        }
    }

    static let secondsOfDay = 86_400
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
    func isShown(local: Int) -> Bool {
        let instant = instant(ofLocal: local)
        return instant + periods[index(at: instant)].offset == local
    }
}
