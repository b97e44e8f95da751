import KappaTesting
import Testing

@testable import KappaCore

@Suite("Folds equal the reference") struct FoldPropertyTests {
    @Test(
        "several event types, two tables, look-ups, deletes, handlers that throw",
        arguments: Seeds.random(20))
    func shop(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let lines = (0..<(30 + random.below(200))).map { _ in EventsShop.line(&random) }
        let expected = try EventsShop.reference(lines)
        for number in 0..<4 {
            let way = number == 0 ? .whole(lines.count) : EventsWay.random(lines.count, &random)
            let found = try way.run(EventsShop.view, lines)
            #expect(found.difference(from: expected) == nil, "seed \(seed), \(way)")
        }
    }

    @Test("a row that no column can hold stops the version with a reason, and creates no file")
    func tooLarge() throws {
        struct Wide: ViewRow { var n: UInt64 = 0 }
        let wide = View("wide", initially: Wide(), digest: "1") {
            On(KappaCoreTests.Tick.self, key: \.k) { event, row in
                row.n = .max - UInt64(event.v)
            }
        }
        let folder = try VersionsFolder()
        try folder.append(ticks: 5)
        try folder.catchUp([wide])
        let entry = try folder.entry("wide", 1)
        #expect(entry?.state == .failed)
        let reason = "column n cannot hold 18446744073709551615: integers of rows are signed"
        #expect(entry?.reason?.hasPrefix(reason) == true, "\(entry?.reason ?? "")")
        #expect(!folder.data.hasFile(VersionID("wide", VersionNumber(1))))
    }

    struct Tick: Event {
        static let allowsTimesBefore1990 = true
        static let eventType: String? = nil
        var n: Int
        var at: Timestamp
    }
    struct Tally: Codable, Equatable, Sendable {
        var count = 0
        var first: Timestamp?
        @Hidden var last: Int?
        var rises = 0
    }

    @Test("rows with an initial value, by keys that are not text", arguments: [true, false])
    func initially(byTime: Bool) throws {
        let handle: @Sendable (Tick, inout Tally) throws -> Void = { tick, tally in
            if tick.n == 4 { throw EventsShop.Refusal("four") }
            tally.count += 1
            tally.first = tally.first ?? tick.at
            if let last = tally.last, tick.n > last { tally.rises += 1 }
            tally.last = tick.n
        }
        let view =
            byTime
            ? View("tally", initially: Tally()) { On(Tick.self, key: \.at, handle) }
            : View("tally", initially: Tally()) { On(Tick.self, key: \.n, handle) }
        var random = SplitMix(state: 7)
        let lines = (0..<60).map { _ in #"{"n":\#(random.below(6) - 1),"at":\#(random.below(3))}"# }
        let whole = try EventsWay.whole(60).run(view, lines)
        #expect(whole.counters.dead == UInt64(lines.count { $0.contains(#""n":4"#) }))
        #expect(whole.counters.applied == 60 - whole.counters.dead)
        let keys: [Value] =
            byTime
            ? (0..<3).map { .timestamp(Timestamp(microseconds: $0 * 1_000)) }
            : [-1, 0, 1, 2, 3].map { .integer($0) }
        #expect(whole.tables[0].map { $0[0] } == keys)
        for _ in 0..<5 {
            let way = EventsWay.random(60, &random)
            let found = try way.run(view, lines)
            #expect(found.difference(from: whole) == nil, "\(way)")
        }
    }
}
