// This file tests names in another style.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import KappaTesting
import Testing

@testable import KappaCore

@Suite("Which key of an event a property takes") struct FieldNameTests {
    struct OrderPlaced: Event, Equatable {
        var eventType: String?
        var amount: Int
    }

    @Test("the field with the type is exactly the one that is named")
    func dispatch() throws {
        struct Exact: Event, Equatable {
            static let eventType: String? = "web"
            static let eventTypeField = "eventType"
            var amount: Int
        }
        let lines = [
            #"{"event_type":"order_placed","eventType":"web","amount":1}"#,
            #"{"eventType":"web","event_type":"order_placed","amount":2}"#,
            #"{"eventType":"order_placed","amount":4}"#,
            #"{"event_type":"order_placed","amount":8}"#,
            #"{"event\u005ftype":"order_placed","amount":16}"#,
            #"{"event_type":"web","event_type":"order_placed","amount":32}"#,
            #"{"event_type":"order_placed","event_type":"web","amount":64}"#,
            #"{"event_type":"order_placed","eventtype":"x","EventType":"y","amount":128}"#,
        ]
        // Twice, so that all shapes are known.
        let found = try EventsBlock.read(OrderPlaced.self, lines + lines)
        for all in [found[..<8], found[8...]] {
            let taken = try all.map { try $0?.get() }
            #expect(taken.map { $0?.amount } == [1, 2, nil, 8, 16, 32, nil, 128])
            #expect(taken[0]?.eventType == "web" && taken[1]?.eventType == "web")
            // There is no field with the property's own name, so it takes the alias.
            #expect(taken[3]?.eventType == "order_placed")
        }
        let other = try EventsBlock.read(Exact.self, lines)
        #expect(try other.map { try $0?.get().amount } == [1, 2, nil, nil, nil, nil, nil, nil])
    }

    struct Pair: Event, Equatable {
        static let eventType: String? = nil
        var userID: Int?
        var user_id: Int?
        var inner: Inner?
        struct Inner: Decodable, Equatable, Sendable {
            var firstName: String?
            var first_name: String?
        }
    }

    @Test(
        "a property's own name takes precedence over its aliases, whatever their order",
        arguments: Seeds.random(8))
    func ownNames(seed: UInt64) throws {
        struct Outer: Event, Equatable {
            static let eventType: String? = nil
            var pairID: Pair.Inner?
            var pair_id: Pair.Inner?
            var userID: Int?
            var userId: Int?
            var userInfo: [String: Int]?
        }
        var random = SplitMix(state: seed)
        let inners = [
            "null", "7", "{}", #"{"firstName":"a"}"#, #"{"first_name":"b","firstName":"c"}"#,
            #"{"firstName":"d","first_name":"e"}"#, #"{"first_name":"f"}"#,
        ]
        var lines: [String] = []
        for number in 0..<120 {
            var members: [String] = []
            for key in ["pairID", "pair_id", "pairId"] where random.chance(1, in: 2) {
                members.append("\"\(key)\":\(random.pick(inners))")
            }
            for key in ["userID", "user_id", "userId", #"user\u0049D"#]
            where random.chance(1, in: 2) {
                members.append(
                    "\"\(key)\":\(random.pick(["null", "\(number)", "\(number + 1)000"]))")
            }
            for key in ["userInfo", "user_info"] where random.chance(1, in: 3) {
                members.append(
                    "\"\(key)\":\(random.pick([#"{"userID":1,"user_id":2,"userId":3}"#, "{}"]))")
            }
            members.shuffle(using: &random)
            lines.append("{\(members.joined(separator: ","))}")
        }
        lines += lines
        for checksAgain in [false, true] {
            let plan = ExtractionPlan(checksAgain: checksAgain)
            let found = try EventsBlock.read(Outer.self, lines, plan: plan)
            for (line, found) in zip(lines, found) {
                #expect(
                    found == EventsBlock.readSlowly(Outer.self, line), "seed \(seed): \(line)")
            }
        }
    }

    @Test("two views of one scan that spell a property differently each get their own")
    func twoViews() throws {
        struct Snake: Event, Equatable {
            static let eventType: String? = nil
            var user_id: Int?
            var inner: Pair.Inner?
        }
        struct Camel: Event, Equatable {
            static let eventType: String? = nil
            var userID: Int?
            var inner: [String: String]?
        }
        let lines = [
            #"{"user_id":1,"inner":{"firstName":"a"}}"#, #"{"userId":2}"#, #"{"userID":3}"#,
            #"{"userID":4,"user_id":5,"inner":{"first_name":"b"}}"#,
            #"{"user_id":6,"userID":7,"inner":{}}"#,
        ]
        let both = lines + lines
        for snakeFirst in [true, false] {
            // A plan for the fields of both types, added in one order or the other.
            func plan() throws -> ExtractionPlan {
                let plan = ExtractionPlan()
                for isSnake in [snakeFirst, !snakeFirst] {
                    if isSnake {
                        _ = try EventReader<Snake>(plan: plan, clocks: TimeZoneDatabase.clock)
                    } else {
                        _ = try EventReader<Camel>(plan: plan, clocks: TimeZoneDatabase.clock)
                    }
                }
                return plan
            }
            let snakes = try EventsBlock.read(Snake.self, both, plan: plan())
            #expect(try snakes.map { try $0?.get().user_id } == [1, 2, nil, 5, 6, 1, 2, nil, 5, 6])
            #expect(try snakes[5]?.get().inner?.firstName == "a")
            let camels = try EventsBlock.read(Camel.self, both, plan: plan())
            #expect(try camels.map { try $0?.get().userID } == [1, 2, 3, 4, 7, 1, 2, 3, 4, 7])
            #expect(try camels[5]?.get().inner == ["firstName": "a"])
            #expect(try camels[8]?.get().inner == ["first_name": "b"])
        }
    }

    @Test("a leading underscore is part of the name, and a dictionary's keys are data")
    func underscores() throws {
        struct Document: Event, Equatable {
            static let eventType: String? = nil
            var _id: Int?
            var id: Int?
            var counts: [String: Int]
        }
        let found = try EventsBlock.read(
            Document.self,
            [#"{"id":1,"counts":{"userID":1,"user_id":2,"en-US":3}}"#, #"{"_id":2,"counts":{}}"#])
        #expect(
            try found[0]?.get()
                == Document(
                    _id: nil, id: 1, counts: ["userID": 1, "user_id": 2, "en-US": 3]))
        #expect(try found[1]?.get() == Document(_id: 2, id: nil, counts: [:]))
    }

    @Test("keys are compared by their bytes, on both paths")
    func bytes() throws {
        struct Cafe: Event, Equatable {
            static let eventType: String? = nil
            var inner: [Inner]
            var name: Int?
            enum CodingKeys: String, CodingKey {
                case inner
                case name = "caf\u{E9}"
            }
            struct Inner: Decodable, Equatable, Sendable {
                var name: Int?
                enum CodingKeys: String, CodingKey { case name = "caf\u{E9}" }
            }
        }
        let found = try EventsBlock.read(
            Cafe.self,
            [
                "{\"inner\":[{\"caf\u{E9}\":1},{\"cafe\u{301}\":2}],\"cafe\u{301}\":3}",
                "{\"inner\":[],\"caf\u{E9}\":4}",
            ])
        #expect(
            try found[0]?.get() == Cafe(inner: [.init(name: 1), .init(name: nil)], name: nil))
        #expect(try found[1]?.get().name == 4)
    }
}
