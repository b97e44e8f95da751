import KappaTesting
import Testing

@testable import KappaCore

@Suite("Times as events spell them") struct EventTimeTests {
    struct Tick: Event, Equatable {
        static let eventType: String? = "tick"
        var at: Timestamp
    }
    struct Berlin: Event, Equatable {
        static let eventType: String? = "tick"
        static let localTimeZone: String? = "Europe/Berlin"
        var at: Timestamp
    }
    struct Old: Event, Equatable {
        static let eventType: String? = "tick"
        static let allowsTimesBefore1990 = true
        var at: Timestamp
    }
    struct InSeconds: Event, Equatable {
        static let eventType: String? = "tick"
        @Seconds var at: Timestamp
    }

    /// A spelling, and the result: a time, or a part of the reason why it is not a time.
    static let spellings: [(text: String, time: String?, reason: String)] = [
        (#""2024-03-01T09:10:00Z""#, "2024-03-01T09:10:00Z", ""),
        (#""2024-03-01T09:10:00+05:30""#, "2024-03-01T03:40:00Z", ""),
        (#""2024-03-01T09:10:00-03:30""#, "2024-03-01T12:40:00Z", ""),
        ("1709284200000", "2024-03-01T09:10:00Z", ""),
        ("1709284200000000", "2024-03-01T09:10:00Z", ""),
        ("1709284200", nil, "would be 1970-01-20T18:48:04.2Z"),
        ("1709284200000000000", nil, "@Nanoseconds"),
        ("1709284200.5", nil, "declare the property @Seconds"),
        (#""1709284200000""#, nil, "a number in a text"),
        (#""2024-03-01T09:10:00""#, nil, "a time without a zone"),
        (#""2024-03-01T09:10:00.123""#, nil, "a time without a zone"),
        (#""2024-03-01 09:10:00Z""#, "2024-03-01T09:10:00Z", ""),
        (#""2024-03-01 09:10:00 UTC""#, nil, "is not a time"),
        (#""20240301T091000Z""#, nil, "is not a time"),
        (#""2024-03-01""#, nil, "is not a time"),
        (#""2024-03-01T09:10:00+0000""#, "2024-03-01T09:10:00Z", ""),
        (#""2024-03-01T09:10:00+00""#, "2024-03-01T09:10:00Z", ""),
        (#""2024-03-01T09:10:00,5Z""#, "2024-03-01T09:10:00.5Z", ""),
        (#""2024-03-01T09:10:00.123456789Z""#, "2024-03-01T09:10:00.123456Z", ""),
        (#""2016-12-31T23:59:60Z""#, "2017-01-01T00:00:00Z", ""),
        (#""2023-02-29T00:00:00Z""#, nil, "is not a time"),
        (#""2024-03-01T24:00:00Z""#, nil, "is not a time"),
        (#""Fri, 01 Mar 2024 09:10:00 GMT""#, nil, "is not a time"),
        ("-1", nil, "would be 1969-12-31T23:59:59.999Z"),
        ("0", nil, "would be 1970-01-01T00:00:00Z"),
        (#""0000-01-01T00:00:00Z""#, "0000-01-01T00:00:00Z", ""),
        (#""9999-12-31T23:59:59.999999Z""#, "9999-12-31T23:59:59.999999Z", ""),
        (#""9999-12-31T23:59:59-01:00""#, nil, "beyond the years"),
        (#""9999-12-31T23:59:60Z""#, nil, "beyond the years"),
        (#""0000-01-01T00:00:00+01:00""#, nil, "beyond the years"),
        (#""1e12""#, nil, "a number in a text"),
        ("1000000000000.0", "2001-09-09T01:46:40Z", ""),
        (#""2024-03-01t09:10:00z""#, "2024-03-01T09:10:00Z", ""),
        (#""2024-03-01T09:10:00-00:00""#, "2024-03-01T09:10:00Z", ""),
        (#""2024-03-01T09:10:00+23:59""#, "2024-02-29T09:11:00Z", ""),
        (#""2024-03-01T09:10:00+01:00[Europe/Berlin]""#, "2024-03-01T08:10:00Z", ""),
        ("50000000000000", "3554-06-09T16:53:20Z", ""),
        ("9223372036854775807", nil, "beyond the years"),
        ("631152000000", "1990-01-01T00:00:00Z", ""),
        ("631151999999", nil, "would be 1989-12-31T23:59:59.999Z"),
        ("631152000000000", "1990-01-01T00:00:00Z", ""),
        ("99999999999999", "5138-11-16T09:46:39.999Z", ""),
        ("253402300799000", nil, "would be 1978-01-11T21:31:40.799Z"),
        ("1709284200000.5", "2024-03-01T09:10:00.0005Z", ""),
        ("1.7092842e12", "2024-03-01T09:10:00Z", ""),
        (#""""#, nil, "is not a time"), ("true", nil, "is not a time"),
        ("{}", nil, "is not a time"),
        ("1e400", nil, "beyond the years"), ("1e-400", nil, "would be 1970"),
        (#""1989-12-31T23:59:59Z""#, "1989-12-31T23:59:59Z", ""),
        (#""2024-03-01T09:10:00\u002b01:00""#, "2024-03-01T08:10:00Z", ""),
        (#""2024-03-01T09:10""#, nil, "is not a time"),
    ]

    /// The result of each way to read some lines; all must be equal.
    private func read<E: Event & Equatable>(
        _ type: E.Type, _ texts: [String], _ sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> [Result<E, EventsBlock.Refusal>] {
        let lines = texts.map { #"{"event_type":"tick","at":\#($0)}"# }
        // Twice, so that the shape is known.
        let fast = try EventsBlock.read(E.self, lines + lines)
        let slow = lines.map { EventsBlock.readSlowly(E.self, $0) }
        for (index, found) in fast.enumerated() {
            #expect(
                found == slow[index % lines.count], "\(texts[index % lines.count])",
                sourceLocation: sourceLocation)
        }
        return slow
    }

    @Test("each spelling is read as its instant, or is dead with the reason")
    func table() throws {
        for (spelling, found) in zip(
            Self.spellings, try read(Tick.self, Self.spellings.map(\.text)))
        {
            switch found {
            case .success(let tick):
                #expect(tick.at.description == spelling.time, "\(spelling.text)")
            case .failure(let refusal):
                #expect(
                    spelling.time == nil && refusal.reason.contains(spelling.reason),
                    "\(spelling.text): \(refusal.reason)")
            }
        }
    }

    @Test("with a unit, numbers and numbers in texts are read in that unit, in any year")
    func units() throws {
        let times = [
            "1709284200", "1709284200.5", #""1709284200""#, #""1709284200.25""#, "0", "-1", "-0.5",
            "1.7092842e9", "253402300799.999999", "-62167219200", "1709284200.0000019",
            "-0.0000001", #""2024-03-01T09:10:00Z""#,
        ]
        let found = try read(InSeconds.self, times).map { try $0.get().at.description }
        #expect(
            found == [
                "2024-03-01T09:10:00Z", "2024-03-01T09:10:00.5Z", "2024-03-01T09:10:00Z",
                "2024-03-01T09:10:00.25Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z",
                "1969-12-31T23:59:59.5Z", "2024-03-01T09:10:00Z", "9999-12-31T23:59:59.999999Z",
                "0000-01-01T00:00:00Z", "2024-03-01T09:10:00.000001Z",
                "1969-12-31T23:59:59.999999Z", "2024-03-01T09:10:00Z",
            ])
        let bad = try read(
            InSeconds.self,
            [
                "1709284200000", "253402300800", "-62167219200.5", #""""#, #"" 1""#, #""1 ""#,
                "1e400",
                #""+1""#, #""0x1""#, #""01""#, #""1.""#, "[]", "true", #""NaN""#,
            ])
        for result in bad { #expect(throws: EventsBlock.Refusal.self) { try result.get() } }
    }

    @Test("early times are accepted if the event type allows them")
    func early() throws {
        let found = try read(Old.self, ["0", "-1000", "1709284200", "631151999999"])
        #expect(
            try found.map { try $0.get().at.microseconds } == [
                0, -1_000_000, 1_709_284_200_000, 631_151_999_999_000,
            ])
    }

    @Test("times without a zone are in the zone that the event type names")
    func zones() throws {
        let found = try read(
            Berlin.self,
            [
                #""2024-03-01T09:10:00""#, #""2024-07-01 09:10:00.5""#, #""2024-07-01T09:10:00Z""#,
                // On this night clocks go from 2 to 3; on the last one, back from 3 to 2.
                #""2024-03-31T01:59:59""#, #""2024-03-31T02:00:00""#, #""2024-03-31T02:30:00.5""#,
                #""2024-03-31T03:00:00""#, #""2024-10-27T02:30:00""#, #""2024-10-27T03:00:00""#,
                "1709284200000",
            ])
        #expect(
            try found.map { try $0.get().at.description } == [
                "2024-03-01T08:10:00Z", "2024-07-01T07:10:00.5Z", "2024-07-01T09:10:00Z",
                "2024-03-31T00:59:59Z", "2024-03-31T01:00:00Z", "2024-03-31T01:00:00Z",
                "2024-03-31T01:00:00Z", "2024-10-27T00:30:00Z", "2024-10-27T02:00:00Z",
                "2024-03-01T09:10:00Z",
            ])
        struct Nowhere: Event {
            static let localTimeZone: String? = "Mars/Base"
            var at: Timestamp
        }
        let error = #expect(throws: KappaError.self) {
            try EventReader<Nowhere>(plan: ExtractionPlan(), clocks: TimeZoneDatabase.clock)
        }
        #expect("\(String(describing: error))".contains("Mars/Base"))
    }
}

@Suite("Times with a unit") struct TimeUnitTests {
    struct Payment: Event, Codable, Equatable {
        static let eventType: String? = "payment"
        var id: String
        @Seconds var created: Timestamp
        @Milliseconds var seen: Timestamp
        @Microseconds var logged: Timestamp?
        @Nanoseconds var traced: Timestamp
        var data: Inner
        var history: [Inner]
        @Seconds var closed: Timestamp?
        struct Inner: Codable, Equatable, Sendable {
            @Seconds var at: Timestamp
            @Milliseconds var until: Timestamp?
        }
    }
    /// Without lists, so that it is made only of columns.
    struct Plain: Event, Codable, Equatable {
        static let eventType: String? = nil
        var id: String
        @Seconds var created: Timestamp
        var amount: Int
        @Seconds var closed: Timestamp?
        var data: Payment.Inner
        var latest: Timestamp {
            get { max(created, data.at) }
            set { created = newValue }
        }
    }

    private static func time(_ random: inout SplitMix) -> Timestamp {
        Timestamp(
            microseconds: random.pick([
                0, -1, 1_709_284_200_000_000, 1_709_284_200_500_000, 253_402_300_799_999_999,
                -62_167_219_200_000_000,
                Int64.random(in: 0..<2_000_000_000_000_000, using: &random),
            ]))
    }

    @Test(
        "what is appended as a struct is read back equal, on every path",
        arguments: Seeds.random(6))
    func roundTrip(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        for _ in 0..<50 {
            let inner = Payment.Inner(at: Self.time(&random), until: Self.time(&random))
            let payment = Payment(
                id: "a", created: Self.time(&random), seen: Self.time(&random),
                logged: random.pick([nil, Self.time(&random)]), traced: Self.time(&random),
                data: inner, history: [inner, .init(at: Self.time(&random), until: nil)],
                closed: random.pick([nil, Self.time(&random)]))
            let line = try Kappa.json(of: payment)
            let found = try EventsBlock.read(Payment.self, [line])
            #expect(try found[0]?.get() == payment, "seed \(seed): \(line)")
            #expect(try EventsBlock.readSlowly(Payment.self, line).get() == payment)
        }
    }

    @Test("a unit's number is written as people write it")
    func written() throws {
        let half = Timestamp(microseconds: 1_709_284_200_500_000)
        let payment = Payment(
            id: "a", created: half, seen: half, logged: half, traced: half,
            data: .init(at: half + .milliseconds(500), until: nil), history: [], closed: nil)
        let line = try Kappa.json(of: payment)
        for part in [
            #""created":1709284200.5"#, #""seen":1709284200500"#, #""logged":1709284200500000"#,
            #""traced":1709284200500000000"#, #""at":1709284201"#,
        ] {
            #expect(line.contains(part), "\(line)")
        }
    }

    @Test("its column is read without a struct: as event time, key and input")
    func columns() throws {
        let plan = ExtractionPlan()
        let reader = try TypedEventReader<Plain>(plan: plan, time: .property(\.created))
        #expect(reader.isColumnar)
        #expect(reader.field(of: \Plain.created) != nil)
        #expect(reader.field(of: \Plain.closed) != nil)
        #expect(reader.field(of: \Plain.data.at) != nil)
        #expect(reader.field(of: \Plain.created) != reader.field(of: \Plain.data.at))
        // Computed, even though it looks like one of them.
        #expect(reader.field(of: \Plain.latest) == nil)
    }

    @Test("a key of such a time has its property's name")
    func named() throws {
        let view = View("created") {
            Events(Plain.self).grouped(by: \.created).aggregate(.count().as("n"))
        }
        let definition = try #require(ViewSet([view]).definitions(allowUndigested: true).first)
        #expect(definition.tables[0].columns.map(\.name) == ["created", "n"])
    }

    @Test("windows, keys and aggregates take it, on both paths")
    func views() throws {
        let view = View("payments") {
            Events(Plain.self, at: \.created)
                .window(.tumbling(.days(1)))
                .grouped(by: \.data.at)
                .aggregate(
                    .count().as("n"), .max(\.created).as("last"), .min(\.closed).as("closed"),
                    .max(\.latest).as("latest"), .sum(\.amount).as("amount"))
        }
        let lines = (0..<6).map { number in
            #"{"id":"a","created":\#(1_709_284_200 + number * 20_000).5,"amount":1,"#
                + (number % 2 == 0 ? "" : #""closed":"\#(number)","#) + #""data":{"at":1}}"#
        }
        let whole = try EventsWay.whole(lines.count).run(
            view, lines + [#"{"created":"x"}"#].prefix(0))
        var slow = EventsWay(appends: lines.map { _ in 1 })
        slow.forbidColumns = true
        #expect(try slow.run(view, lines).difference(from: whole) == nil)
        let rows = whole.tables[0].map { $0.map(\.jsonText).joined(separator: " ") }
        #expect(
            rows == [
                #""2024-03-01T00:00:00Z" "2024-03-02T00:00:00Z" "1970-01-01T00:00:01Z" 3 "#
                    + #""2024-03-01T20:16:40.5Z" "1970-01-01T00:00:01Z" "2024-03-01T20:16:40.5Z" 3"#,
                #""2024-03-02T00:00:00Z" "2024-03-03T00:00:00Z" "1970-01-01T00:00:01Z" 3 "#
                    + #""2024-03-02T12:56:40.5Z" "1970-01-01T00:00:03Z" "2024-03-02T12:56:40.5Z" 3"#,
            ])
    }

    @Test("times with units are times like any other in a row")
    func rows() throws {
        struct Entry: Event, ViewRow {
            static let eventType: String? = nil
            var id: String
            @Seconds var created: Timestamp
            var tags: [String]
        }
        let view = View("entries") { Events(Entry.self).rows() }
        let lines = [#"{"id":"a","created":1709284200.5,"tags":["x"]}"#]
        let outcome = try EventsWay.whole(1).run(view, lines)
        #expect(outcome.dead.isEmpty)
        let created = Value.timestamp(Timestamp(microseconds: 1_709_284_200_500_000))
        #expect(outcome.tables[0].first?.contains(created) == true)
    }
}
