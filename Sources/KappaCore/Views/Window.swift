/// How event time is cut into windows.
///
/// A window includes its start and excludes its end. Windows of a fixed size are aligned to
/// 1970-01-01T00:00:00Z, or to an offset from there.
public struct Window: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case tumbling(microseconds: Int64)
        case hopping(microseconds: Int64, every: Int64, offset: Int64)
        case session(gapMicroseconds: Int64)
    }
    package let kind: Kind

    /// Windows of one size, side by side.
    /// - Parameter offset: How much later than 1970-01-01T00:00:00Z a window starts; it may be
    ///   negative.
    public static func tumbling(_ size: Duration, offset: Duration = .zero) -> Window {
        let micros = positive(size, "a tumbling window's size")
        let offset = rest(of: offset.wholeMicroseconds, by: micros)
        if offset == 0 { return Window(kind: .tumbling(microseconds: micros)) }
        return Window(kind: .hopping(microseconds: micros, every: micros, offset: offset))
    }

    /// Windows of one size, of which one starts at each step: an event is in several where the step
    /// is shorter than the size, and may be in none where it is longer.
    /// - Parameters:
    ///   - size: How long a window is; it need not be a multiple of the step.
    ///   - step: From one window's start to the next one's. No event is in more than 10,000 windows.
    ///   - offset: How much later than 1970-01-01T00:00:00Z a window starts; it may be negative.
    public static func hopping(
        _ size: Duration, every step: Duration, offset: Duration = .zero
    ) -> Window {
        let size = positive(size, "a hopping window's size")
        let step = positive(step, "a hopping window's step")
        precondition(
            most(size: size, every: step) <= 10_000,
            "an event is in at most 10,000 windows: take a longer step")
        return Window(
            kind: .hopping(
                microseconds: size, every: step,
                offset: rest(of: offset.wholeMicroseconds, by: step)))
    }

    /// Bursts of events of one key: two events at most `gap` apart share a session, in whichever
    /// order they arrive. A session ends `gap` after its last event.
    public static func session(gap: Duration) -> Window {
        Window(kind: .session(gapMicroseconds: positive(gap, "a session's gap")))
    }

    private static func positive(_ duration: Duration, _ what: String) -> Int64 {
        let micros = duration.eventTimeMicroseconds
        precondition(micros > 0, "\(what) is at least one microsecond")
        return micros
    }

    /// The most windows that hold one time.
    static func most(size: Int64, every step: Int64) -> Int64 { (size - 1) / step + 1 }

    private static func rest(of value: Int64, by size: Int64) -> Int64 {
        value &- start(of: value, size: size)
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
}
