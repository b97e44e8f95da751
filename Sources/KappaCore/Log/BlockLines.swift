import Glibc

/// The lines of a block's payload.
enum BlockLines {
    /// How many events a payload has, including a last one that lacks its newline.
    static func count(_ payload: UnsafeRawBufferPointer) -> Int {
        var count = 0
        // Without a branch, so that many bytes are compared at once.
        for byte in payload { count &+= byte == 0x0A ? 1 : 0 }
        return payload.last == 0x0A || payload.isEmpty ? count : count + 1
    }

    /// Where the first `events` lines end; nil if there are fewer.
    static func end(of events: Int, in payload: UnsafeRawBufferPointer) -> Int? {
        var at = 0
        for _ in 0..<events {
            guard at < payload.count, let base = payload.baseAddress,
                let newline = memchr(base + at, 0x0A, payload.count - at)
            else { return nil }
            at = UnsafeRawPointer(newline) - base + 1
        }
        return at
    }

    /// The digest of the log after these lines: of the events as they were appended, also of those that are
    /// erased.
    /// - Returns: Nil if there are fewer lines than the runs have events, or if one that is erased is no
    ///   tombstone.
    static func digest(
        _ payload: UnsafeRawBufferPointer, _ runs: [IngestionRun], after before: LogDigest
    ) -> LogDigest? {
        var digest = before
        var rest = payload
        // How many events come before the run, and how many before `rest`.
        var (first, passed) = (0, 0)
        for run in runs {
            for erased in run.erased {
                let index = first + erased.index
                guard let start = end(of: index - passed, in: rest),
                    let next = end(of: index + 1 - passed, in: rest)
                else { return nil }
                guard rest[start..<next].elementsEqual(IngestionRun.tombstone) else { return nil }
                digest = digest.appending(.init(rebasing: rest[..<start]))
                    .appending(bytes: erased.bytes, crc: erased.crc)
                rest = .init(rebasing: rest[next...])
                passed = index + 1
            }
            first += run.events
        }
        return digest.appending(rest)
    }

    /// Those parts of a block's runs that are in a range of its events.
    static func cut(_ runs: [IngestionRun], to events: Range<Int>) -> [IngestionRun] {
        var first = 0
        var result: [IngestionRun] = []
        for run in runs {
            let range = (first..<(first + run.events)).clamped(to: events)
            if !range.isEmpty {
                result.append(run.part((range.lowerBound - first)..<(range.upperBound - first)))
            }
            first += run.events
        }
        return result
    }
}
