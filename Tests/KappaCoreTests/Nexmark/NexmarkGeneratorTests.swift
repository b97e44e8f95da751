import Foundation
import KappaTesting
import Testing

@testable import KappaBenchmarks
@testable import KappaCore

/// Generated events of Nexmark.
@Suite("kappa-bench nexmark-generate")
struct NexmarkGeneratorTests {
    private static func lines(
        _ count: Int, seed: UInt64 = 1, rate: Int = 200, disorderMillis: Int = 0
    ) -> [JSONValue] {
        let lines = NexmarkLines.generated(
            count, seed: seed, rate: rate, disorderMillis: disorderMillis, bidderShift: 1_000)
        return (0..<lines.count).compactMap { try? JSONValue(parsing: lines[$0]) }
    }

    private static func keys(_ event: JSONValue) -> [String] {
        if case .object(let members) = event { members.map(\.key) } else { [] }
    }
    private static func value(_ event: JSONValue, _ key: String) -> JSONValue? {
        guard case .object(let members) = event else { return nil }
        return members.last { $0.key == key }?.value
    }
    private static func integer(_ event: JSONValue, _ key: String) -> Int {
        guard case .number(let text) = value(event, key) else { return -1 }
        return Int(text) ?? -1
    }
    private static func text(_ event: JSONValue, _ key: String) -> String {
        guard case .string(let text) = value(event, key) else { return "" }
        return text
    }

    @Test(
        "the same seed gives the same bytes, however they are requested; another seed gives others")
    func seeds() {
        var whole: [UInt8] = []
        var generator = NexmarkGenerator(seed: 5, disorderMillis: 700)
        generator.append(1_000, to: &whole)
        var pieces: [UInt8] = []
        generator = NexmarkGenerator(seed: 5, disorderMillis: 700)
        for count in [1, 499, 0, 500] { generator.append(count, to: &pieces) }
        #expect(whole == pieces)
        var other: [UInt8] = []
        generator = NexmarkGenerator(seed: 6, disorderMillis: 700)
        generator.append(1_000, to: &other)
        #expect(whole != other)
        // About 300 bytes an event.
        #expect((280_000...330_000).contains(whole.count))
    }

    @Test("events have the keys, the proportions and the numbers of Nexmark's")
    func shape() {
        let events = Self.lines(5_000)
        let kinds = Dictionary(grouping: events) { Self.text($0, "event_type") }
        #expect(kinds.mapValues(\.count) == ["person": 100, "auction": 300, "bid": 4_600])
        let people = kinds["person"] ?? []
        let auctions = kinds["auction"] ?? []
        let bids = kinds["bid"] ?? []
        #expect(people.map { Self.integer($0, "id") } == Array(1_000..<1_100))
        #expect(auctions.map { Self.integer($0, "id") } == Array(1_000..<1_300))
        let names = { (text: String) in text.split(separator: " ").map(String.init) }
        #expect(
            Set(people.map(Self.keys)) == [
                names("event_type id name email_address credit_card city state date_time extra")
            ])
        #expect(
            Set(auctions.map(Self.keys)) == [
                names(
                    "event_type id item_name description initial_bid reserve date_time expires "
                        + "seller category extra")
            ])
        #expect(
            Set(bids.map(Self.keys)) == [
                names("event_type auction bidder price channel url date_time extra")
            ])
        #expect(Set(auctions.map { Self.integer($0, "category") }) == Set(10...14))
        #expect(people.contains { ["OR", "ID", "CA"].contains(Self.text($0, "state")) })
    }

    @Test("prices spread evenly over their digits, and some auctions and bidders are hot")
    func distributions() {
        let bids = Self.lines(20_000).filter { Self.text($0, "event_type") == "bid" }
        let count = Double(bids.count)
        let prices = bids.map { Self.integer($0, "price") }
        #expect(prices.allSatisfy { (100..<100_000_000).contains($0) })
        for digits in 3...8 {
            let share = Double(prices.count { String($0).count == digits }) / count
            #expect((0.14...0.19).contains(share), "\(digits) digits: \(share)")
        }
        let hotAuctions = bids.count { Self.integer($0, "auction") % 100 == 0 }
        #expect((0.48...0.55).contains(Double(hotAuctions) / count))
        let hotBidders = bids.count { Self.integer($0, "bidder") % 100 == 1 }
        #expect((0.73...0.79).contains(Double(hotBidders) / count))
        let large = bids.count {
            ["Google", "Facebook", "Baidu", "Apple"].contains(Self.text($0, "channel"))
        }
        #expect((0.48...0.52).contains(Double(large) / count))
        let numbered = bids.count { Self.text($0, "url").contains("&channel_id=") }
        #expect((0.43...0.47).contains(Double(numbered) / count))
        #expect(bids.contains { Self.text($0, "extra").contains("\\") })
    }

    @Test("some bids come before their auction, and auctions expire after a while")
    func order() throws {
        var last = 999
        var early = 0
        for event in Self.lines(10_000) {
            switch Self.text(event, "event_type") {
            case "auction":
                last = Self.integer(event, "id")
                let start = try #require(Timestamp(Self.text(event, "date_time")))
                let end = try #require(Timestamp(Self.text(event, "expires")))
                #expect(start < end && end <= start + .seconds(17))
            case "bid" where Self.integer(event, "auction") > last: early += 1
            default: break
            }
        }
        #expect((200...700).contains(early))
    }

    @Test("with disorder, times are out of order by at most that much")
    func disorder() throws {
        func times(_ disorderMillis: Int) throws -> [Timestamp] {
            try Self.lines(3_000, rate: 1_000, disorderMillis: disorderMillis)
                .map { event in
                    try #require(Timestamp(Self.text(event, "date_time")))
                }
        }
        let calm = try times(0)
        #expect(zip(calm, calm.dropFirst()).allSatisfy { $0 < $1 })
        let wild = try times(500)
        let delays = zip(calm, wild).map { $0.microseconds - $1.microseconds }
        #expect(delays.allSatisfy { (0...500_000).contains($0) })
        #expect(delays.contains { $0 > 400_000 })
    }
}
