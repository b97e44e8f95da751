import KappaTesting
import Testing

@testable import KappaCore

/// The state that streams keep between events: no more than they must, and nothing from an event that could
/// not be taken.
@Suite("The state of streams") struct StreamStateTests {
    struct Left: Event, ViewRow {
        static let eventType: String? = "left"
        var k: String
        var n: Int
        var at: Timestamp
    }
    struct Right: Event, ViewRow {
        static let eventType: String? = "right"
        var k: String
        var n: Int
        var at: Timestamp
    }
    struct Both: ViewRow {
        var k: String
        var left: Int
        var right: Int
    }

    private static let both: @Sendable (Left, Right) throws -> Both = { left, right in
        if left.n < 0 || right.n < 0 { throw StreamsMarket.Refusal("less than zero") }
        return Both(k: left.k, left: left.n, right: right.n)
    }

    private static func line(_ type: String, _ k: String, _ n: Int, at second: Int) -> String {
        let micros = 1_700_000_000_000_000 + second * 1_000_000
        return #"{"event_type":"\#(type)","k":"\#(k)","n":\#(n),"at":\#(micros)}"#
    }

    private final class Run {
        private let folder: TemporaryFolder
        private let writer: LogWriter
        let version: EventsVersion

        init(_ view: any AnyView) throws {
            folder = try TemporaryFolder(inMemory: true)
            version = try EventsVersion(view, in: folder.path)
            writer = try LogWriter(version.log)
        }

        func append(_ lines: [String]) throws {
            for line in lines { _ = try writer.append(try EventLines(event: line)) }
            try version.scan()
        }
    }

    @Test(
        "elements that can no longer find a partner are dropped, also after a restart",
        arguments: [true, false])
    func expiry(inWindows: Bool) throws {
        let bound: JoinBound =
            inWindows
            ? .sameWindow(.seconds(10), lateness: .seconds(5))
            : .within(.seconds(10), lateness: .seconds(5))
        let run = try Run(
            View("v") {
                Events(Left.self, at: \.at)
                    .join(
                        Events(Right.self, at: \.at), on: \.k, equals: \.k, bound, Self.both
                    ).rows()
            })
        try run.append((0..<100).map { Self.line("left", "k\($0)", $0, at: $0 / 10) })
        try run.append((0..<50).map { Self.line("right", "r\($0)", $0, at: $0 / 10) })
        #expect(try run.version.stateRows() == [100, 50])
        run.version.close()
        // The stream time advances; the next batch finds the elements that have expired.
        try run.append([Self.line("left", "new", 1, at: 1_000)])
        run.version.close()
        try run.append([Self.line("right", "new", 2, at: 1_001)])
        #expect(try run.version.stateRows() == [1, 1])
        let outcome = try run.version.outcome()
        #expect(outcome.tables[0].count == 1)
        #expect(outcome.counters.late == 0)
        try run.append([Self.line("left", "new", 3, at: 980)])
        #expect(try run.version.outcome().counters.late == 1)
        #expect(try run.version.stateRows() == [1, 1], "what is late is not kept")
    }

    @Test("without a lateness nothing is late, and everything is kept")
    func noLateness() throws {
        let run = try Run(
            View("v") {
                Events(Left.self, at: \.at)
                    .join(
                        Events(Right.self, at: \.at), on: \.k, equals: \.k,
                        .within(.seconds(1)), Self.both
                    ).rows()
            })
        try run.append([Self.line("left", "a", 1, at: 0), Self.line("left", "a", 2, at: 9_000)])
        try run.append([Self.line("right", "a", 3, at: 1)])
        #expect(try run.version.stateRows() == [2, 1])
        let outcome = try run.version.outcome()
        #expect(outcome.counters.late == 0)
        #expect(outcome.tables[0].count == 1)
    }

    @Test("a refused event leaves no trace in any state of its view")
    func noTrace() throws {
        // The same stream on both sides: its left half has taken the event when the right one fails.
        let twice = Events(Left.self, at: \.at).unique(by: \.k)
        let run = try Run(
            View("v") {
                twice.join(twice, on: \.k, equals: \.k) { a, b in
                    if a.n < 0 { throw StreamsMarket.Refusal("less than zero") }
                    return Both(k: a.k, left: a.n, right: b.n)
                }.rows()
            })
        try run.append([Self.line("left", "a", -1, at: 0)])
        #expect(try run.version.stateRows() == [0, 0, 0, 0])
        #expect(try run.version.outcome().counters.dead == 1)
        // So the next one is the first of its key. An element that has met itself no longer waits.
        try run.append([Self.line("left", "a", 1, at: 0), Self.line("left", "a", 2, at: 0)])
        #expect(try run.version.stateRows() == [1, 1, 0, 0])
        let outcome = try run.version.outcome()
        #expect(outcome.tables[0].map { $0.suffix(2) } == [[.integer(1), .integer(1)]])
        #expect(outcome.counters.filtered == 1)
    }

    @Test("an event that an aggregate's key refuses has not been seen by the join before it")
    func refusedBehind() throws {
        let run = try Run(
            View("v") {
                Events(Left.self, at: \.at)
                    .join(
                        Events(Right.self, at: \.at), on: \.k, equals: \.k,
                        .within(.seconds(1), lateness: .seconds(1)), Self.both
                    )
                    .grouped(as: "g") { both in
                        if both.right == 7 { throw StreamsMarket.Refusal("seven") }
                        return both.left
                    }
                    .aggregate(.count().as("n"), .sum(\.right).as("rights"))
            })
        try run.append([
            Self.line("left", "a", 1, at: 0), Self.line("right", "a", 7, at: 0),
            Self.line("left", "a", 2, at: 0), Self.line("right", "a", 3, at: 1),
            Self.line("right", "a", 9, at: 99), Self.line("left", "a", 3, at: 1),
        ])
        let outcome = try run.version.outcome()
        #expect(outcome.dead.map(\.reason) == ["seven"])
        #expect(outcome.counters.late == 1)
        #expect(
            outcome.tables[0] == [
                [.integer(1), .integer(1), .integer(3)], [.integer(2), .integer(1), .integer(3)],
            ])
    }

    struct Scored: ViewRow {
        var k: String
        var n: Int
        var score: Double?
    }

    @Test("a NaN score is nil for a ranking, before and after a restart")
    func notANumber() throws {
        let lines = (0..<12).map { Self.line("left", "k\($0 % 2)", $0 % 5, at: $0) }
        let view = View("v") {
            Events(Left.self)
                .map { Scored(k: $0.k, n: $0.n, score: Double($0.n) / Double($0.n) + Double($0.n)) }
                .grouped(by: \.k).top(3, by: .descending(\.score))
        }
        let whole = try EventsWay.whole(lines.count).run(view, lines)
        #expect(whole.tables[0].allSatisfy { $0[2] != .null }, "nil is less than anything else")
        var singly = EventsWay(appends: lines.map { _ in 1 })
        singly.restarts = 100
        let found = try singly.run(view, lines)
        #expect(found.difference(from: whole) == nil)
    }
}
