/// Days of the Gregorian calendar, counted from 1970-01-01.
enum CivilDay {
    /// The day on which a month begins. Months beyond 1 … 12 are those of the years around.
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
