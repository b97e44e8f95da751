/// What clocks and calendars of a time zone show at an instant.
public struct LocalTime: Hashable, Sendable {
    /// The year of the Gregorian calendar.
    public let year: Int
    /// 1 … 12.
    public let month: Int
    /// 1 … 31.
    public let day: Int
    /// 0 … 23.
    public let hour: Int
    /// 0 … 59.
    public let minute: Int
    /// 0 … 59.
    public let second: Int
    /// 0 … 999 999.
    public let microsecond: Int
    /// Monday comes first, as in ISO 8601.
    public let weekday: Weekday

    init(_ time: Timestamp, _ rules: TimeZoneRules) {
        let seconds = CivilDay.floorDivide(Int(time.microseconds), 1_000_000)
        microsecond = Int(time.microseconds) &- seconds &* 1_000_000
        let local = seconds + rules.periods[rules.index(at: seconds)].offset
        let days = CivilDay.floorDivide(local, TimeZoneRules.secondsOfDay)
        let ofDay = local - days * TimeZoneRules.secondsOfDay
        (hour, minute, second) = (ofDay / 3_600, ofDay / 60 % 60, ofDay % 60)
        (year, month) = CivilDay.month(of: days)
        day = days - CivilDay.first(ofMonth: month, year: year) + 1
        weekday = Weekday(rawValue: CivilDay.weekday(of: days)) ?? .monday
    }

    /// `2024-03-31`. Texts of the years 0000 to 9999 sort as their days do.
    public var dateText: String { Self.text { $0.append(dateOf: self) } }

    /// `14:30:00`, with the fraction of a second where there is one.
    public var timeText: String { Self.text { $0.append(clockOf: self) } }

    private static func text(_ write: (inout JSONText) -> Void) -> String {
        JSONText.string(write)
    }
}

extension LocalTime: CustomStringConvertible {
    /// `2024-03-31T14:30:00`.
    public var description: String { dateText + "T" + timeText }
}

extension JSONText {
    fileprivate mutating func append(dateOf time: LocalTime) {
        appendYear(Int64(time.year))
        bytes.append(UInt8(ascii: "-"))
        appendPadded(time.month, digits: 2)
        bytes.append(UInt8(ascii: "-"))
        appendPadded(time.day, digits: 2)
    }

    fileprivate mutating func append(clockOf time: LocalTime) {
        appendClock(time.hour, time.minute, time.second, micros: time.microsecond)
    }
}

/// Days of the Gregorian calendar, counted from 1970-01-01.
enum CivilDay {
    /// The day on which a month begins. A month outside 1 … 12 falls in a year before or after.
    static func first(ofMonth month: Int, year: Int) -> Int {
        let months = year * 12 + month - 1
        let year = floorDivide(months, 12)
        return day(year: year, month: months - year * 12 + 1, day: 1)
    }

    /// After Howard Hinnant's `days_from_civil`: years begin in March, so that the leap day is the last.
    static func day(year: Int, month: Int, day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let era = floorDivide(year, 400)
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }

    /// The year and month (1 … 12) of a day.
    static func month(of day: Int) -> (year: Int, month: Int) {
        let shifted = day + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let year = yearOfEra + era * 400
        return month < 10 ? (year, month + 3) : (year + 1, month - 9)
    }

    /// 0 is Monday.
    static func weekday(of day: Int) -> Int {
        let rest = (day + 3) % 7
        return rest < 0 ? rest + 7 : rest
    }

    static func isLeap(_ year: Int) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    static func floorDivide(_ a: Int, _ b: Int) -> Int { a / b - (a % b < 0 ? 1 : 0) }
}

/// A day of the week.
public enum Weekday: Int, Hashable, Sendable {
    /// The first day of the week, as ISO 8601 counts.
    case monday = 0
    /// The days that follow.
    case tuesday, wednesday, thursday, friday, saturday, sunday

    /// 1 for Monday to 7 for Sunday, as ISO 8601 counts.
    public var number: Int { rawValue + 1 }
}

/// A time zone of the system's database, such as `Europe/Berlin`, whose rules have been read.
public struct TimeZoneName: Sendable, CustomStringConvertible {
    /// Its name in the database.
    public let name: String
    let rules: TimeZoneRules

    /// UTC, which needs no database.
    public static let utc = TimeZoneName(name: "UTC", rules: .utc)

    /// The zone with a name; each zone is read once.
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
    /// In a view, ``EventStream/grouped(as:by:)`` with a ``LocalKey`` checks the zone when the view is
    /// defined, and makes its rules a part of the view's digest. A zone that a closure names gets
    /// neither.
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

    /// The current time, by the system's clock.
    ///
    /// Never use it inside a view: a view is a function of the log, and a rebuild would give other rows.
    /// Use the event's own time there, or the time of its append (`Events(…, at: .ingestion)`).
    public static var now: Timestamp { Timestamp(microseconds: SystemClock.wallMicroseconds()) }
}
