import KappaTesting
import Testing

@testable import KappaCore

/// Windows over an event file with late events, against rows that Apache Flink has computed.
@Suite("Late events", .enabled(if: EventsShared.isThere, EventsShared.reason))
struct LateWindowTests {
    struct Bid: Event {
        var auction: Int
        var bidder: Int
        var dateTime: Timestamp
    }

    private static func sessions(lateness: Duration?) -> View<Columns> {
        View("sessions") {
            Events(Bid.self, at: \.dateTime)
                .grouped(by: \.bidder)
                .window(.session(gap: .seconds(10)), lateness: lateness)
                .aggregate(.count().as("bids"), .min(\.dateTime).as("first_bid"))
        }
    }

    private static func hotAuctions(lateness: Duration?) -> View<Columns> {
        View("hot_auctions") {
            Events(Bid.self, at: \.dateTime)
                .window(.hopping(.seconds(10), every: .seconds(2)), lateness: lateness)
                .grouped(by: \.auction)
                .aggregate(.count().as("bids"))
        }
    }

    /// `bidder,bid_count,starttime,endtime`
    private static func sessionLines(_ rows: [[Value]]) -> [String] {
        rows.map { row in
            // bidder, window_start, window_end, bids, first_bid
            #expect(row[1] == row[4], "a session starts with its first bid")
            return [row[0].csvText, row[3].csvText, millis(row[1]), millis(row[2])]
                .joined(separator: ",")
        }
    }

    /// Times with exactly three fractional digits.
    private static func millis(_ value: Value) -> String {
        guard case .timestamp(let time) = value else { return value.csvText }
        let text = time.description
        guard let point = text.firstIndex(of: ".") else { return text.dropLast() + ".000Z" }
        let digits = text[point...].dropFirst().dropLast()
        return text[..<point] + "." + digits
            + String(repeating: "0", count: 3 - digits.count) + "Z"
    }

    /// The auctions with the most bids of each window, `auction,num`.
    private static func hottestLines(_ rows: [[Value]]) -> [String] {
        var most: [Value: Int64] = [:]
        func bids(_ row: [Value]) -> Int64 {
            if case .integer(let bids) = row[3] { bids } else { 0 }
        }
        for row in rows { most[row[0]] = max(most[row[0]] ?? 0, bids(row)) }
        return rows.filter { bids($0) == most[$0[0]] }
            .map { "\($0[2].csvText),\(bids($0))" }
    }

    private func check(
        _ view: any AnyView, _ file: String, _ lines: ([[Value]]) -> [String]
    ) throws {
        let nexmark = "\(EventsShared.folder)/nexmark/late"
        let events = try EventsShared.run("gunzip -c '\(nexmark)/events-20k-late.ndjson.gz'")
            .split(separator: "\n").map(String.init)
        let expected = try EventsShared.run("cat '\(nexmark)/\(file)'")
            .split(separator: "\n").dropFirst().map(String.init)
        var random = SplitMix(state: 4)
        for way in [EventsWay.whole(events.count), .random(events.count, &random)] {
            let found = lines(try way.run(view, events).tables[0]).sorted()
            let (missing, unexpected) = Self.differences(expected, found)
            #expect(missing == [], "\(file), \(way)")
            #expect(unexpected == [], "\(file), \(way)")
        }
    }

    /// Rows of one list only, each as often as it occurs.
    private static func differences(_ a: [String], _ b: [String]) -> ([String], [String]) {
        var counts: [String: Int] = [:]
        for row in a { counts[row, default: 0] += 1 }
        for row in b { counts[row, default: 0] -= 1 }
        return (
            counts.filter { $0.value > 0 }.keys.sorted(),
            counts.filter { $0.value < 0 }.keys.sorted()
        )
    }

    @Test("sessions of a log with late events, with and without a lateness")
    func lateSessions() throws {
        try check(
            Self.sessions(lateness: .seconds(4)), "expected-drop/q11.csv", Self.sessionLines)
        try check(Self.sessions(lateness: nil), "expected-keep/q11.csv", Self.sessionLines)
    }

    @Test("windows that overlap, of a log with late events, with and without a lateness")
    func lateHopping() throws {
        try check(
            Self.hotAuctions(lateness: .seconds(4)), "expected-drop/q5.csv", Self.hottestLines)
        try check(Self.hotAuctions(lateness: nil), "expected-keep/q5.csv", Self.hottestLines)
    }
}
