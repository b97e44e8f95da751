import KappaCore
import KappaTesting
import Testing

/// Runs the views of docs/views.md on events whose rows the guide prints.
@Suite("The guide to views")
struct ViewsGuideTests {
    private static let purchaseLines = [
        #"{"event_type":"purchase","user_id":"ada","shop":"north","price":12.5,"#
            + #""coupon":"SPRING","at":"2024-03-01T09:10:00Z"}"#,
        #"{"event_type":"purchase","userId":"bob","shop":"north","price":7,"#
            + #""at":"2024-03-01T09:50:00Z"}"#,
        #"{"event_type":"purchase","user_id":"ada","shop":"south","price":3.25,"#
            + #""coupon":null,"at":"2024-03-01T10:20:00+00:00"}"#,
        #"{"event_type":"purchase","user_id":"ada","shop":"north","price":2,"#
            + #""at":1709287200000}"#,
    ]
    private static let tripLines = [
        #"{"event_type":"trip.finished","vehicle":"bike","start":{"city":"Oslo"},"#
            + #""stops":[{"city":"Ås","country":"NO"},{"city":"Moss"}],"#
            + #""started_at":"2024-03-01T09:10:00Z"}"#,
        #"{"event_type":"trip.finished","vehicle":"car","start":{"city":"Oslo"},"#
            + #""stops":[{"city":"Ås","country":"NO"}],"started_at":"2024-03-02T09:10:00Z"}"#,
        #"{"event_type":"trip.finished","vehicle":"tram","start":{"city":"Oslo"},"#
            + #""stops":[],"started_at":"2024-03-02T09:10:00Z"}"#,
    ]

    @Test("the first view counts and sums by user")
    func spendingByUser() throws {
        try Scenario(spending).given(lines: Self.purchaseLines)
            .expect("user_id,purchases,spent", "ada,3,17.75", "bob,1,7")
    }

    @Test("enums and nested properties are keys; an unknown case is a dead letter")
    func tripsByVehicle() throws {
        try Scenario(trips).given(lines: Self.tripLines).expect(dead: 1).expect(
            "vehicle,start_city,trips,last_started",
            "bike,Oslo,1,2024-03-01T09:10:00Z",
            "car,Oslo,1,2024-03-02T09:10:00Z")
    }

    @Test("filter, flatMap, compactMap and map apply in the order in which they are written")
    func streams() throws {
        try Scenario(citiesVisited).given(lines: Self.tripLines).expect(dead: 1)
            .expect("city,stops,letters", "Ås,1,2")
    }

    @Test("map(as:) copies properties, and sets the others")
    func properties() throws {
        try Scenario(pointsEarned).given(lines: Self.purchaseLines).expect(
            "offset,shop,customer,points,at", "0,north,ada,125,2024-03-01T09:10:00Z",
            "1,north,bob,70,2024-03-01T09:50:00Z", "2,south,ada,32.5,2024-03-01T10:20:00Z",
            "3,north,ada,20,2024-03-01T10:00:00Z")
    }

    @Test("every aggregate does what the guide's table says")
    func aggregates() throws {
        try Scenario(shops).given(lines: Self.purchaseLines).expect(
            "shop,purchases,with_coupon,revenue,doubled,average_price,cheapest,last_at,"
                + "first_user,last_coupon,users",
            "north,3,1,21.5,43,7.166666666666667,2,2024-03-01T10:00:00Z,ada,,2",
            "south,1,0,3.25,6.5,3.25,3.25,2024-03-01T10:20:00Z,ada,,1")
    }

    @Test("variances, argMin and argMax, lists and sketches do what the guide says")
    func spread() throws {
        try Scenario(priceSpread).given(lines: Self.purchaseLines).expect(
            "shop,variance,deviation,best_customer,cheapest_at,first_users,users",
            "north,18.38888888888889,5.251983752196243,ada,2024-03-01T10:00:00Z,"
                + #""[""ada"",""bob""]",2"#,
            #"south,0,,ada,2024-03-01T10:20:00Z,"[""ada""]",1"#)
    }

    @Test("quantiles, ranked lists and whole averages do what the guide says")
    func levels() throws {
        try Scenario(priceLevels).given(lines: Self.purchaseLines).expect(
            "shop,median,p90,about_p99,largest,thriftiest,name_length",
            #"north,7,12.5,12.5,"[12.5,7]","[""ada""]",3"#,
            #"south,3.25,3.25,3.25,[3.25],"[""ada""]",3"#)
    }

    @Test("an aggregate with a condition takes only the elements for which it holds")
    func conditions() throws {
        try Scenario(priceRanks).given(lines: Self.purchaseLines).expect(
            "shop,cheap,dear,with_coupon,last_long_name", "north,1,1,12.5,", "south,1,0,0,")
    }

    @Test("an event is late once its window's end and the lateness have passed")
    func tumbling() throws {
        let late =
            #"{"event_type":"purchase","user_id":"bob","shop":"north","price":1,"#
            + #""at":"2024-03-01T09:59:00Z"}"#
        try Scenario(hourly).given(lines: Self.purchaseLines).given(late).expect(late: 1).expect(
            "window_start,window_end,shop,purchases,revenue",
            "2024-03-01T09:00:00Z,2024-03-01T10:00:00Z,north,2,19.5",
            "2024-03-01T10:00:00Z,2024-03-01T11:00:00Z,north,1,2",
            "2024-03-01T10:00:00Z,2024-03-01T11:00:00Z,south,1,3.25")
    }

    @Test(
        "months begin where the zone's calendar says so",
        .enabled(if: CalendarWindowTests.hasDatabase))
    func calendar() throws {
        let lastOfMonth =
            #"{"event_type":"purchase","user_id":"bob","shop":"north","price":1,"#
            + #""at":"2024-03-31T21:59:59Z"}"#
        try Scenario(monthly).given(lines: Self.purchaseLines).given(lastOfMonth).expect(
            "window_start,window_end,shop,revenue",
            "2024-02-29T23:00:00Z,2024-03-31T22:00:00Z,north,22.5",
            "2024-02-29T23:00:00Z,2024-03-31T22:00:00Z,south,3.25")
    }

    @Test("windows over ingestion time hold every event")
    func ingestion() throws {
        let rows = try Scenario(arrivals).given(lines: Self.purchaseLines).rows()
        #expect(rows.columns == ["window_start", "window_end", "purchases"])
    }

    @Test("an event counts in each of its windows that is still open")
    func hopping() throws {
        let late =
            #"{"event_type":"purchase","user_id":"bob","shop":"south","price":1,"#
            + #""at":"2024-03-01T09:40:00Z"}"#
        try Scenario(busyHours).given(lines: Self.purchaseLines).given(late).expect(
            "window_start,shop,user_id,purchases",
            "2024-03-01T08:30:00Z,north,ada,1",
            "2024-03-01T09:00:00Z,north,ada,1",
            "2024-03-01T09:00:00Z,north,bob,1",
            "2024-03-01T09:30:00Z,north,ada,1",
            "2024-03-01T09:30:00Z,north,bob,1",
            "2024-03-01T09:30:00Z,south,ada,1",
            "2024-03-01T09:30:00Z,south,bob,1",
            "2024-03-01T10:00:00Z,north,ada,1",
            "2024-03-01T10:00:00Z,south,ada,1")
    }

    @Test("an event out of order merges two sessions into one")
    func sessions() throws {
        // Ada's event of 10:00 comes last and closes the gap between … and 10:20.
        try Scenario(visits).given(lines: Self.purchaseLines).expect(
            "user_id,window_start,window_end,purchases,first_shop",
            "ada,2024-03-01T09:10:00Z,2024-03-01T09:40:00Z,1,north",
            "ada,2024-03-01T10:00:00Z,2024-03-01T10:50:00Z,2,south",
            "bob,2024-03-01T09:50:00Z,2024-03-01T10:20:00Z,1,north")
    }

    @Test("a view of two steps has two tables")
    func tables() throws {
        let scenario = Scenario(revenue).given(lines: Self.purchaseLines)
        try scenario.expect("shop,revenue", "north,21.5", "south,3.25")
        try scenario.expect(
            table: "revenue_by_day", "window_start,revenue", "2024-03-01T00:00:00Z,24.75")
    }

    @Test("a fold's rows come, change and go; what a handler refuses changes nothing")
    func folds() throws {
        try Scenario(accounts)
            .given(
                #"{"event_type":"account_opened","account_id":"a","owner":"ada"}"#,
                #"{"event_type":"account_opened","account_id":"b","owner":"bob"}"#,
                #"{"event_type":"money_moved","account_id":"a","amount":20.10}"#,
                #"{"event_type":"money_moved","account_id":"c","amount":1}"#,
                #"{"event_type":"account_closed","account_id":"b"}"#
            )
            .expect(dead: 1)
            .expect("account_id,owner,balance", "a,ada,20.1")
    }

    @Test("hidden state is kept and is not a column")
    func hiddenState() throws {
        // The seed gives pieces that end between two purchases of one user, so that rows are read back.
        let scenario = Scenario(activity, seed: 1).given(lines: Self.purchaseLines)
        let rows = try scenario.rows()
        #expect(rows.columns == ["user_id", "purchases", "days_active"])
        #expect(rows.csv(nil) == ["ada,3,1", "bob,1,1"])
    }

    @Test("a handler looks up and changes another table of its view")
    func lookUps() throws {
        let scenario = Scenario(namedOrders).given(
            #"{"event_type":"order_received","order_id":"1","customer_id":"c"}"#,
            #"{"event_type":"customer_named","customer_id":"c","name":"Ada"}"#,
            #"{"event_type":"order_received","order_id":"2","customer_id":"c"}"#)
        try scenario.expect("order_id,customer", "1,", "2,Ada")
        try scenario.expect(table: "customers", "customer_id,name,orders", "c,Ada,1")
    }

    @Test("an upcaster converts events of the old shape")
    func upcasters() throws {
        try Scenario(hottest)
            .given(
                #"{"event_type":"temperature","sensor":"roof","fahrenheit":212}"#,
                #"{"event_type":"temperature","sensor":"roof","celsius":20.5}"#
            )
            .expect("sensor,celsius", "roof,100")
    }
}
