import KappaTesting
import Testing

@testable import KappaCore

@Suite("Sums") struct SumTests {
    struct Entry: Event {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = nil
        var key: String
        var n: Int?
        var amount: ExactDecimal?
        var x: Double?
        var at: Timestamp
    }

    private static let view = View("sums") {
        Events(Entry.self, at: \.at)
            .grouped(by: \.key)
            .aggregate(
                .count().as("events"), .sum(\.n).as("n"), .sum(\.amount).as("amount"),
                .sum(\.x).as("x"))
    }

    @Test(
        "a sum that does not fit stops the version, and nothing is lost",
        arguments: [
            (#""n":9223372036854775806"#, "64 bits"), (#""n":-9223372036854775808"#, "64 bits"),
            (#""amount":99999999999999999999999999999999999999"#, "38 digits"),
        ])
    func overflow(field: String, limit: String) throws {
        let folder = try TemporaryFolder()
        let version = try EventsVersion(Self.view, in: folder.path)
        let writer = try LogWriter(version.log)
        let fine = #"{"key":"a","n":1,"at":0}"#
        let large = #"{"key":"a",\#(field),"at":0}"#
        _ = try writer.append(try EventLines(event: fine))
        _ = try writer.append(try EventLines(event: large))
        try version.scan()
        let before = try version.outcome()
        #expect(before.counters.applied == 2)
        for _ in 0..<3 { _ = try writer.append(try EventLines(event: large)) }
        for _ in 0..<2 {
            let error = try #require(throws: KappaError.self) { try version.scan() }
            #expect(error.code == .badInput)
            #expect(error.what == "a sum does not fit")
            #expect(error.place == "sums, offset 2")
            #expect(error.reason?.contains(limit) == true)
            #expect(error.advice?.isEmpty == false)
            // The committed rows are unchanged, and it stops at the same event again.
            #expect(try version.outcome().difference(from: before) == nil)
            version.close()
        }
    }

    @Test(
        "sums of doubles are bit for bit the same however the log is cut",
        arguments: Seeds.random(10))
    func doubles(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var totals: [String: Double] = [:]
        let lines = (0..<200).map { _ in
            let key = random.pick(["a", "b"])
            let x = Double.random(in: -1...1, using: &random) * random.pick([1e-9, 1, 1e9, 1e16])
            totals[key, default: 0] += x
            return #"{"key":"\#(key)","x":\#(x),"at":0}"#
        }
        for _ in 0..<3 {
            let way = EventsWay.random(lines.count, &random)
            for row in try way.run(Self.view, lines).tables[0] {
                guard case .text(let key) = row[0], case .double(let sum) = row[4] else {
                    Issue.record("\(row)")
                    continue
                }
                #expect(sum.bitPattern == totals[key]?.bitPattern, "seed \(seed), \(way)")
            }
        }
    }

    @Test(
        "an event is late once its window's end plus the lateness is at or before the stream time")
    func lateness() throws {
        let view = View("late") {
            Events(Entry.self, at: \.at)
                .window(.tumbling(.seconds(10)), lateness: .seconds(5))
                .grouped(by: \.key)
                .aggregate(.count().as("events"))
        }
        func run(_ milliseconds: [Int]) throws -> Counters {
            let lines = milliseconds.map { #"{"key":"a","at":\#($0)}"# }
            return try EventsWay(appends: lines.map { _ in 1 }).run(view, lines).counters
        }
        #expect(try run([0, 14_999, 9_999]).late == 0)
        #expect(try run([0, 15_000, 9_999]).late == 1)
        #expect(try run([0, 15_000, 10_000]).late == 0)
        // Before the epoch windows are aligned in the same way, and the stream time only advances.
        #expect(try run([-1, 5_000, -1]).late == 1)
        #expect(try run([-10_000, 4_999, -10_000, -10_001]).late == 1)
        #expect(try run([30_000, 0, 20_000, 14_999]).late == 2)
    }

    @Test("with the largest lateness nothing is late, and windows may be as long as all of time")
    func endless() throws {
        let endless = Duration.seconds(Int64.max)
        let lines = [#"{"key":"a","at":"9999-12-31T23:59:59Z"}"#, #"{"key":"a","at":0}"#]
        let tumbling = View("tumbling") {
            Events(Entry.self, at: \.at)
                .window(.tumbling(endless), lateness: endless)
                .aggregate(.count().as("events"))
        }
        let sessions = View("sessions") {
            Events(Entry.self, at: \.at)
                .window(.session(gap: endless), lateness: endless)
                .aggregate(.count().as("events"))
        }
        for view in [tumbling, sessions] {
            let outcome = try EventsWay.whole(2).run(view, lines)
            #expect(outcome.counters.late == 0)
            #expect(outcome.tables[0].map { $0[2] } == [.integer(2)])
        }
    }

    @Test(
        "every event with the time field advances the stream time, whether or not a step takes it")
    func streamTime() throws {
        let view = View("two") {
            Events(Entry.self, at: \.at)
                .filter { $0.key == "a" }
                .window(.tumbling(.seconds(10)), lateness: .zero)
                .grouped(by: \.key)
                .aggregate(.count().as("events"))
            Events(Entry.self, at: \.at)
                .window(.tumbling(.seconds(10)), lateness: .zero)
                .grouped(by: \.key)
                .aggregate(.count().as("events"))
                .into("all")
        }
        let lines = [
            #"{"key":"a","at":5000}"#,
            // One that the first step filters out, one that no step can take, one of another type; and an
            // invalid time.
            #"{"key":"b","at":10000}"#, #"{"key":"a","at":9000}"#,
            #"{"key":7,"at":20000}"#, #"{"key":"a","at":19000}"#,
            #"{"event_type":"other","at":30000}"#, #"{"key":"a","at":29000}"#,
            #"{"event_type":"other","at":[40000]}"#, #"{"key":"a","at":39000}"#,
        ]
        for way in [EventsWay.whole(lines.count), EventsWay(appends: lines.map { _ in 1 })] {
            let outcome = try way.run(view, lines)
            let starts = outcome.tables.map { $0.map { $0[0].plainText } }
            let a = ["1970-01-01T00:00:00Z", "1970-01-01T00:00:30Z"]
            #expect(starts == [a, [a[0], "1970-01-01T00:00:10Z", a[1]]])
            #expect(outcome.counters.late == 3)
            #expect(outcome.counters.applied == 3)
            #expect(outcome.counters.dead == 1)
            #expect(outcome.counters.filtered == 2)
        }
    }
}
