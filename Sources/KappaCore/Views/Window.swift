/// How event time is cut into windows.
///
/// A window includes its start and excludes its end. Windows of a fixed size are aligned to
/// 1970-01-01T00:00:00Z.
public struct Window: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case tumbling(microseconds: Int64)
        case session(gapMicroseconds: Int64)
    }
    package let kind: Kind

    /// Windows of one size, side by side.
    public static func tumbling(_ size: Duration) -> Window {
        Window(kind: .tumbling(microseconds: positive(size, "a tumbling window's size")))
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
