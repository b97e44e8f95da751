import KappaTesting
import Testing

@testable import KappaCore

@Suite("Dispatch by event type") struct DispatchTests {
    struct OrderPlaced: Event {
        var orderID: String
        var cents: Int
        static let upcasters = [
            Upcaster(from: OldOrder.self) { old in
                if old.euros < 0 { throw FieldFailure(description: "negative euros") }
                return OrderPlaced(orderID: old.order, cents: old.euros * 100)
            },
            Upcaster(from: Purchase.self) { OrderPlaced(orderID: $0.id, cents: $0.cents) },
        ]
    }
    /// The same event type, before it was reshaped.
    struct OldOrder: Event {
        static let eventType: String? = "order_placed"
        var order: String
        var euros: Int
    }
    /// Another event type.
    struct Purchase: Event {
        var id: String
        var cents: Int
    }
    struct Untyped: Event {
        static let eventType: String? = nil
        var n: Int
    }
    struct Kinded: Event {
        static let eventType: String? = "kinded"
        static let eventTypeField = "kind"
        var n: Int
    }

    private func run(_ view: any AnyView, _ lines: [String]) throws -> EventsOutcome {
        let whole = try EventsWay.whole(lines.count).run(view, lines)
        var single = EventsWay(appends: lines.map { _ in 1 })
        single.forbidColumns = true
        single.restarts = 100
        let outcome = try single.run(view, lines)
        #expect(outcome.difference(from: whole) == nil)
        return whole
    }

    private static let lines = [
        #"{"n":1}"#, #"{"event_type":null,"n":2}"#, #"{"event_type":"untyped","n":4}"#,
        #"{"event_type":7,"n":8}"#, #"{"kind":"kinded","n":16}"#,
        #"{"event_type":"kinded","n":32}"#, #"{"eventType":"kinded","kind":"other","n":64}"#,
    ]

    @Test("a type without a name takes the events that carry none")
    func untyped() throws {
        let view = View("untyped") {
            Events(Untyped.self).grouped(as: "all") { _ in 0 }.aggregate(.sum(\.n).as("n"))
        }
        let outcome = try run(view, Self.lines)
        #expect(outcome.tables == [[[.integer(0), .integer(1 + 2 + 16 + 64)]]])
        #expect(outcome.counters.applied == 4)
        #expect(outcome.counters.filtered == 3)
    }

    @Test("the field with the type can have another name")
    func typeField() throws {
        let view = View("kinded") {
            Events(Kinded.self).grouped(as: "all") { _ in 0 }.aggregate(.sum(\.n).as("n"))
        }
        #expect(try run(view, Self.lines).tables == [[[.integer(0), .integer(16)]]])
    }

    @Test("old shapes are converted: of the same type and of their own type")
    func upcasters() throws {
        let view = View("orders") {
            Events(OrderPlaced.self).grouped(by: \.orderID).aggregate(.sum(\.cents).as("cents"))
        }
        let outcome = try run(
            view,
            [
                #"{"event_type":"order_placed","order_id":"a","cents":150}"#,
                #"{"event_type":"order_placed","order":"b","euros":2}"#,
                #"{"event_type":"purchase","id":"c","cents":3}"#,
                #"{"event_type":"old_order","order":"d","euros":2}"#,
                #"{"event_type":"order_placed","order":"e"}"#,
                #"{"event_type":"order_placed","order":"f","euros":-1}"#,
                #"{"event_type":"purchase","id":"g","cents":"3"}"#,
            ])
        #expect(
            outcome.tables == [
                [
                    [.text("a"), .integer(150)], [.text("b"), .integer(200)],
                    [.text("c"), .integer(3)],
                ]
            ])
        #expect(outcome.dead.map(\.offset.rawValue) == [4, 5, 6])
        #expect(
            outcome.dead.map(\.reason) == [
                "field order_id is missing", "field order_id is missing",
                "field cents is not an integer of 64 bits",
            ])
        #expect(outcome.counters.applied == 3)
        #expect(outcome.counters.filtered == 1)
        #expect(outcome.counters.dead == 3)
    }

    @Test("invalid events become dead letters with reason and event, and the others are applied")
    func poison() throws {
        let view = View("poison") {
            Events(Untyped.self).grouped(as: "all") { _ in 0 }.aggregate(.sum(\.n).as("n"))
        }
        let deep = String(repeating: "[", count: 900) + String(repeating: "]", count: 900)
        let long = String(repeating: "x", count: 3_000_000)
        let poison = [
            #"{}"#, #"{"n":null}"#, #"{"n":"1"}"#, #"{"n":1.5}"#, #"{"n":1e3}"#, #"{"n":{}}"#,
            #"{"n":\#(deep)}"#, #"{"n":9223372036854775808}"#, #"{"n":1e400}"#,
            #"{"n":1,"n":null}"#, #"{"n":"\#(long)"}"#,
        ]
        let good = [
            #"{"n":1}"#, #"{"n":-0}"#, #"{"n":"x","n":2}"#, #"{"n":4,"deep":\#(deep)}"#,
            #"{"n":8,"\u0000":"\u0000"}"#, #"{"n":16,"long":"\#(long)"}"#,
        ]
        let outcome = try run(view, poison + good)
        #expect(outcome.tables == [[[.integer(0), .integer(31)]]])
        #expect(outcome.counters.dead == UInt64(poison.count))
        #expect(outcome.counters.applied == UInt64(good.count))
        #expect(outcome.dead.map(\.event) == poison)
        #expect(outcome.dead.allSatisfy { $0.reason.hasPrefix("field n is") })
    }

    struct Visit: Event {
        static let eventType: String? = nil
        var who: Person
        var minutes: Int?
        struct Person: Decodable, Sendable {
            var name: String
            var address: Address
            struct Address: Decodable, Sendable { var city: String? }
        }
    }

    @Test("properties of nested structs are keys and inputs, on both paths")
    func nested() throws {
        let view = View("visits") {
            Events(Visit.self)
                .grouped(by: \.who.name)
                .aggregate(.count(\.who.address.city).as("cities"), .sum(\.minutes).as("minutes"))
        }
        let outcome = try run(
            view,
            [
                #"{"who":{"name":"a","address":{"city":"x"}},"minutes":1}"#,
                #"{"who":{"name":"a","address":{}},"minutes":2}"#,
                #"{"who":{"name":"a"}}"#, #"{"who":{"name":"a","address":null}}"#,
                #"{"who":{"name":"a","address":"x"}}"#, #"{"who":null}"#, #"{"minutes":1}"#,
                #"{"who":{"address":{}}}"#, #"{"who":[],"minutes":"x"}"#,
                #"{"who":{"name":"a","address":{"city":7}}}"#,
            ])
        #expect(outcome.tables == [[[.text("a"), .integer(1), .integer(3)]]])
        #expect(
            outcome.dead.map(\.reason) == [
                "field who.address is missing", "field who.address is null",
                "field who.address is not an object", "field who is null", "field who is missing",
                "field who.name is missing", "field who is not an object",
                "field who.address.city is not a string",
            ])
    }
}
