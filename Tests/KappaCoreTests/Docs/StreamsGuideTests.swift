import KappaCore
import KappaTesting
import Testing

/// Runs the views of docs/views.md that join, rank and derive.
@Suite("The guide to joins, rankings and second steps")
struct StreamsGuideTests {
    private static let orders = [
        #"{"event_type":"ordered","order_id":"1","user_id":"ada","item":"tea","price":120,"#
            + #""at":"2024-03-01T09:00:00Z"}"#,
        #"{"event_type":"ordered","order_id":"2","user_id":"ada","item":"jam","price":7,"#
            + #""at":"2024-03-01T09:30:00Z"}"#,
        // The shop sent this one again.
        #"{"event_type":"ordered","order_id":"2","user_id":"ada","item":"jam","price":7,"#
            + #""at":"2024-03-01T09:30:00Z"}"#,
        #"{"event_type":"ordered","order_id":"3","user_id":"bob","item":"tea","price":100,"#
            + #""at":"2024-03-01T10:10:00Z"}"#,
        #"{"event_type":"ordered","order_id":"4","user_id":"bob","item":"tea","price":34,"#
            + #""at":"2024-03-01T08:00:00Z"}"#,
    ]

    @Test("rows are the events themselves, by their offset")
    func rows() throws {
        try Scenario(dearOrders).given(lines: Self.orders).expect(
            "offset,order_id,user_id,item,price,at",
            "0,1,ada,tea,120,2024-03-01T09:00:00Z", "3,3,bob,tea,100,2024-03-01T10:10:00Z")
    }

    @Test("an event that is split makes several rows, counted by part")
    func split() throws {
        try Scenario(basketLines)
            .given(
                #"{"event_type":"basket","basket_id":"b","lines":[{"item":"tea","pieces":2},"#
                    + #"{"item":"jam","pieces":1}]}"#
            )
            .expect("offset,part,basket_id,item,pieces", "0,0,b,tea,2", "0,1,b,jam,1")
    }

    private static func paid(_ order: String, _ amount: Int, _ time: String) -> String {
        #"{"event_type":"paid","order_id":"\#(order)","amount":\#(amount),"at":"\#(time)"}"#
    }

    @Test("a join pairs events in either order, if their times are close enough")
    func join() throws {
        let early = Self.paid("1", 100, "2024-03-01T09:05:00Z")
        let zero = Self.paid("3", 0, "2024-03-01T10:15:00Z")
        let tooFar = Self.paid("4", 34, "2024-03-02T08:00:00.001Z")
        try Scenario(paidOrders).given(early).given(lines: Self.orders).given(zero, tooFar)
            .expect("offset,part,order_id,item,due", "1,0,1,tea,20")
    }

    @Test("events that can no longer find a partner in a join are late")
    func lateness() throws {
        let long = Self.paid("9", 1, "2024-03-02T09:10:00Z")
        let late = Self.paid("1", 100, "2024-03-01T09:00:00Z")
        let inTime = Self.paid("2", 7, "2024-03-01T09:00:00.001Z")
        try Scenario(paidOrders).given(lines: Self.orders).given(long, late, inTime)
            .expect(late: 1).expect("offset,order_id,due", "7,2,0", "7,2,0")
    }

    @Test("a left join has a row for an element without a partner, until one arrives")
    func outer() throws {
        let scenario = Scenario(orderPayments).given(lines: Self.orders)
        try scenario.expect("left_offset,paid", "0,", "1,", "2,", "3,", "4,")
        try scenario.given(Self.paid("1", 100, "2024-03-01T09:05:00Z")).expect(
            "left_offset,right_offset,order_id,paid", "0,5,1,100", "1,-1,2,", "2,-1,2,", "3,-1,3,",
            "4,-1,4,")
    }

    @Test("a unique side of a join adds the data of a key")
    func enrich() throws {
        try Scenario(paidByItem)
            .given(Self.paid("3", 5, "2024-03-01T09:05:00Z"))
            .given(lines: Self.orders)
            .given(
                Self.paid("3", 6, "2024-03-01T09:05:00Z"),
                Self.paid("2", 7, "2024-03-01T09:05:00Z")
            )
            .expect("item,paid", "jam,7", "tea,11")
    }

    @Test("a side table adds a value to each element that has a row in it")
    func side() throws {
        let unknown =
            #"{"event_type":"ordered","order_id":"5","user_id":"ada","item":"hat","price":9,"#
            + #""at":"2024-03-01T10:15:00Z"}"#
        try Scenario(shelfRevenue).given(lines: Self.orders).given(unknown)
            .expect("shelf,revenue", "drinks,254", "spreads,14")
    }

    @Test("rankings keep the best elements of each group, or its last one")
    func rankings() throws {
        try Scenario(dearestOrders).given(lines: Self.orders).expect(
            "user_id,rank_number,order_id,price", "ada,1,1,120", "ada,2,2,7", "bob,1,3,100",
            "bob,2,4,34")
        try Scenario(latestOrders).given(lines: Self.orders)
            .expect("user_id,order_id", "ada,2", "bob,3")
    }

    @Test("a view chooses which elements it keeps")
    func keep() throws {
        let later =
            #"{"event_type":"ordered","order_id":"5","user_id":"ada","item":"hat","price":9,"#
            + #""at":"2024-03-01T10:15:00Z"}"#
        let scenario = Scenario(recentOrders).given(lines: Self.orders)
        try scenario.expect(
            "user_id,part,order_id", "ada,1,1", "ada,2,2", "ada,3,2", "bob,1,3", "bob,2,4")
        try scenario.given(later).expect(
            "user_id,part,order_id", "ada,1,2", "ada,2,2", "ada,3,5", "bob,1,3", "bob,2,4")
    }

    @Test("unique drops repeated keys")
    func unique() throws {
        try Scenario(itemsSold).given(lines: Self.orders)
            .expect("item,orders,revenue", "jam,1,7", "tea,3,254")
    }

    @Test("a fold with hidden state finds a pattern")
    func pattern() throws {
        let logins = [false, false, false, true, false, true].enumerated().map { index, isGood in
            #"{"event_type":"login","user_id":"ada","is_good":\#(isGood),"#
                + #""at":"2024-03-01T09:00:0\#(index)Z"}"#
        }
        try Scenario(guesses).given(lines: logins)
            .expect("user_id,alarms,last_alarm", "ada,1,2024-03-01T09:00:03Z")
    }

    @Test("a second step counts the first step's current rows")
    func second() throws {
        try Scenario(bestCustomers).given(lines: Self.orders).expect(
            "window_start,rank_number,user_id,spent",
            "2024-03-01T00:00:00Z,1,ada,134", "2024-03-01T00:00:00Z,2,bob,134")
        try Scenario(averageBest).given(lines: Self.orders)
            .expect("item,average,users", "jam,7,1", "tea,110,2")
    }

    @Test("reduce makes any rows of a group's rows")
    func reduce() throws {
        try Scenario(medianBest).given(lines: Self.orders)
            .expect("item,part,price", "jam,1,7", "tea,1,120")
    }
}
