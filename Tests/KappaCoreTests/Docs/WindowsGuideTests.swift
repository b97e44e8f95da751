import KappaTesting
import Testing

@testable import KappaCore

/// Runs the views of docs/views.md about late events, retention and conditions.
@Suite("The guide to windows")
struct WindowsGuideTests {
    private static func purchase(
        _ user: String, _ shop: String, _ price: String, _ at: String, coupon: String? = nil
    ) -> String {
        #"{"event_type":"purchase","user_id":"\#(user)","shop":"\#(shop)","price":\#(price),"#
            + (coupon.map { #""coupon":"\#($0)","# } ?? "") + #""at":"\#(at)"}"#
    }

    private static let purchases = [
        purchase("ada", "north", "12.5", "2024-03-01T09:10:00Z", coupon: "SPRING"),
        purchase("bob", "north", "7", "2024-03-01T09:50:00Z"),
        purchase("ada", "south", "3.25", "2024-03-01T10:20:00Z"),
        purchase("ada", "north", "2", "2024-03-01T10:00:00Z"),
    ]

    @Test("late elements can be told apart")
    func toldApart() throws {
        let late = Self.purchase("eve", "south", "1", "2024-03-01T08:30:00Z")
        try Scenario(timely).given(lines: Self.purchases + [late]).expect(
            "shop,purchases,late_ones", "north,3,0", "south,2,1")
    }

    @Test("a sliding window has a row for each time of a key; an event out of order counts in two")
    func sliding() throws {
        try Scenario(lastHour).given(lines: Self.purchases).expect(
            "user_id,window_start,window_end,purchases,spent",
            "ada,2024-03-01T08:10:00Z,2024-03-01T09:10:00Z,1,12.5",
            "ada,2024-03-01T09:00:00Z,2024-03-01T10:00:00Z,2,14.5",
            "ada,2024-03-01T09:20:00Z,2024-03-01T10:20:00Z,2,5.25",
            "bob,2024-03-01T08:50:00Z,2024-03-01T09:50:00Z,1,7")
    }

    @Test("both bounds belong to a sliding window, and a closed one never changes")
    func slidingBounds() throws {
        func at(_ time: String) -> String { Self.purchase("ada", "north", "1", time) }
        try Scenario(lastHour).given(
            at("2024-03-01T09:00:00Z"), at("2024-03-01T10:00:00Z"),
            // A microsecond more than an hour after the first.
            at("2024-03-01T10:00:00.000001Z"),
            // Exactly half an hour before the stream time: still in time.
            at("2024-03-01T09:30:00.000001Z"),
            // More: its own window has closed, the three later ones have not.
            at("2024-03-01T09:30:00Z"),
            // No window that it could be in is open.
            at("2024-03-01T08:30:00Z")
        ).expect(late: 1).expect(
            "window_end,purchases", "2024-03-01T09:00:00Z,1", "2024-03-01T09:30:00.000001Z,3",
            "2024-03-01T10:00:00Z,4", "2024-03-01T10:00:00.000001Z,4")
    }

    @Test("late events are kept with the dead letters if the view asks for it")
    func lateKept() throws {
        let folder = try VersionsFolder()
        let late = Self.purchase("bob", "north", "1", "2024-03-01T09:59:00Z")
        let view = View("hourly_kept", digest: "1") { Self.step(hourlyKept) }
        try folder.append(Self.purchases + [late])
        try folder.catchUp([view])
        var letters: [DeadLetter] = []
        try folder.reader("hourly_kept", 1).deadLetters { letters.append($0) }
        #expect(letters.map(\.event) == [late])
        #expect(letters.first?.reason.hasPrefix("late: its time is 2024-03-01T09:59:00Z") == true)
    }

    private static func step(_ view: any AnyView) -> BoxedStep { BoxedStep(view.steps[0]) }

    @Test("the rows of a window are deleted once its end is long enough ago")
    func retention() throws {
        let last = Self.purchase("ada", "north", "1", "2024-03-31T09:59:59Z")
        let scenario = Scenario(thirtyDays).given(lines: Self.purchases + [last])
        let rows = [
            "window_start,shop,purchases", "2024-03-01T09:00:00Z,north,2",
            "2024-03-01T10:00:00Z,north,1", "2024-03-01T10:00:00Z,south,1",
        ]
        try scenario.expect(
            rows[0], rows[1], rows[2], rows[3], "2024-03-31T09:00:00Z,north,1")
        try scenario.given(
            Self.purchase("ada", "north", "1", "2024-03-31T10:00:00Z"),
            // For a window that was deleted: late.
            Self.purchase("ada", "north", "1", "2024-03-01T09:00:00Z")
        ).expect(late: 1).expect(
            rows[0], rows[2], rows[3], "2024-03-31T09:00:00Z,north,1",
            "2024-03-31T10:00:00Z,north,1")
    }

    @Test("final rows are those of the windows that have closed")
    func final() throws {
        let folder = try VersionsFolder()
        let view = View("hourly", digest: "1") { Self.step(hourly) }
        try folder.append(Self.purchases)
        try folder.catchUp([view])
        let reader = try folder.reader("hourly", 1)
        let definition = try #require(ViewSet([view]).definitions().first)
        var query = RowQuery()
        let until = try FinalRows(definition, table: nil).until(reader.checkpoint())
        query.ended = (nil, try #require(until))
        var starts: [String] = []
        try query.run(on: reader) { starts.append($0[0].plainText) }
        #expect(starts == ["2024-03-01T09:00:00Z"])
    }

    /// The view of the guide, with a filter in front instead of the conditions.
    private static let filtered = View("with_coupon") {
        Events(Purchase.self, at: \.at)
            .filter { $0.coupon != nil }
            .grouped(by: \.shop)
            .aggregate(
                .count().as("purchases"),
                .count(\.coupon).as("coupons"),
                .sum(\.price).as("revenue"),
                .average(\.price).as("average"),
                .min(\.price).as("cheapest"),
                .max(\.price).as("dearest"),
                .first(\.userID).as("first_user"),
                .last(\.userID).as("last_user"),
                .argMin(\.userID, by: \.price).as("thriftiest"),
                .argMax(\.userID, by: \.price).as("best_customer"),
                .variance(\.price, .population).as("variance"),
                .standardDeviation(\.price, .population).as("deviation"),
                .median(\.price).as("median"),
                .quantile(\.price, 0.9).as("p90"),
                .approximateQuantile(\.price, 0.9).as("about_p90"),
                .countDistinct(\.userID).as("users"),
                .approximateDistinct(\.userID).as("about_users"),
                .top(2, \.price).as("largest"),
                .bottom(2, \.price).as("smallest"),
                .collect(\.userID, limit: 5).as("names"))
    }

    @Test("a condition on every aggregate is a filter in front of it")
    func everyCondition() throws {
        let lines =
            Self.purchases + [
                Self.purchase("eve", "north", "4", "2024-03-01T11:00:00Z", coupon: "X"),
                Self.purchase("bob", "south", "5", "2024-03-01T11:00:00Z", coupon: "Y"),
            ]
        let found = try Scenario(withCoupon).given(lines: lines).rows()
        let expected = try Scenario(Self.filtered).given(lines: lines).rows()
        #expect(found.csv(nil).count == 2)
        #expect(found.csv(nil) == expected.csv(nil))
    }
}
