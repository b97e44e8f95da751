import CKappaJSON

/// What a number counts that stands for a time, from 1970-01-01T00:00:00Z on.
public enum TimeUnit: Hashable, Sendable {
    /// One of them is 10^6, 10^3, 1 or 10^-3 microseconds.
    case seconds, milliseconds, microseconds, nanoseconds
}
