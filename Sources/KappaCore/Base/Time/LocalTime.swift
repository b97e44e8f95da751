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

    /// `2024-03-31`. Texts of the years 0000 to 9999 order as their days do.
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
