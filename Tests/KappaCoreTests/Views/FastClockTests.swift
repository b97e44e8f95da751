import KappaTesting
import Testing

@testable import KappaCore

/// Events whose time is far ahead of when they were appended.
@Suite("Fast clocks") struct FastClockTests {
    struct Ping: Event, ViewRow {
        static let eventType: String? = nil
        var key: String
        var at: Timestamp
    }

    private static func view(ignores: Bool) -> View<Columns> {
        let pings = Events(Ping.self, at: \.at)
        return View("v", digest: "\(ignores)") {
            (ignores ? pings.ignoringTimes(furtherAheadThan: .hours(1)) : pings)
                .window(.tumbling(.minutes(1)), lateness: .minutes(5)).grouped(by: \.key)
                .aggregate(.count().as("n"))
        }
    }

    private static func line(_ time: Timestamp, _ number: Int) -> String {
        #"{"key":"k\#(number % 3)","at":"\#(time)"}"#
    }

    @Test("one event dated next week makes all others late, or is itself a dead letter")
    func one() throws {
        let now = Timestamp.now
        var lines = (0..<30).map { Self.line(now - .seconds(30 - $0), $0) }
        lines.insert(Self.line(now + .days(7), 0), at: 5)
        let moved = try EventsWay.both(Self.view(ignores: false), lines)
        #expect(moved.counters.late == 25 && moved.counters.dead == 0)
        let kept = try EventsWay.whole(lines.count).run(Self.view(ignores: true), lines)
        #expect(kept.counters.late == 0 && kept.counters.applied == 30)
        #expect(kept.dead.map(\.offset) == [Offset(5)])
        #expect(kept.dead.first?.reason.contains("ahead") == true, "\(kept.dead)")
    }

    @Test("which events are ignored does not depend on how the log is cut", arguments: 0..<8)
    func cuts(round: Int) throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let now = Timestamp.now
        var expected: [Offset] = []
        var lines: [String] = []
        for number in 0..<80 {
            // Not so close to the limit that the time of the append decides.
            let isAhead = random.chance(1, in: 5)
            let minutes = isAhead ? 70 + random.below(100_000) : random.below(100) - 50
            if isAhead { expected.append(Offset(UInt64(number))) }
            lines.append(Self.line(now + .minutes(minutes), number))
        }
        let view = Self.view(ignores: true)
        let whole = try EventsWay.whole(lines.count).run(view, lines)
        #expect(whole.dead.map(\.offset) == expected, "seed \(seed)")
        // The reasons contain the append time, which differs from way to way.
        let other = try EventsWay.random(lines.count, &random).run(view, lines)
        #expect(other.dead.map(\.offset) == expected, "seed \(seed)")
        #expect(other.tables == whole.tables, "seed \(seed)")
        #expect(other.counters == whole.counters, "seed \(seed)")
    }
}
