/// A time zone of the system's database, such as `Europe/Berlin`, whose rules have been read.
public struct TimeZoneName: Sendable, CustomStringConvertible {
    /// Its name in the database.
    public let name: String
    let rules: TimeZoneRules

    /// UTC, which needs no database.
    public static let utc = TimeZoneName(name: "UTC", rules: .utc)

    /// The zone of a name; each is read once.
    /// - Throws: `.usage` where the system's database has no such zone.
    public init(_ name: String) throws(KappaError) {
        self.init(name: name, rules: try TimeZoneDatabase.rules(of: name))
    }

    private init(name: String, rules: TimeZoneRules) {
        self.name = name
        self.rules = rules
    }

    public var description: String { name }
}

extension Timestamp {
    /// What clocks and calendars of a time zone show at this instant.
    public func local(in zone: TimeZoneName) -> LocalTime { LocalTime(self, zone.rules) }

    /// What clocks and calendars of a time zone show at this instant.
    ///
    /// In a view, ``EventStream/grouped(as:by:)`` with a ``LocalKey`` checks the zone when the view
    /// is defined, and makes its rules a part of the view's digest; a closure's zone is in neither.
    /// - Parameter zone: A name of the system's time zone database, such as `Europe/Berlin`.
    /// - Throws: `.usage` where there is no such zone.
    public func local(in zone: String) throws(KappaError) -> LocalTime {
        LocalTime(self, try TimeZoneDatabase.rules(of: zone))
    }

    /// The instant at which clocks in UTC show a date and time; nil where there is no such date or
    /// time.
    /// - Parameter year: 0 … 9999.
    public init?(
        year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0,
        microsecond: Int = 0
    ) {
        guard (0...9_999).contains(year), (1...12).contains(month), (1...31).contains(day),
            (0...23).contains(hour), (0...59).contains(minute), (0...59).contains(second),
            (0...999_999).contains(microsecond)
        else { return nil }
        let days = CivilDay.day(year: year, month: month, day: day)
        guard days < CivilDay.first(ofMonth: month + 1, year: year) else { return nil }
        let seconds = days * TimeZoneRules.secondsOfDay + hour * 3_600 + minute * 60 + second
        self.init(microseconds: Int64(seconds) * 1_000_000 + Int64(microsecond))
    }

    /// The present, by the system's clock.
    ///
    /// Never inside of a view: a view is a function of the log, and a rebuild would give other
    /// rows. There an event's own time is what counts, or the time at which it was appended
    /// (`Events(…, at: .ingestion)`).
    public static var now: Timestamp { Timestamp(microseconds: SystemClock.wallMicroseconds()) }
}
