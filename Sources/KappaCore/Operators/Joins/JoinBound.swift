/// How far apart in time two joined elements may be.
public struct JoinBound: Sendable {
    enum Kind: Sendable {
        case none
        case within(microseconds: Int64)
        case window(microseconds: Int64)
    }
    let kind: Kind
    let latenessMicroseconds: Int64?

    /// Any two elements, no matter when they come. Both sides are kept for ever, except elements that cannot
    /// match another one: see ``EventStream/unique(by:)``.
    public static let anyTime = JoinBound(kind: .none, latenessMicroseconds: nil)

    /// Two elements whose event times differ by at most `span`. With a lateness, an element is late, and is
    /// counted as late and dropped, once `time + span + lateness <= stream time`; until then it is kept.
    /// Without a lateness, nothing is late and everything is kept.
    public static func within(_ span: Duration, lateness: Duration? = nil) -> JoinBound {
        JoinBound(
            kind: .within(microseconds: span.spanMicroseconds),
            latenessMicroseconds: lateness?.spanMicroseconds)
    }

    /// Two elements in the same tumbling window. With a lateness, an element is late once `window end +
    /// lateness <= stream time`; until then it is kept.
    public static func sameWindow(_ size: Duration, lateness: Duration? = nil) -> JoinBound {
        JoinBound(
            kind: .window(microseconds: size.spanMicroseconds),
            latenessMicroseconds: lateness?.spanMicroseconds)
    }

    /// What is wrong with the bound; nil if nothing is.
    var fault: String? {
        if let lateness = latenessMicroseconds, lateness < 0 {
            return "a lateness cannot be negative, as \(lateness) microseconds are"
        }
        return switch kind {
        case .within(let span) where span < 0:
            "the time between a join's elements cannot be negative, as \(span) microseconds are"
        case .window(let size) where size < 1:
            "the size of a join's windows must be at least one microsecond, not \(size)"
        default: nil
        }
    }

    var needsTime: Bool { if case .none = kind { false } else { true } }

    /// The start of the window of an element; zero without windows.
    func window(of time: Int64) -> Int64 {
        guard case .window(let size) = kind else { return 0 }
        return Window.start(of: time, size: size)
    }

    var hasWindows: Bool { if case .window = kind { true } else { false } }

    /// Checks that an element is not late.
    /// - Throws: ``LateElement`` if it is.
    func admit(_ meta: JoinMeta, now: Int64) throws {
        if isPast(meta.time, streamTime: now) { throw LateElement() }
    }

    /// Whether the times of two elements with the same key allow them to match.
    /// - Parameter passed: The time that all partitions have passed; elements before it may be gone.
    func canMeet(_ a: JoinMeta, _ b: JoinMeta, passed: Int64) -> Bool {
        if isPast(b.time, streamTime: passed) { return false }
        guard case .within(let span) = kind else { return true }
        return abs(a.time &- b.time) <= span
    }

    /// Whether an element of this time is late, so that nothing can match it any more.
    func isPast(_ time: Int64, streamTime: Int64) -> Bool {
        guard let lateness = latenessMicroseconds else { return false }
        return switch kind {
        case .none: false
        case .within(let span): time &+ span &+ lateness <= streamTime
        case .window(let size): window(of: time) &+ size &+ lateness <= streamTime
        }
    }

    /// Elements of this time or earlier cannot match any more; nil if all are kept.
    func past(streamTime: Int64) -> Int64? {
        guard let lateness = latenessMicroseconds, streamTime > .min / 2 else { return nil }
        return switch kind {
        case .none: nil
        case .within(let span): streamTime &- span &- lateness
        case .window(let size): Window.start(of: streamTime &- lateness, size: size) &- 1
        }
    }

    /// A part of a view's digest.
    var signature: String {
        "\(kind) \(latenessMicroseconds.map(String.init) ?? "")"
    }
}

extension JoinBound {
    /// Why the bound cannot be applied, for example because it needs times that a stream lacks; nil if it
    /// can.
    func problem<Left, Right>(
        _ left: JoinInput<Left>, _ right: JoinInput<Right>
    ) -> KappaError? {
        if let fault {
            return .senseless(fault, at: "join of \(Left.self) and \(Right.self)")
        }
        guard needsTime, !left.source.hasTime || !right.source.hasTime else { return nil }
        return KappaError(
            .usage, "a join has a bound in time, but its events have no time",
            at: "join of \(Left.self) and \(Right.self)",
            because: "the bound compares the event times of both sides",
            advice: "Name the event time of both: Events(\(Left.self).self, at: \\.timestamp)")
    }
}
