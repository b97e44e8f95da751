import KappaTesting
import Testing

@testable import KappaCore

/// Events as OpenTelemetry, GitHub Archive, journald and others write them.
@Suite("Shapes of other systems") struct OddShapeTests {
    @Test("journald: keys in upper case, and microseconds as a text")
    func journald() throws {
        struct Entry: Event {
            static let eventType: String? = nil
            @Microseconds var time: Timestamp
            var unit: String
            var priority: String
            enum CodingKeys: String, CodingKey {
                case time = "__REALTIME_TIMESTAMP"
                case unit = "_SYSTEMD_UNIT"
                case priority = "PRIORITY"
            }
        }
        let view = View("journal") {
            Events(Entry.self, at: \.time)
                .window(.tumbling(.hours(1)))
                .grouped(by: \.unit)
                .aggregate(.count().as("entries"), .max(\.time).as("last"))
        }
        let line = { (micros: Int) in
            #"{"__REALTIME_TIMESTAMP":"\#(micros)","_SYSTEMD_UNIT":"ssh.service","PRIORITY":"6"}"#
        }
        let outcome = try EventsWay.both(
            view, [line(1_709_284_200_123_456), line(1_709_284_201_000_000)])
        #expect(
            outcome.rows() == [
                "2024-03-01T09:00:00Z 2024-03-01T10:00:00Z ssh.service 2 2024-03-01T09:10:01Z"
            ])
    }

    @Test("Elastic Common Schema: dotted keys, @timestamp, and nested objects of the same names")
    func elastic() throws {
        struct Log: Event {
            static let eventType: String? = nil
            var time: Timestamp
            var level: String
            var host: String
            var http: HTTP
            struct HTTP: Decodable, Sendable {
                var response: Response
                struct Response: Decodable, Sendable {
                    var status: Int
                    enum CodingKeys: String, CodingKey { case status = "status_code" }
                }
            }
            enum CodingKeys: String, CodingKey {
                case time = "@timestamp"
                case level = "log.level"
                case host = "host.name"
                case http
            }
        }
        let view = View("logs") {
            Events(Log.self, at: \.time)
                .grouped(by: \.level, \.http.response.status)
                .aggregate(.count().as("n"), .last(\.host).as("host"))
        }
        let outcome = try EventsWay.both(
            view,
            [
                #"{"@timestamp":"2024-03-01T09:10:00.000Z","log.level":"info","host.name":"a-1","#
                    + #""http":{"response":{"status_code":200}},"log":{"level":"no"}}"#
            ])
        #expect(outcome.rows() == ["info 200 1 a-1"])
    }

    @Test("CloudEvents: the type in `type`, keys with a hyphen, and `data`")
    func cloudEvents() throws {
        struct Started: Event {
            static let eventType: String? = "com.example.build.started"
            static let eventTypeField = "type"
            var id: String
            var time: Timestamp
            var trace: String?
            var data: [String: Int]
            enum CodingKeys: String, CodingKey {
                case id, time, data
                case trace = "trace-parent"
            }
        }
        let view = View("builds") {
            Events(Started.self, at: \.time)
                .grouped(by: \.id)
                .aggregate(.last(\.trace).as("trace"), .sum { $0.data["n-1"] }.as("n"))
        }
        let outcome = try EventsWay.both(
            view,
            [
                #"{"specversion":"1.0","type":"com.example.build.started","id":"1","#
                    + #""time":"2024-03-01T09:10:00Z","trace-parent":"x","data":{"n-1":3}}"#,
                #"{"specversion":"1.0","type":"other","id":"2"}"#,
            ])
        #expect(outcome.rows() == ["1 x 3"] && outcome.counters.filtered == 1)
    }

    @Test("OpenTelemetry: nanoseconds as texts, and attributes of any kind")
    func openTelemetry() throws {
        struct Span: Event {
            static let eventType: String? = nil
            var name: String
            @Nanoseconds var start: Timestamp
            @Nanoseconds var end: Timestamp?
            var attributes: [Attribute]
            struct Attribute: Decodable, Sendable {
                var key: String
                var value: [String: Kinds.Anything]
            }
            enum CodingKeys: String, CodingKey {
                case name, attributes
                case start = "startTimeUnixNano"
                case end = "endTimeUnixNano"
            }
        }
        let view = View("spans") {
            Events(Span.self, at: \.start)
                .grouped(by: \.name)
                .aggregate(
                    .count().as("n"), .max(\.end).as("last_end"),
                    .sum { $0.attributes.count }.as("attributes"))
        }
        let outcome = try EventsWay.both(
            view,
            [
                #"{"name":"get","startTimeUnixNano":"1709284200000000001","#
                    + #""endTimeUnixNano":"1709284200500000999","attributes":["#
                    + #"{"key":"http.method","value":{"stringValue":"GET"}},"#
                    + #"{"key":"n","value":{"intValue":"5"}}]}"#
            ])
        #expect(outcome.rows() == ["get 1 2024-03-01T09:10:00.5Z 2"])
    }

    @Test("Prometheus: pairs of seconds and a text")
    func prometheus() throws {
        struct Sample: Event {
            static let eventType: String? = nil
            var metric: [String: String]
            var value: Pair
            struct Pair: Decodable, Sendable {
                @Seconds var time: Timestamp
                var number: Double
                init(from decoder: any Decoder) throws {
                    var list = try decoder.unkeyedContainer()
                    _time = try list.decode(Seconds<Timestamp>.self)
                    let text = try list.decode(String.self)
                    guard let number = Double(text) else {
                        throw FieldFailure(description: "\(text) is no number")
                    }
                    self.number = number
                }
            }
        }
        let view = View("samples") {
            Events(Sample.self)
                .grouped(as: "job") { $0.metric["job"] ?? "" }
                .aggregate(.max { $0.value.time }.as("at"), .last { $0.value.number }.as("value"))
        }
        let outcome = try EventsWay.both(
            view, [#"{"metric":{"__name__":"up","job":"api"},"value":[1709284200.781,"1.5"]}"#])
        #expect(outcome.rows() == ["api 2024-03-01T09:10:00.781Z 1.5"])
    }

    @Test("GitHub Archive: the type in `type`, actors and payloads are objects")
    func gitHub() throws {
        struct Push: Event {
            static let eventType: String? = "PushEvent"
            static let eventTypeField = "type"
            var actor: Actor
            var payload: Payload
            var createdAt: Timestamp
            struct Actor: Decodable, Sendable {
                var login: String
                enum CodingKeys: String, CodingKey { case login = "display_login" }
            }
            struct Payload: Decodable, Sendable { var size: Int? }
        }
        let view = View("pushes") {
            Events(Push.self, at: \.createdAt)
                .grouped(by: \.actor.login)
                .aggregate(.sum(\.payload.size).as("commits"))
        }
        let outcome = try EventsWay.both(
            view,
            [
                #"{"id":"1","type":"PushEvent","actor":{"id":1,"display_login":"ada"},"#
                    + #""payload":{"size":2},"created_at":"2024-03-01T09:10:00Z"}"#,
                #"{"id":"2","type":"WatchEvent","actor":{"id":1},"payload":{}}"#,
            ])
        #expect(outcome.rows() == ["ada 2"])
    }

    @Test("taxi trips: local times without a zone")
    func trips() throws {
        struct Trip: Event {
            static let eventType: String? = nil
            static let localTimeZone: String? = "America/New_York"
            var pickup: Timestamp
            var total: ExactDecimal
            enum CodingKeys: String, CodingKey {
                case pickup = "tpep_pickup_datetime"
                case total = "total_amount"
            }
        }
        let view = View("trips") {
            Events(Trip.self, at: \.pickup)
                .window(.daily(in: "America/New_York"))
                .aggregate(.sum(\.total).as("total"), .min(\.pickup).as("first"))
        }
        let outcome = try EventsWay.both(
            view,
            [
                #"{"tpep_pickup_datetime":"2024-03-01 00:30:00","total_amount":12.5}"#,
                #"{"tpep_pickup_datetime":"2024-03-01 23:30:00","total_amount":"7.25"}"#,
            ])
        #expect(
            outcome.rows() == [
                "2024-03-01T05:00:00Z 2024-03-02T05:00:00Z 19.75 2024-03-01T05:30:00Z"
            ])
    }
}
