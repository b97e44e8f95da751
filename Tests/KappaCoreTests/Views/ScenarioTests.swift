import KappaTesting
import Synchronization
import Testing
import Views

@testable import KappaCore

/// Scenarios of the sample views, as an author of views writes them, and scenarios that must fail.
@Suite("Scenarios") struct ScenarioTests {
    @Test("a streak grows by days, and a pause starts a new one")
    func streaks() throws {
        func commit(_ day: String) -> String {
            #"{"event_type":"commit","author":"ada","committed_at":"\#(day)T23:59:59Z","files":1}"#
        }
        try Scenario(authorStreaks)
            .given(commit("2024-02-28"), commit("2024-02-29"), commit("2024-02-29"))
            .given(commit("2024-03-01"), commit("2024-02-27"), commit("2024-03-05"))
            .expect(
                "author,commits,longest_streak_days,current_streak_days",
                "ada,6,3,1")
    }

    private func user(_ second: Int, _ action: String, _ amount: String = "0") -> String {
        let digits = second < 10 ? "0\(second)" : "\(second)"
        return #"{"user_id":"u","action":"\#(action)","amount":\#(amount),"#
            + #""timestamp":"2024-01-15T14:30:\#(digits)Z"}"#
    }

    @Test("a purchase converts only after a view and a click")
    func funnel() throws {
        try Scenario(purchaseFunnel)
            .given(user(1, "purchase"), user(2, "click"), user(3, "view"), user(4, "purchase"))
            .given(user(5, "click"), user(6, "purchase"), user(7, "scroll"))
            .expect("user_id,views,clicks,purchases,conversions,stage", "u,1,2,3,1,new")
    }

    @Test("an event between two sessions merges them")
    func sessions() throws {
        let both = Scenario(userSessions).given(user(0, "view", "1.10"), user(50, "view", "2.20"))
        try both.expect(
            "window_start,window_end,events",
            "2024-01-15T14:30:00Z,2024-01-15T14:30:30Z,1",
            "2024-01-15T14:30:50Z,2024-01-15T14:31:20Z,1")
        try both.given(user(25, "click", "3.30"))
            .expect(
                "user_id,window_start,window_end,events,revenue",
                "u,2024-01-15T14:30:00Z,2024-01-15T14:31:20Z,3,6.6")
    }

    @Test("typed events can be given, too")
    func typed() throws {
        struct Sale: Event, Codable {
            var productID: String
            var price: ExactDecimal
            var soldAt: Timestamp
        }
        let view = View("sales") {
            Events(Sale.self, at: \.soldAt)
                .grouped(by: \.productID)
                .aggregate(.sum(\.price).as("revenue"))
        }
        let time = try #require(Timestamp("2024-01-15T14:30:00Z"))
        try Scenario(view)
            .given([
                Sale(productID: "a", price: 5, soldAt: time),
                Sale(productID: "a", price: 7, soldAt: time),
            ])
            .expect("product_id,revenue", "a,12")
    }

    // MARK: Scenarios that fail

    private func mismatch(_ body: () throws -> Void) throws -> Mismatch {
        try #require(throws: Mismatch.self) { try body() }
    }

    @Test("rows that differ fail, and both are shown")
    func differ() throws {
        let scenario = Scenario(purchaseFunnel).given(user(1, "view"))
        let wrong = try mismatch { try scenario.expect("user_id,views", "u,2") }
        #expect(wrong.what == "the rows differ")
        #expect(wrong.expected == ["u,2"] && wrong.found == ["u,1"])
        #expect(wrong.description.contains("u,2") && wrong.description.contains("u,1"))
        let missing = try mismatch { try scenario.expect("user_id,views") }
        #expect(missing.found == ["u,1"])
        let unknown = try mismatch { try scenario.expect("user_id,sales", "u,1") }
        #expect(unknown.what == "there is no column sales")
        let none = try mismatch { try scenario.expect() }
        #expect(none.what == "expected no rows")
        try Scenario(purchaseFunnel).expect()
    }

    struct Tick: Event {
        var key: String
    }
    private static let ticks = (0..<12).map { _ in #"{"event_type":"tick","key":"a"}"# }

    @Test("a view that draws random numbers fails")
    func random() throws {
        let view = View("dice") {
            Events(Tick.self)
                .grouped(by: \.key)
                .aggregate(.sum(of: { _ in Int.random(in: 0..<1 << 40) }).as("total"))
        }
        let scenario = Scenario(view).given(lines: Self.ticks)
        let wrong = try mismatch { try scenario.expect("key", "a") }
        #expect(wrong.what.hasPrefix("the rows depend on how the log is read"))
        #expect(wrong.what.contains("seed "))
    }

    struct Seen: Codable, Equatable, Sendable {
        var count = 0
        /// Not encoded: it is lost when a version is opened again.
        var before = 0
        enum CodingKeys: CodingKey { case count }
    }

    @Test("a row that loses a part of itself at a restart fails")
    func forgetful() throws {
        let view = View("forgetful", initially: Seen()) {
            On(Tick.self, key: \.key) { _, row in
                row.before += 1
                row.count += row.before
            }
        }
        let scenario = Scenario(view, seed: 3).given(lines: Self.ticks)
        let wrong = try mismatch { try scenario.expect("key,count", "a,78") }
        #expect(wrong.what.contains("in pieces with restarts (seed 3)"))
    }

    @Test("a view that keeps state outside of its rows fails")
    func outside() throws {
        let calls = Mutex(0)
        let view = View("outside") {
            Events(Tick.self)
                .grouped(by: \.key)
                .aggregate(
                    .sum(of: { _ in
                        calls.withLock { calls in
                            calls += 1
                            return calls
                        }
                    }).as("total"))
        }
        let scenario = Scenario(view).given(lines: Self.ticks)
        #expect(throws: Mismatch.self) { try scenario.rows() }
    }

    // MARK: Dead and late events

    private static let hours = View("hours") {
        Events(Beat.self, at: \.at)
            .window(.tumbling(.hours(1)), lateness: .minutes(1))
            .aggregate(.count().as("beats"))
    }
    struct Beat: Event {
        var at: Timestamp
    }
    private func beat(_ time: String, field: String = "at") -> String {
        #"{"event_type":"beat","\#(field)":"2024-03-01T\#(time)Z"}"#
    }

    @Test("an event that a view cannot take fails the scenario, and is shown with the reason")
    func dead() throws {
        let typo = Scenario(Self.hours)
            .given(beat("09:00:00"), beat("09:10:00", field: "when"), beat("09:20:00"))
        let wrong = try mismatch { try typo.expect("beats", "2") }
        #expect(wrong.what == "expected 0 dead letters, found 1")
        #expect(wrong.description.contains("offset 1: field at is missing: "))
        #expect(wrong.description.contains(#""when""#))
        #expect(throws: Mismatch.self) { try typo.rows() }
        #expect(try typo.deadLetters().map(\.offset) == [Offset(1)])

        try typo.expect(dead: 1).expect("beats", "2")
        let fewer = try mismatch { try typo.expect(dead: 2) }
        #expect(fewer.what == "expected 2 dead letters, found 1")
        let none = try mismatch { try Scenario(Self.hours).given(beat("09:00:00")).expect(dead: 1) }
        #expect(none.found.isEmpty)
    }

    @Test("an event that is late fails the scenario, and is shown")
    func late() throws {
        let scenario = Scenario(Self.hours)
            .given(beat("09:00:00"), beat("11:00:00"), beat("09:30:00"), beat("11:01:00"))
        let wrong = try mismatch { try scenario.expect("beats", "1", "2") }
        #expect(wrong.what == "expected 0 late events, found 1")
        #expect(wrong.found == ["offset 2: late: \(beat("09:30:00"))"])
        try scenario.expect(late: 1).expect("beats", "1", "2")
        #expect(throws: Mismatch.self) { try scenario.expect(late: 2) }

        let both = scenario.given(beat("11:02:00", field: "When"))
        try both.expect(late: 1).expect(dead: 1).expect("beats", "1", "2")
        #expect(throws: Mismatch.self) { try both.expect(late: 1).expect("beats", "1", "2") }
    }
}
