/// Days, weeks or months by the calendar of a time zone.
package struct CalendarWindow: Hashable, Sendable, CustomStringConvertible {
    enum Unit: Hashable, Sendable {
        case day
        case week(startingOn: Weekday)
        case month
    }
    let unit: Unit
    /// A zone of the system's database; nil for UTC.
    let zone: String?
    /// The column with the date on which a window begins, if there is to be one.
    var dateColumn: String?

    package var description: String {
        let name =
            switch unit {
            case .day: "day"
            case .week(let start): "week from \(start)"
            case .month: "month"
            }
        return "\(name) in \(zone ?? "UTC")"
    }

    /// The first day of the window that holds a day, and the first one of the window after that.
    func days(around day: Int) -> (first: Int, next: Int) {
        switch unit {
        case .day: return (day, day + 1)
        case .week(let start):
            let first = day - (CivilDay.weekday(of: day) - start.rawValue + 7) % 7
            return (first, first + 7)
        case .month:
            let (year, month) = CivilDay.month(of: day)
            return (
                CivilDay.first(ofMonth: month, year: year),
                CivilDay.first(ofMonth: month + 1, year: year)
            )
        }
    }

    /// The bounds of the window that holds a time, in microseconds.
    func bounds(around time: Int64, _ rules: TimeZoneRules) -> (start: Int64, end: Int64) {
        let seconds = CivilDay.floorDivide(Int(time), 1_000_000)
        var (first, next) = days(around: rules.day(at: seconds))
        // Where clocks go back over midnight, the day before is shown once more.
        while rules.start(ofDay: next) <= seconds { (first, next) = days(around: next) }
        return (
            Int64(rules.start(ofDay: first)) &* 1_000_000,
            Int64(rules.start(ofDay: next)) &* 1_000_000
        )
    }
}
