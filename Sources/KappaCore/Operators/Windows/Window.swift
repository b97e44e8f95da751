/// How event time is cut into windows.
///
/// A window includes its start and excludes its end, but for ``sliding(_:)``, which includes both.
/// Windows of a fixed size are aligned to 1970-01-01T00:00:00Z, or to an `offset` from there; days,
/// weeks and months go by a calendar.
public struct Window: Hashable, Sendable {
    /// Its printed form is a part of views' digests.
    package enum Kind: Hashable, Sendable {
        case tumbling(microseconds: Int64)
        case hopping(microseconds: Int64, every: Int64, offset: Int64)
        case session(gapMicroseconds: Int64)
        case sliding(microseconds: Int64)
        case calendar(CalendarWindow)
    }
    package let kind: Kind
    /// Why the window makes no sense; nil where it does. It is told when the view is worked out: nobody else's
    /// view is to fail of it.
    var fault: String?

    /// Windows of one size, side by side.
    /// - Parameters:
    ///   - size: How long each window is.
    ///   - offset: Moves all bounds: days from 06:00 UTC on are `.tumbling(.days(1), offset:
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

    /// Windows of one size that overlap: a new one begins `every` so often, and an event counts in
    /// all those that it falls into. The size need not be a multiple of `every`.
    /// - Parameters:
    ///   - size: How long each window is.
    ///   - every: How far apart two windows begin; at most the size, so that no event falls between
    ///     windows.
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

    /// The stretch of time up to each event: a window for each time at which a key has an event, with
    /// the key's events from `size` before up to that time.
    ///
    /// Both bounds belong to the window, as in Kafka Streams' `SlidingWindows` and in SQL's
    /// `RANGE BETWEEN … PRECEDING AND CURRENT ROW`: `window_end` is the event's time, `window_start` is
    /// `size` before it. An event that comes out of order also counts in the windows behind it. As the
    /// end belongs to it, a window closes once `window end + lateness < stream time`. An event is late
    /// once all windows have closed that it could be in, up to `size` behind it.
    ///
    /// The view remembers each event until it is late: with no lateness, for ever.
    public static func sliding(_ size: Duration) -> Window {
        Window(
            kind: .sliding(microseconds: max(1, size.eventTimeMicroseconds)),
            fault: size.faultOfSize("a sliding window's size"))
    }

    /// Days by the calendar of a time zone: from 23 to 25 hours where clocks change.
    /// - Parameters:
    ///   - zone: A name of the system's time zone database, such as `Europe/Berlin`; UTC if
    ///     none is given. Its file is read when the view is defined, and is a part of the view's digest.
    ///   - dateColumn: The name of a further column, a text with the local date on which the window begins:
    ///     `2024-03-31`. It stands behind `window_end`.
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

    /// The one bound that is not negative and comes before `every`: it stands for all others.
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
    /// A span of event time: not negative, and not so long that a window's end with its lateness
    /// would not fit 64 bits (it is cut at 73,000 years).
    var eventTimeMicroseconds: Int64 { min(max(0, wholeMicroseconds), .max / 4) }

    /// The same, but below zero where it is negative: for what is judged later.
    var spanMicroseconds: Int64 {
        self < .zero ? min(-1, wholeMicroseconds) : eventTimeMicroseconds
    }

    /// Why it cannot be a span of event time; nil where it can.
    func fault(_ what: String) -> String? {
        self < .zero ? "\(what) is not negative, as \(self) is" : nil
    }

    /// Why it cannot be the size of a window; nil where it can.
    func faultOfSize(_ what: String) -> String? {
        eventTimeMicroseconds > 0 ? nil : "\(what) is at least one microsecond, not \(self)"
    }
}

extension KappaError {
    /// What an author has written that cannot be meant.
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
