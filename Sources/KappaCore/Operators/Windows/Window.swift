/// How event time is divided into windows.
///
/// A window includes its start and excludes its end, except ``sliding(_:)``, which includes both. Windows of
/// a fixed size are aligned to 1970-01-01T00:00:00Z, or to an `offset` from there; days, weeks and months
/// follow a calendar.
public struct Window: Hashable, Sendable {
    /// Its printed form is a part of the views' digests.
    package enum Kind: Hashable, Sendable {
        case tumbling(microseconds: Int64)
        case hopping(microseconds: Int64, every: Int64, offset: Int64)
        case session(gapMicroseconds: Int64)
        case sliding(microseconds: Int64)
        case calendar(CalendarWindow)
    }
    package let kind: Kind
    /// What is wrong with the window; nil if nothing is. It is thrown when this view is defined, so that it
    /// does not affect other views.
    var fault: String?

    /// Windows of one size that do not overlap and leave no gaps.
    /// - Parameters:
    ///   - size: How long each window is.
    ///   - offset: Moves all bounds. Days that begin at 06:00 UTC are `.tumbling(.days(1), offset:
    ///     .hours(6))`. It may be negative.
    public static func tumbling(_ size: Duration, offset: Duration = .zero) -> Window {
        let micros = max(1, size.eventTimeMicroseconds)
        let offset = alignment(offset, every: micros)
        return Window(
            kind: offset == 0
                ? .tumbling(microseconds: micros)
                : .hopping(microseconds: micros, every: micros, offset: offset),
            fault: size.faultOfSize("a tumbling window's size"))
    }

    /// Windows of one size that may overlap: one begins at each multiple of `every`, and an event counts in
    /// all windows that it falls into. The size need not be a multiple of `every`.
    /// - Parameters:
    ///   - size: How long each window is.
    ///   - every: The time from one window's start to the next; at most the size, so that no event falls
    ///     between windows.
    ///   - offset: Moves all bounds. It may be negative.
    public static func hopping(
        _ size: Duration, every: Duration, offset: Duration = .zero
    ) -> Window {
        let micros = max(1, size.eventTimeMicroseconds)
        let hop = max(1, every.eventTimeMicroseconds)
        let fault =
            size.faultOfSize("a hopping window's size")
            ?? every.faultOfSize("a hopping window's step")
            ?? (hop > micros
                ? "a hopping window's step, \(every), is longer than its size, \(size)" : nil)
        if hop == micros, fault == nil { return tumbling(size, offset: offset) }
        return Window(
            kind: .hopping(
                microseconds: micros, every: hop, offset: alignment(offset, every: hop)),
            fault: fault)
    }

    /// Bursts of events of one key: two events at most `gap` apart share a session, in whichever
    /// order they arrive. A session ends `gap` after its last event.
    public static func session(gap: Duration) -> Window {
        Window(
            kind: .session(gapMicroseconds: max(1, gap.eventTimeMicroseconds)),
            fault: gap.faultOfSize("a session's gap"))
    }

    /// The span of time up to each event: for each time at which a key has an event, a window with the key's
    /// events from `size` before up to that time.
    ///
    /// Both bounds belong to the window, as in Kafka Streams' `SlidingWindows` and in SQL's `RANGE BETWEEN …
    /// PRECEDING AND CURRENT ROW`: `window_end` is the event's time, `window_start` is `size` before it. An
    /// event that comes out of order also counts in the windows that end up to `size` after it. Because the
    /// end belongs to the window, it closes once `window end + lateness < stream time`. An event is late once
    /// all windows that it could be in have closed; the last of them ends `size` after it.
    ///
    /// The view keeps each event until all windows it could be in have closed; without a lateness, for ever.
    public static func sliding(_ size: Duration) -> Window {
        Window(
            kind: .sliding(microseconds: max(1, size.eventTimeMicroseconds)),
            fault: size.faultOfSize("a sliding window's size"))
    }

    /// Days by the calendar of a time zone: from 23 to 25 hours when clocks change.
    /// - Parameters:
    ///   - zone: A name of the system's time zone database, such as `Europe/Berlin`; UTC if none is given.
    ///     Its file is read when the view is defined, and the file's digest is a part of the view's digest.
    ///   - dateColumn: The name of a further column, a text with the local date on which the window begins:
    ///     `2024-03-31`. It comes after `window_end`.
    public static func daily(in zone: String? = nil, dateColumn: String? = nil) -> Window {
        calendar(.day, zone, dateColumn)
    }

    /// Weeks by the calendar of a time zone; see ``daily(in:dateColumn:)``.
    public static func weekly(
        startingOn weekday: Weekday = .monday, in zone: String? = nil, dateColumn: String? = nil
    ) -> Window {
        calendar(.week(startingOn: weekday), zone, dateColumn)
    }

    /// Months by the calendar of a time zone; see ``daily(in:dateColumn:)``.
    public static func monthly(in zone: String? = nil, dateColumn: String? = nil) -> Window {
        calendar(.month, zone, dateColumn)
    }

    private static func calendar(
        _ unit: CalendarWindow.Unit, _ zone: String?, _ dateColumn: String?
    ) -> Window {
        Window(kind: .calendar(CalendarWindow(unit: unit, zone: zone, dateColumn: dateColumn)))
    }

    /// The offset reduced to the range from 0 to `every`, which gives the same bounds.
    private static func alignment(_ offset: Duration, every: Int64) -> Int64 {
        let rest = offset.wholeMicroseconds % every
        return rest < 0 ? rest + every : rest
    }

    /// The start of the tumbling window that holds a time.
    @inline(__always)
    static func start(of time: Int64, size: Int64) -> Int64 {
        let rest = time % size
        return time &- (rest < 0 ? rest &+ size : rest)
    }
}

extension Duration {
    /// The duration as a span of event time: not negative, and limited to 73,000 years, so that a window's
    /// end plus its lateness fits 64 bits.
    var eventTimeMicroseconds: Int64 { min(max(0, wholeMicroseconds), .max / 4) }

    /// The same, but a negative duration stays negative, for a check that comes later.
    var spanMicroseconds: Int64 {
        self < .zero ? min(-1, wholeMicroseconds) : eventTimeMicroseconds
    }

    /// Why it cannot be a span of event time; nil if it can.
    func fault(_ what: String) -> String? {
        self < .zero ? "\(what) cannot be negative, as \(self) is" : nil
    }

    /// Why it cannot be the size of a window; nil if it can.
    func faultOfSize(_ what: String) -> String? {
        eventTimeMicroseconds > 0 ? nil : "\(what) must be at least one microsecond, not \(self)"
    }
}

extension KappaError {
    /// An error for an argument in a view's definition that makes no sense.
    static func senseless(_ fault: String, at place: String) -> KappaError {
        KappaError(
            .usage, "a view is defined with an argument that makes no sense", at: place,
            because: fault, advice: "Correct the argument where the view is defined")
    }
}

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
    /// The column for the date on which a window begins; nil for none.
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

    /// The first day of the window that holds a day, and the first day of the next window.
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
        // If clocks go back over midnight, the local date returns to the previous day.
        while rules.start(ofDay: next) <= seconds { (first, next) = days(around: next) }
        return (
            Int64(rules.start(ofDay: first)) &* 1_000_000,
            Int64(rules.start(ofDay: next)) &* 1_000_000
        )
    }
}
