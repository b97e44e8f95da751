import KappaTesting
import Testing

@testable import KappaCore

@Suite("Keys that are columns, and those that only seem to be") struct KeyColumnTests {
    struct User: Codable, Equatable, Sendable { var id: String }
    struct Order: Event, ViewRow {
        var user: User
        var price: Int
    }
    /// Its two keys would have the same name.
    struct Resold: Event, ViewRow {
        var user: User
        var userID: String
        var price: Int
    }

    @Test("a nested property is a separate key before a ranking's columns")
    func nested() throws {
        let view = View("orders") { Events(Order.self).grouped(by: \.user.id).last() }
        try Scenario(view).given(
            #"{"event_type":"order","user":{"id":"a"},"price":1}"#,
            #"{"event_type":"order","user":{"id":"b"},"price":2}"#,
            #"{"event_type":"order","user":{"id":"a"},"price":3}"#
        ).expect("user_id,price", "a,3", "b,2")
    }

    @Test("a nested property is not mistaken for one whose column has the same name")
    func alike() throws {
        let view = View("resold") { Events(Resold.self).grouped(by: \.user.id).last() }
        let error = try #require(throws: KappaError.self) {
            try ViewSet([view]).definitions(allowUndigested: true)
        }
        #expect(error.what == "table resold has two columns named user_id")
        let lines = [
            #"{"event_type":"resold","user":{"id":"a"},"user_id":"x","price":1}"#,
            #"{"event_type":"resold","user":{"id":"a"},"user_id":"y","price":2}"#,
            #"{"event_type":"resold","user":{"id":"b"},"user_id":"y","price":3}"#,
        ]
        let named = View("resold") {
            Events(Resold.self).grouped(as: "buyer") { $0.user.id }.last()
        }
        try Scenario(named).given(lines: lines)
            .expect("buyer,user_id,price", "a,y,2", "b,y,3")
        let plain = View("resold") { Events(Resold.self).grouped(by: \.userID).last() }
        try Scenario(plain).given(lines: lines).expect("user_id,price", "x,1", "y,3")
    }

    struct Best: ViewRow {
        var user: String
        var item: Int
        var most: Int
    }
    struct Sale: Event {
        var user: String
        var item: Int
        var price: Int
    }
    private static let bests = Events(Sale.self)
        .grouped(by: \.user, \.item)
        .aggregate(.max(\.price).as("most"))
        .rows(as: Best.self)
    private static let lines = [
        #"{"event_type":"sale","user":"a","item":1,"price":5}"#,
        #"{"event_type":"sale","user":"a","item":2,"price":7}"#,
    ]

    @Test("a made row's property with the key's name is the key")
    func made() throws {
        let same = View("made") { Self.bests.grouped(by: \.user).reduce { $0.suffix(1) } }
        try Scenario(same).given(lines: Self.lines)
            .expect("user,part,item,most", "a,1,2,7")
        let ranked = View("made") {
            Self.bests.grouped(by: \.user).top(1, by: .descending(\.most))
        }
        try Scenario(ranked).given(lines: Self.lines)
            .expect("user,rank_number,item,most", "a,1,2,7")
    }

    @Test("one with another value is reported, not silently dropped")
    func madeOtherwise() throws {
        let other = View("made") {
            Self.bests.grouped(by: \.user).reduce { rows in
                rows.map { Best(user: $0.user + "!", item: $0.item, most: $0.most) }
            }
        }
        let computed = View("made") {
            Self.bests.grouped(as: "item") { $0.item % 2 }.top(5, by: .ascending(\.item))
        }
        for (view, name, value) in [(other, "user", #""a!""#), (computed, "item", "2")] {
            let error = #expect(throws: KappaError.self) {
                try Scenario(view).given(lines: Self.lines).rows()
            }
            #expect(error?.what.contains("whose \(name) is not that of its group") == true)
            #expect(error?.reason?.hasPrefix("it is \(value), and") == true)
        }
    }
}
