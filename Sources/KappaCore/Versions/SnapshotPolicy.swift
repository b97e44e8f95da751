/// How often to keep a snapshot of a version, and how many to keep.
package struct SnapshotPolicy: Equatable, Sendable {
    package enum Interval: Equatable, Sendable {
        /// At the first commit at or past each multiple of this many events of the log.
        case events(Int)
        /// At the first commit in each interval of this many microseconds of ingestion time, counted from
        /// 1970.
        case micros(Int64)
    }

    package var every: Interval
    /// How many snapshots of a version are kept: the newest ones.
    package var keep = 24

    package init(every: Interval, keep: Int = 24) {
        self.every = every
        self.keep = keep
    }

    /// Parses `every=1000000`, `every=1h`, `every=30m,keep=48`; nil for anything else.
    package init?(_ text: String) {
        var every: Interval?
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", maxSplits: 1)
            guard words.count == 2 else { return nil }
            switch words[0] {
            case "every": every = Self.interval(words[1])
            case "keep":
                guard let number = Int(words[1]), number > 0 else { return nil }
                keep = number
            default: return nil
            }
        }
        guard let every else { return nil }
        self.every = every
    }

    private static func interval(_ text: Substring) -> Interval? {
        let seconds: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        if let events = Int(text) { return events > 0 ? .events(events) : nil }
        guard let unit = text.last.flatMap({ seconds[$0] }), let number = Int64(text.dropLast()),
            (1...1_000_000).contains(number)
        else { return nil }
        return .micros(number * unit * 1_000_000)
    }

    /// The interval that an offset of the log is in. A snapshot is due once the next interval has begun.
    func interval(at offset: Offset, ingestedAtMicros micros: Int64) -> Int64 {
        switch every {
        case .events(let events): Int64(clamping: offset.rawValue / UInt64(events))
        case .micros(let length): micros / length
        }
    }
}
