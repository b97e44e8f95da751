/// Watches for code of views that does not return.
///
/// Versions share scans of the log, so a closure that never returns holds up all versions of its scan. A
/// thread cannot be ended from outside; all one can do is report whose code it is, and on which events.
final class SlowCodeWatch: Sendable {
    /// A view's code that has been at work for a long time.
    struct Finding: Sendable {
        var id: VersionID
        var events: Range<Offset>
        /// How long, in whole seconds.
        var seconds: Int

        /// What to report.
        var reason: String {
            let place =
                events.isEmpty ? "" : " at offsets \(events.lowerBound) to \(events.upperBound)"
            return "its code has been at work\(place) for \(seconds) s and has not returned"
        }
    }

    /// What is known of one version's pulse.
    private struct Seen {
        var beat: UInt64
        var since: ContinuousClock.Instant
        /// After how long it is reported next.
        var next: Duration
    }

    private let pulses = Monitor<(all: [VersionID: WorkPulse], isOver: Bool)>(([:], false))
    private let limit: Duration
    private let tell: @Sendable (Finding) -> Void

    /// - Parameters:
    ///   - limit: How long one piece of work may take before it is reported; then after twice as long, and so
    ///     on.
    ///   - tell: Called on the watch's own thread.
    init(limit: Duration, tell: @escaping @Sendable (Finding) -> Void) {
        self.limit = limit
        self.tell = tell
    }

    func add(_ id: VersionID, _ pulse: WorkPulse) { pulses.withLock { $0.all[id] = pulse } }
    func remove(_ id: VersionID) { pulses.withLock { $0.all[id] = nil } }
    func stop() { pulses.withLock { $0.isOver = true } }

    /// Watches until ``stop()``.
    func run() {
        let clock = ContinuousClock()
        var seen: [VersionID: Seen] = [:]
        while pulses.wait(atMost: limit / 10, until: { $0.isOver ? true : nil }) == nil {
            let all = pulses.withLock { $0.all }
            seen = seen.filter { all[$0.key] != nil }
            for (id, pulse) in all {
                guard let beat = pulse.beatAtWork else {
                    seen[id] = nil
                    continue
                }
                guard var known = seen[id], known.beat == beat else {
                    seen[id] = Seen(beat: beat, since: clock.now, next: limit)
                    continue
                }
                let time = clock.now - known.since
                if time < known.next { continue }
                while known.next <= time { known.next *= 2 }
                seen[id] = known
                pulse.wasTold.store(true, ordering: .relaxed)
                tell(
                    Finding(
                        id: id, events: pulse.events, seconds: Int(time.components.seconds)))
            }
        }
    }
}
