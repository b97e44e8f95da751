import Foundation
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Kinds of properties") struct EventKindTests {
    typealias Value = Decodable & Hashable & Sendable

    /// A property of a type in every place where it may occur.
    struct Holder<T: Value>: Event, Equatable {
        static var eventType: String? { nil }
        var plain: T
        var maybe: T?
        var list: [T]
        var holes: [T?]?
        var map: [String: T]
        var number: Int
    }

    /// Checks that some JSON is read as the expected values, in each place.
    private func works<T: Value>(
        _ type: T.Type, _ values: [(json: String, value: T)], bad: [String] = [],
        _ sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        var lines: [String] = []
        var expected: [Holder<T>?] = []
        let all = values.map(\.json).joined(separator: ",")
        for (index, (json, value)) in values.enumerated() {
            let rest = #""list":[\#(all)],"map":{"userID":\#(json)},"number":\#(index)"#
            var holder = Holder(
                plain: value, maybe: value, list: values.map(\.value), holes: [value, nil],
                map: ["userID": value], number: index)
            let isNull = json == "null"
            if isNull { (holder.maybe, holder.holes) = (nil, [nil, nil]) }
            lines.append(#"{"plain":\#(json),"maybe":\#(json),"holes":[\#(json),null],\#(rest)}"#)
            expected.append(holder)
            (holder.maybe, holder.holes) = (nil, nil)
            lines.append(#"{"plain":\#(json),"maybe":null,\#(rest)}"#)
            lines.append(#"{\#(rest),"plain" : \#(json)}"#)
            expected += [holder, holder]
        }
        for json in bad {
            lines.append(#"{"plain":\#(json),"list":[],"map":{},"number":1}"#)
            expected.append(nil)
        }
        lines.append(#"{"list":[],"map":{},"number":1}"#)
        expected.append(nil)
        for (line, (found, expected)) in zip(
            lines + lines,
            zip(try EventsBlock.read(Holder<T>.self, lines + lines), expected + expected))
        {
            #expect(
                (try? found?.get()) == expected, "\(line): \(String(describing: found))",
                sourceLocation: sourceLocation)
            let slow = EventsBlock.readSlowly(Holder<T>.self, line)
            #expect(found == slow, "\(line)", sourceLocation: sourceLocation)
        }
    }

    struct One<T: Value>: Event { var value: T }
    struct Many<T: Value>: Event { var value: [T] }
    struct Mapped<T: Value>: Event { var value: [String: [T]] }
    struct Maybe<T: Value>: Event { var value: T? }
    struct Deep<T: Value>: Event {
        var value: [Inner]
        struct Inner: Decodable, Sendable { var inner: T? }
    }

    /// Checks that a type is refused when a view is defined, with its name and what to use instead.
    private func refused<T: Value>(
        _ type: T.Type, _ words: [String], _ sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let types: [any Event.Type] = [
            One<T>.self, Many<T>.self, Mapped<T>.self, Maybe<T>.self, Deep<T>.self, Holder<T>.self,
        ]
        for type in types {
            let error = #expect(
                throws: KappaError.self, "\(type)", sourceLocation: sourceLocation
            ) {
                try EventShape(ofEvent: type)
            }
            let text = String(describing: error)
            for word in words {
                #expect(text.contains(word), "\(type): \(text)", sourceLocation: sourceLocation)
            }
        }
    }

    @Test("unions of kinds are decoded by their type, whatever the JSON is")
    func unions() throws {
        try works(
            Kinds.NumberOrText.self,
            [("1", .number(1)), (#""x""#, .text("x")), ("-7", .number(-7))],
            bad: ["null", "1.5", "true", "{}"])
        try works(
            Kinds.Anything.self,
            [
                ("null", .null), ("true", .bool(true)), ("1.5", .number(1.5)),
                (#""x""#, .text("x")),
                ("[1,[]]", .list([.number(1), .list([])])),
                (#"{"a_b":{"aB":null}}"#, .object(["a_b": .object(["aB": .null])])),
            ])
        try works(
            Kinds.Named.self,
            [(#""a""#, .init(name: "a")), (#"{"name":"b","size":2}"#, .init(name: "b", size: 2))],
            bad: ["1", "null", "[]", #"{"size":1}"#])
        try works(
            Kinds.OneOrMany.self,
            [("1", .init([1])), ("[1,2]", .init([1, 2])), ("[]", .init([]))],
            bad: [#""x""#, "null"])
        try works(
            Kinds.Lenient.self,
            [("1", .init(1)), (#""x""#, .init(-1)), ("null", .init(-1)), ("{}", .init(-1))])
    }

    @Test("types of one value that accept only some values")
    func single() throws {
        try works(
            UUID.self,
            [
                (
                    #""f81d4fae-7dec-11d0-a765-00a0c91e6bf6""#,
                    try #require(UUID(uuidString: "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"))
                )
            ], bad: [#""x""#, "1", "null"])
        try works(Kinds.Email.self, [(#""a@b""#, .init(rawValue: "a@b"))], bad: ["1", "null"])
        try works(Kinds.Currency.self, [(#""EUR""#, .init("EUR"))], bad: [#""eur""#, "null"])
        try works(Kinds.Picky.self, [(#""SKU-1""#, .init("SKU-1"))], bad: [#""eur""#, "null"])
        try works(Kinds.Level.self, [(#""low""#, .low), (#""high""#, .high)], bad: [#""x""#, "1"])
        try works(Kinds.Code.self, [("1", .one), ("2", .two)], bad: ["3", #""1""#, "null"])
        try works(
            Kinds.When.self,
            [(#""2024-03-01T09:10:00Z""#, .init(Timestamp(microseconds: 1_709_284_200_000_000)))],
            bad: ["1", #""x""#])
        try works(Kinds.Trims.self, [(#"{"text":" a "}"#, .init(text: "a"))], bad: ["1", "{}"])
    }

    @Test("objects and lists with their own init(from:)")
    func nested() throws {
        try works(Kinds.Point.self, [("[1,2.5]", .init(1, 2.5))], bad: ["[1]", "{}", "1", "null"])
        try works(
            Kinds.Payment.self,
            [
                (#"{"card":{"number":"4","year":2030}}"#, .card(number: "4", year: 2030)),
                (#"{"cash":{}}"#, .cash), (#"{"voucher":{"_0":"x"}}"#, .voucher("x")),
            ], bad: ["{}", #"{"other":{}}"#, "1", "null"])
        try works(Set<Int>.self, [("[1,2,1]", [1, 2])], bad: [#"["x"]"#, "1"])
        try works([[Int]].self, [("[[1],[]]", [[1], []])], bad: ["[1]"])
        try works(Kinds.Box<[Int]>.self, [(#"{"value":[1]}"#, .init(value: [1]))])
        try works(Kinds.Box<Kinds.Level>.self, [(#"{"value":"low"}"#, .init(value: .low))])
        try works(Kinds.Shared.self, [(#"{"name":"a"}"#, .init("a"))], bad: ["{}"])
        try works(
            Kinds.Tree.self,
            [
                (
                    #"{"name":"a","children":[{"name":"b","children":[]}]}"#,
                    .init(name: "a", children: [.init(name: "b", children: [])])
                )
            ])
    }

    @Test("dictionaries take objects, whatever their keys are made of")
    func dictionaries() throws {
        try works(
            [String: Int].self, [(#"{"userID":1,"user_id":2}"#, ["userID": 1, "user_id": 2])],
            bad: ["[]", "1", #"{"a":"x"}"#])
        try works([Int: String].self, [(#"{"1":"a","-7":"b"}"#, [1: "a", -7: "b"])])
        try works([UInt8: String].self, [(#"{"1":"a"}"#, [1: "a"])], bad: [#"{"300":"a"}"#])
        try works([Kinds.Level: Int].self, [(#"{"low":1}"#, [.low: 1])], bad: [#"{"x":1}"#])
        try works([Kinds.Code: Int].self, [(#"{"1":1,"2":2}"#, [.one: 1, .two: 2])])
        try works([Kinds.Represented: Int].self, [(#"{"a":1}"#, [.a: 1])], bad: [#"{"x":1}"#])
        try works([Kinds.Email: Int].self, [(#"{"a":1}"#, [Kinds.Email(rawValue: "a"): 1])])
    }

    @Test("integers of every width, up to their bounds")
    func integers() throws {
        try works(
            UInt64.self,
            [("18446744073709551615", .max), ("0", 0), ("9223372036854775808", 1 << 63)],
            bad: ["-1", "18446744073709551616", "1.5", #""1""#])
        try works(UInt.self, [("18446744073709551615", .max)], bad: ["-1"])
        try works(
            Int128.self,
            [("170141183460469231731687303715884105727", .max), ("-1", -1)], bad: ["1e3", "null"])
        try works(UInt128.self, [("340282366920938463463374607431768211455", .max)], bad: ["-1"])
        try works(Int8.self, [("-128", -128), ("127", 127)], bad: ["128", "1.0"])
        try works(Int.self, [("9223372036854775807", .max)], bad: ["9223372036854775808"])
    }

    @Test("Foundation's types that decode from something else are refused by name")
    func foundation() {
        refused(Date.self, ["Date", "Timestamp", "@Seconds"])
        refused(Foundation.Decimal.self, ["Decimal", "ExactDecimal"])
        refused(Data.self, ["Data", "String"])
        refused(URL.self, ["URL", "String"])
    }

    /// A struct that reads one key in two ways, and one whose requests depend on what it finds.
    struct Versions: Event, Equatable {
        static let eventType: String? = nil
        var amount: Int
        var name: String
        enum CodingKeys: CodingKey { case amount, v1, v2 }
        init(amount: Int, name: String) { (self.amount, self.name) = (amount, name) }
        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            if let number = try? values.decode(Int.self, forKey: .amount) {
                amount = number
            } else {
                let text = try values.decode(String.self, forKey: .amount)
                guard let number = Int(text) else { throw FieldFailure(description: "no number") }
                amount = number
            }
            name =
                values.contains(.v2)
                ? try values.decode(String.self, forKey: .v2)
                : "old \(try values.decode(Int.self, forKey: .v1))"
        }
    }

    @Test("a struct with its own init(from:) is decoded by it, on every event")
    func ownInit() throws {
        let lines = [
            #"{"amount":1,"v2":"a"}"#, #"{"amount":"2","v2":"b"}"#, #"{"amount":"x","v2":"c"}"#,
            #"{"amount":4,"v1":5}"#, #"{"amount":"6","v1":7}"#, #"{"amount":8}"#,
        ]
        let found = try EventsBlock.read(Versions.self, lines + lines)
        let expected: [Versions?] = [
            .init(amount: 1, name: "a"), .init(amount: 2, name: "b"), nil,
            .init(amount: 4, name: "old 5"), .init(amount: 6, name: "old 7"), nil,
        ]
        #expect(found.map { try? $0?.get() } == expected + expected)
        for (line, found) in zip(lines, found) {
            #expect(found == EventsBlock.readSlowly(Versions.self, line))
        }
    }

    @Test("unions and wide integers as keys and in aggregates, in a view")
    func view() throws {
        struct Sale: Event {
            static let eventType: String? = nil
            var id: UInt64
            var amount: Kinds.NumberOrText
        }
        let view = View("sales") {
            Events(Sale.self)
                .grouped(as: "id") { "\($0.id)" }
                .aggregate(
                    .sum { sale in
                        switch sale.amount {
                        case .number(let number): number
                        case .text(let text): Int(text)
                        }
                    }.as("amount"))
        }
        let lines = [
            #"{"id":18446744073709551615,"amount":1}"#,
            #"{"id":18446744073709551615,"amount":"2"}"#,
            #"{"id":1,"amount":"x"}"#, #"{"id":-1,"amount":1}"#,
        ]
        for forbidColumns in [false, true] {
            var way = EventsWay.whole(lines.count)
            way.forbidColumns = forbidColumns
            let outcome = try way.run(view, lines)
            #expect(
                outcome.tables[0] == [
                    [.text("1"), .integer(0)], [.text("18446744073709551615"), .integer(3)],
                ])
            #expect(outcome.dead.count == 1)
        }
    }
}
