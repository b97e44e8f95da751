/// Tells when something that is done once in a while, on a path that is taken often, is due again.
struct IntervalTimer {
    private let nanoseconds: Int
    private var due: Int

    /// - Parameter isDueAtOnce: Whether it is due before the time has passed once.
    init(milliseconds: Int, isDueAtOnce: Bool = false) {
        nanoseconds = milliseconds * 1_000_000
        due = SystemClock.monotonicNanoseconds() + (isDueAtOnce ? 0 : nanoseconds)
    }

    /// Whether the time has passed; it then starts again.
    mutating func isDue() -> Bool {
        let now = SystemClock.monotonicNanoseconds()
        guard now >= due else { return false }
        due = now + nanoseconds
        return true
    }
}
