import KappaTesting
import Testing

@testable import KappaCore

/// Views over events as real systems write them: each view takes a few plain lines.
@Suite("Events of real systems") struct OddEventTests {
    private func lines(_ name: String) throws -> [String] {
        try EventsShared.run("cat '\(EventsShared.folder)/data/odd/\(name).ndjson'")
            .split(separator: "\n").map(String.init)
    }

    // MARK: The files beside the package

    struct Call: Event {
        static let eventType: String? = nil
        var eventSource: String
        var eventName: String
        var eventType: String
        var eventTime: Timestamp
    }

    static let calls = View("calls") {
        Events(Call.self, at: \.eventTime)
            .grouped(by: \.eventSource, \.eventName)
            .aggregate(.count().as("calls"), .countDistinct(\.eventType).as("types"))
    }

    @Test("CloudTrail has a field eventType and no event_type: every line counts")
    func cloudTrail() throws {
        let line = { (name: String, type: String) in
            #"{"eventVersion":"1.08","eventTime":"2023-10-27T10:00:00Z","eventSource":"s3","#
                + #""eventName":"\#(name)","requestParameters":null,"eventType":"\#(type)"}"#
        }
        let outcome = try EventsWay.both(
            Self.calls, [line("Get", "AwsApiCall"), line("Get", "x"), line("Put", "call")])
        #expect(outcome.rows() == ["s3 Get 2 2", "s3 Put 1 1"])
    }

    @Test(
        "all of CloudTrail's lines count, by source and name",
        .enabled(if: EventsShared.isThere, EventsShared.reason))
    func cloudTrailFile() throws {
        let lines = try lines("cloudtrail")
        let outcome = try EventsWay.both(Self.calls, lines)
        #expect(outcome.counters.applied == UInt64(lines.count))
        var expected: [String: Int] = [:]
        for line in lines {
            let event = try JSONValue(parsing: line)
            guard case .string(let source)? = event["eventSource"],
                case .string(let name)? = event["eventName"]
            else { continue }
            expected["\(source) \(name)", default: 0] += 1
        }
        let found = outcome.tables[0].map { row in
            ("\(row[0].plainText) \(row[1].plainText)", row[2].plainText)
        }
        #expect(found.count == expected.count)
        for (key, count) in found { #expect(expected[key].map { "\($0)" } == count, "\(key)") }
    }

    struct Webhook: Event {
        static let eventType: String? = "invoice.paid"
        static let eventTypeField = "type"
        @Seconds var created: Timestamp
        var data: Content
        struct Content: Decodable, Sendable {
            var object: Object
            struct Object: Decodable, Sendable {
                var amountPaid: Int
                var currency: String
            }
        }
    }

    static let paid = View("paid") {
        Events(Webhook.self, at: \.created)
            .window(.monthly(in: "UTC"))
            .grouped(by: \.data.object.currency)
            .aggregate(.sum(\.data.object.amountPaid).as("paid"), .count().as("invoices"))
    }

    @Test(
        "Stripe's webhooks by month and currency",
        .enabled(if: EventsShared.isThere, EventsShared.reason))
    func stripe() throws {
        let lines = try lines("stripe")
        let outcome = try EventsWay.both(Self.paid, lines)
        #expect(outcome.dead.isEmpty && outcome.counters.applied == UInt64(lines.count))
        let found = outcome.rows()
        #expect(found.allSatisfy { $0.contains("2023-0") }, "\(found)")
        // 29 March to 7 April: three days in March.
        #expect(
            found.map { $0.split(separator: " ").suffix(3).joined(separator: " ") } == [
                "eur 2002 2", "usd 1001 1", "eur 3018 3", "usd 4024 4",
            ], "\(found)")
    }

    @Test("a number of seconds without a unit is dead, and says what to do")
    func withoutUnit() throws {
        struct Wrong: Event {
            static let eventType: String? = nil
            var created: Timestamp
        }
        let view = View("wrong") {
            Events(Wrong.self, at: \.created).window(.tumbling(.days(1))).aggregate(
                .count().as("n"))
        }
        let outcome = try EventsWay.both(view, [#"{"created":1705340983}"#])
        #expect(outcome.tables[0].isEmpty)
        #expect(
            outcome.dead.map(\.reason) == [
                "field created would be 1970-01-20T17:42:20.983Z if its number counted milliseconds "
                    + "or microseconds since 1970. If it counts seconds, declare the property "
                    + "@Seconds; if times before 1990 are right, say so with "
                    + "`static let allowsTimesBefore1990 = true`"
            ])
    }

    struct Order: Codable, Equatable, Sendable {
        var id: Int
        var status: String?
        var total: ExactDecimal?
    }
    /// A change of a row, as Debezium writes it.
    struct Change: Event {
        static let eventType: String? = nil
        var op: String
        var before: Order?
        var after: Order?
        /// Of the deleted row, or of the current one.
        var id: Int
        enum CodingKeys: CodingKey { case op, before, after }
        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            op = try values.decode(String.self, forKey: .op)
            before = try values.decodeIfPresent(Order.self, forKey: .before)
            after = try values.decodeIfPresent(Order.self, forKey: .after)
            id = before?.id ?? after?.id ?? 0
        }
    }
    struct Envelope: Event {
        static let eventType: String? = nil
        var payload: Change
    }

    private static let orders = Table("orders", key: Int.self, row: Order.self)

    private static func apply(_ change: Change, _ tables: Tables) throws {
        if let old = change.before, old.id != change.after?.id {
            try tables.set(orders, old.id, to: nil)
        }
        if let new = change.after { try tables.set(orders, new.id, to: new) }
    }

    struct Last: Codable, Equatable, Sendable { var op: String }

    static let changes = View("shop", row: Last.self) {
        orders.on(Change.self, key: \.id) { _, _ in }
        On(Change.self, key: \.op) { change, row, tables in
            row = Last(op: change.op)
            try apply(change, tables)
        }
    }
    static let envelopes = View("shop", row: Last.self) {
        orders.on(Envelope.self, key: \.payload.id) { _, _ in }
        On(Envelope.self, key: \.payload.op) { event, row, tables in
            row = Last(op: event.payload.op)
            try apply(event.payload, tables)
        }
    }

    @Test(
        "Debezium's changes make the table, with the envelope and without it",
        .enabled(if: EventsShared.isThere, EventsShared.reason))
    func debezium() throws {
        for (view, name) in [(Self.changes, "debezium"), (Self.envelopes, "debezium-envelope")] {
            let outcome = try EventsWay.both(view, try lines(name))
            let table = outcome.tables.firstIndex { $0.first?.count == 3 } ?? 1
            #expect(
                outcome.rows(table).map {
                    $0.split(separator: " ").suffix(3).joined(separator: " ")
                }
                    == ["1 shipped 10.5", "9 x 1", "30 moved 3"], "\(name)")
            // A decimal as base64 of its bytes is not read as a decimal.
            #expect(outcome.dead.map(\.reason).allSatisfy { $0.contains("total is not a decimal") })
            #expect(outcome.dead.count == 1)
        }
    }

    @Test(
        "a tombstone is not an event: append refuses it with its line",
        .enabled(if: EventsShared.isThere, EventsShared.reason))
    func tombstone() throws {
        let text = try lines("debezium-tombstone").joined(separator: "\n")
        let error = #expect(throws: KappaError.self) {
            try Array(text.utf8).withUnsafeBytes { _ = try EventLines($0) }
        }
        #expect(error?.place == "line 2, column 1")
    }

    @Test(
        "every spelling in times.ndjson is accepted or refused as expected",
        .enabled(if: EventsShared.isThere, EventsShared.reason))
    func times() throws {
        struct Tick: Event, Equatable {
            var k: String
            var at: Timestamp
        }
        let lines = try lines("times")
        let found = try EventsBlock.read(Tick.self, lines)
        for (line, found) in zip(lines, found) {
            let spelling = EventTimeTests.spellings.first { line.hasSuffix(": \($0.text)}") }
            let expected = try #require(spelling, "\(line)").time
            #expect((try? found?.get())?.at.description == expected, "\(line)")
            #expect(found == EventsBlock.readSlowly(Tick.self, line))
        }
    }
}
