import CKappaJSON
import Glibc

/// An instant, in microseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Events carry it as RFC 3339 text (`2024-01-15T14:30:00.25Z`, any offset) or as a number of
/// milliseconds or microseconds since the epoch: a number below 10^14 counts milliseconds. A number that
/// would mean a time before 1990, or after the year 9999, is refused: most likely it counts something
/// else; see ``Seconds`` and its siblings. kappa writes RFC 3339 in UTC with up to six fraction digits,
/// without trailing zeros.
public struct Timestamp: Hashable, Comparable, Sendable {
    /// Microseconds since 1970-01-01T00:00:00Z; negative before it.
    public var microseconds: Int64

    /// The instant `microseconds` after 1970-01-01T00:00:00Z.
    public init(microseconds: Int64) { self.microseconds = microseconds }

    /// Parses RFC 3339 text, with an offset. `+0100` and `+01` mean `+01:00`, a comma may replace the
    /// point before the fraction, and the suffix in brackets that RFC 9557 adds is ignored. Nil for any
    /// other text, and for a time outside the years 0000 to 9999.
    public init?(_ text: some StringProtocol) {
        let (state, time) = TimeRules.written.read(String(text), isText: true)
        guard state == KJ_VALUE else { return nil }
        self = time
    }

    /// Parses what ``description`` writes for years outside 0000 to 9999, such as
    /// `+012024-01-15T14:30:00Z`.
    init?(extended text: String) {
        guard let sign = text.first, sign == "+" || sign == "-", text.utf8.count > 7,
            let digits = Int(text.dropFirst().prefix(6))
        else { return nil }
        // The calendar repeats itself every 400 years.
        let year = sign == "-" ? -digits : digits
        let near = 2_000 + ((year % 400) + 400) % 400
        guard let time = Timestamp("\(near)" + text.dropFirst(7)) else { return nil }
        let eras = Int128((year - near) / 400)
        let sum = Int128(time.microseconds) + eras * 146_097 * 86_400_000_000
        guard let microseconds = Int64(exactly: sum) else { return nil }
        self.microseconds = microseconds
    }

    /// A number as events carry it: milliseconds below 10^14, microseconds from there on.
    public init(epochNumber number: Int64) {
        microseconds = kj_timestamp_from_number(number)
    }

    /// Whether it lies in the years 0000 to 9999, which RFC 3339 can write.
    var isInCalendar: Bool {
        (-62_167_219_200_000_000...253_402_300_799_999_999).contains(microseconds)
    }

    /// Whether `a` is earlier than `b`.
    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.microseconds < b.microseconds }
}

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 in UTC, such as `2024-01-15T14:30:00.25Z`.
    public var description: String { JSONText.string { $0.append(bare: self) } }

    /// The calendar date and time of day in UTC.
    package var fields:
        (
            year: Int64, month: Int, day: Int, hour: Int, minute: Int, second: Int, micros: Int
        )
    {
        let micros = microseconds
        let perDay: Int64 = 86_400_000_000
        var days = micros / perDay
        var rest = micros % perDay
        if rest < 0 {
            rest += perDay
            days -= 1
        }
        // Howard Hinnant's civil_from_days: eras of 400 years, years that begin in March.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let seconds = rest / 1_000_000
        return (
            year, Int(month), Int(day), Int(seconds / 3600), Int(seconds / 60 % 60),
            Int(seconds % 60), Int(rest % 1_000_000)
        )
    }

    /// Days since the epoch in UTC; the day of an instant before the epoch is negative.
    public var utcDay: Int64 {
        let (days, rest) = microseconds.quotientAndRemainder(dividingBy: 86_400_000_000)
        return rest < 0 ? days - 1 : days
    }
}

extension Timestamp: Codable {
    /// Reads RFC 3339 text, or a number as in ``init(epochNumber:)``, from 1990 on.
    /// - Throws: `DecodingError` where it is neither.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let number = try? container.decode(Int64.self)
        let text = try number.map { "\($0)" } ?? container.decode(String.self)
        let (state, time) = TimeRules().read(text, isText: number == nil)
        guard state == KJ_VALUE else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: number == nil
                    ? "\"\(text)\" is not an RFC 3339 time"
                    : "\(text) is no time from 1990 to 9999 in milliseconds or microseconds")
        }
        self = time
    }

    /// Writes RFC 3339 text in UTC.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension Timestamp {
    /// The start of the window that holds this time, for windows of this size. Windows are aligned to
    /// 1970-01-01T00:00:00Z.
    public func start(ofWindow size: Duration) -> Timestamp {
        let size = max(1, size.wholeMicroseconds)
        let rest = microseconds % size
        let (start, overflow) = microseconds.subtractingReportingOverflow(
            rest < 0 ? rest + size : rest)
        return Timestamp(microseconds: overflow ? .min : start)
    }
}

/// Arithmetic on instants. It never traps: a result beyond 64 bits of microseconds becomes the nearest
/// instant that fits.
extension Timestamp: InstantProtocol {
    /// The instant that much later; fractions of a microsecond in the duration are dropped.
    public func advanced(by duration: Duration) -> Timestamp {
        Timestamp(microseconds: Int64(clamping: Int128(microseconds) + duration.allMicroseconds))
    }

    /// The exact duration from this instant to another; negative where the other one is earlier.
    public func duration(to other: Timestamp) -> Duration {
        let micros = Int128(other.microseconds) - Int128(microseconds)
        let (seconds, rest) = micros.quotientAndRemainder(dividingBy: 1_000_000)
        return Duration(
            secondsComponent: Int64(seconds), attosecondsComponent: Int64(rest) * 1_000_000_000_000)
    }

    /// The instant that much later; see ``advanced(by:)``.
    public static func + (time: Timestamp, duration: Duration) -> Timestamp {
        time.advanced(by: duration)
    }
    /// The instant that much earlier; see ``advanced(by:)``.
    public static func - (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(
            microseconds: Int64(clamping: Int128(time.microseconds) - duration.allMicroseconds))
    }
    /// The duration from `earlier` to `later`; see ``duration(to:)``.
    public static func - (later: Timestamp, earlier: Timestamp) -> Duration {
        earlier.duration(to: later)
    }
    /// Moves the instant later; see ``advanced(by:)``.
    public static func += (time: inout Timestamp, duration: Duration) { time = time + duration }
    /// Moves the instant earlier; see ``advanced(by:)``.
    public static func -= (time: inout Timestamp, duration: Duration) { time = time - duration }
}

extension Duration {
    /// Whole microseconds; fractions are dropped, and a duration of more than 292,000 years is clamped.
    package var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, overflowed) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        return overflowed ? (seconds < 0 ? .min : .max) : sum
    }

    /// Whole microseconds, however many; fractions are dropped.
    fileprivate var allMicroseconds: Int128 {
        let (seconds, attoseconds) = components
        return Int128(seconds) * 1_000_000 + Int128(attoseconds / 1_000_000_000_000)
    }

    /// A number of days of 24 hours. A duration that 64 bits of seconds cannot hold becomes the longest
    /// one that they can.
    public static func days(_ days: Int) -> Duration { seconds(days, each: 86_400) }
    /// A number of hours; see ``days(_:)``.
    public static func hours(_ hours: Int) -> Duration { seconds(hours, each: 3_600) }
    /// A number of minutes; see ``days(_:)``.
    public static func minutes(_ minutes: Int) -> Duration { seconds(minutes, each: 60) }

    private static func seconds(_ count: Int, each: Int) -> Duration {
        let (seconds, overflow) = count.multipliedReportingOverflow(by: each)
        return .seconds(overflow ? (count < 0 ? .min : .max) : seconds)
    }
}

/// The system's clocks. None of them reaches a row: a view is a function of the log.
package enum SystemClock {
    /// Nanoseconds since an arbitrary moment; it never goes back.
    package static func monotonicNanoseconds() -> Int {
        let time = read(CLOCK_MONOTONIC)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    /// ``monotonicNanoseconds()`` in seconds.
    package static func monotonicSeconds() -> Double { Double(monotonicNanoseconds()) / 1e9 }

    /// Microseconds since 1970-01-01T00:00:00Z. It goes back when somebody sets the clock back.
    package static func wallMicroseconds() -> Int64 {
        let time = read(CLOCK_REALTIME)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        clock_gettime(clock, &time)
        return time
    }
}
