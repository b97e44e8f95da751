import Glibc

/// The system's clocks. None of them reaches a row: a view is a function of the log.
package enum SystemClock {
    /// Nanoseconds since some moment; it never goes back.
    package static func monotonicNanoseconds() -> Int {
        let time = read(CLOCK_MONOTONIC)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    /// ``monotonicNanoseconds()`` in seconds.
    package static func monotonicSeconds() -> Double { Double(monotonicNanoseconds()) / 1e9 }

    /// Microseconds since 1970-01-01T00:00:00Z. Whoever sets the clock may set it back.
    static func wallMicroseconds() -> Int64 {
        let time = read(CLOCK_REALTIME)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        clock_gettime(clock, &time)
        return time
    }
}
