import KappaTesting
import Testing

@testable import KappaCore

@Suite("Probing of event types") struct ProbingTests {
    enum Plan: String, Decodable { case free, paid }
    enum Size: Int, Codable, CaseIterable {
        case small = 1
        case large
    }
    enum One: String, Decodable { case only }

    struct Address: Decodable {
        var city: String
        var zipCode: Int?
        var geo: Geo
        struct Geo: Decodable { var lat, lon: Double }
    }

    struct Rich: Decodable {
        var userID: String
        var isOn: Bool
        var count: Int
        var small: Int16
        var unsigned: UInt64
        var ratio: Double
        var single: Float
        var amount: ExactDecimal
        var at: Timestamp
        var plan: Plan
        var size: Size
        var one: One
        var address: Address
        var former: Address?
        var tags: [String]
        var matrix: [[Int]]?
        var scores: [String: Int]
        var byNumber: [Int: String]
        var nick: String?
        var maybePlan: Plan?
        var pathURL: String
    }

    private func shape(_ type: any Decodable.Type) throws -> [String: String] {
        let fields = try EventShape(of: type).fields
        return Dictionary(
            uniqueKeysWithValues: fields.map { field in
                let marks = (field.isOptional ? "?" : "") + (field.isPlain ? "" : "*")
                return (field.path.joined(separator: "."), field.kind.rawValue + marks)
            })
    }

    @Test("names, kinds, optionals and types that only decoding can check are found")
    func rich() throws {
        #expect(
            try shape(Rich.self) == [
                "userID": "text", "isOn": "bool", "count": "integer", "small": "integer*",
                "unsigned": "integer*", "ratio": "double", "single": "double*",
                "amount": "decimal", "at": "timestamp", "plan": "text*", "size": "integer*",
                "one": "text*", "address.city": "text", "address.zipCode": "integer?",
                "address.geo.lat": "double", "address.geo.lon": "double",
                "former.city": "text?", "former.zipCode": "integer?", "former.geo.lat": "double?",
                "former.geo.lon": "double?", "tags": "json*", "matrix": "json?*",
                "scores": "json*", "byNumber": "json*", "nick": "text?", "maybePlan": "text?*",
                "pathURL": "text",
            ])
    }

    @Test(
        "a Swift name takes snake_case, camelCase and itself",
        arguments: [
            ("userID", ["userID", "user_id", "userId"]), ("user_id", ["user_id", "userId"]),
            ("userId", ["userId", "user_id"]), ("HTTPCode", ["HTTPCode", "http_code", "httpCode"]),
            ("name", ["name"]), ("_id", ["_id"]), ("a", ["a"]),
            ("aB2C", ["aB2C", "a_b2_c", "aB2C"]),
        ])
    func names(key: String, candidates: [String]) {
        var unique: [String] = []
        for name in candidates where !unique.contains(name) { unique.append(name) }
        #expect(FieldName.candidates(for: key) == unique)
    }

    struct Renamed: Event, Equatable {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = nil
        var user: String
        var at: Int
        enum CodingKeys: String, CodingKey {
            case user = "customer-id"
            case at = "@timestamp"
        }
    }

    @Test("custom coding keys are the JSON's names")
    func codingKeys() throws {
        let found = try EventsBlock.read(Renamed.self, [#"{"customer-id":"a","@timestamp":7}"#])
        #expect(try found[0]?.get() == Renamed(user: "a", at: 7))
    }

    // MARK: Types with their own init(from:)

    struct Checked: Decodable {
        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: PathKey.self)
            let text = try values.decode(String.self, forKey: PathKey("id"))
            guard text.count == 4 else { throw FieldFailure(description: "an id has 4 digits") }
        }
    }
    final class Chain: Decodable {
        let next: Chain?
        init() { next = nil }
    }
    struct Listed: Decodable {
        init(from decoder: any Decoder) throws {
            var values = try decoder.unkeyedContainer()
            _ = try values.decode(Int.self)
        }
    }
    struct Pair: Decodable {
        var both: Inner
        struct Inner: Decodable {
            var x: Int
            init(from decoder: any Decoder) throws {
                var values = try decoder.unkeyedContainer()
                x = try values.decode(Int.self)
            }
        }
    }
    class Parent: Decodable { var a = 1 }
    final class Child: Parent {
        required init(from decoder: any Decoder) throws {
            try super.init(from: decoder.container(keyedBy: PathKey.self).superDecoder())
        }
    }

    @Test("a type that cannot be probed gives an error with advice, never a crash")
    func cannotBeLearnt() throws {
        let types: [any Decodable.Type] = [
            Checked.self, Chain.self, Listed.self, Child.self, Int.self, [Int].self,
            Never.self, String.self,
        ]
        for type in types {
            let error = try #require(throws: KappaError.self, "\(type)") {
                try EventShape(of: type)
            }
            #expect(error.code == .usage)
            #expect(error.what == "cannot learn which fields \(type) needs")
            #expect(error.reason?.isEmpty == false)
            #expect(error.advice?.contains("init(from:)") == true)
        }
    }

    /// Falls back on a default, and on another type.
    struct Lenient: Event, Equatable {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = nil
        var currency: String
        var amount: Int
        var at: Timestamp

        enum CodingKeys: CodingKey { case currency, amount, at }
        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            currency = try values.decodeIfPresent(String.self, forKey: .currency) ?? "EUR"
            amount = (try? values.decode(Int.self, forKey: .amount)) ?? -1
            at = try values.decode(Timestamp.self, forKey: .at)
        }
    }

    @Test("defaults of an init(from:) hold in aggregations, on both paths")
    func defaults() throws {
        let view = View("by_currency") {
            Events(Lenient.self, at: \.at)
                .grouped(by: \.currency)
                .aggregate(.count().as("events"), .sum(\.amount).as("amount"))
        }
        let lines = [
            #"{"currency":"USD","amount":5,"at":0}"#, #"{"amount":7,"at":0}"#,
            #"{"currency":null,"amount":"x","at":0}"#, #"{"currency":3,"amount":1,"at":0}"#,
        ]
        for forbidColumns in [false, true] {
            var way = EventsWay.whole(lines.count)
            way.forbidColumns = forbidColumns
            let outcome = try way.run(view, lines)
            #expect(
                outcome.tables[0] == [
                    [.text("EUR"), .integer(2), .integer(6)],
                    [.text("USD"), .integer(1), .integer(5)],
                ])
            #expect(outcome.dead.map(\.reason) == ["field currency is not a string"])
        }
    }

    /// The fields that it asks for depend on the values that it finds.
    struct Shifty: Event, Equatable {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = nil
        var id: String
        enum CodingKeys: CodingKey { case version, id, old }
        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            switch try values.decode(Int.self, forKey: .version) {
            case 1: id = try values.decode(String.self, forKey: .id)
            case 2: id = try values.decode(String.self, forKey: .old)
            default: id = "\(try values.decode(Int.self, forKey: .id))"
            }
        }
    }

    @Test("a type that asks for a field in two ways is decoded by its own init(from:)")
    func shifty() throws {
        let found = try EventsBlock.read(
            Shifty.self,
            [#"{"version":9,"id":7}"#, #"{"version":1,"id":7}"#, #"{"version":2,"old":"x"}"#])
        #expect(try found[0]?.get().id == "7")
        #expect(try found[2]?.get().id == "x")
        guard case .failure(let refusal)? = found[1] else {
            Issue.record("\(String(describing: found[1]))")
            return
        }
        #expect(refusal.reason == "field id is not a string")
    }
}
