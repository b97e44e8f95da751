import KappaCore

// The queries that look at one bid at a time.

extension NexmarkQuery {
    private struct ShortBid: Event, ViewRow {
        static var eventType: String? { "bid" }
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var dateTime: Timestamp
        var extra: String
    }

    /// Every bid.
    static let q0 = NexmarkQuery(
        View("q0", digest: "1") { Events(ShortBid.self).rows() },
        ["auction", "bidder", "price", "date_time", "extra"])

    /// Prices in euros.
    static let q1 = NexmarkQuery(
        View("q1", digest: "1") {
            Events(ShortBid.self).map(as: EuroBid.self, .set(\.price, from: \.price, euros)).rows()
        },
        ["auction", "bidder", .threeDigits("price"), "date_time", "extra"])

    private struct EuroBid: ViewRow {
        var auction: Int64
        var bidder: Int64
        var price: ExactDecimal
        var dateTime: Timestamp
        var extra: String
    }

    private static func euros(_ dollars: Int64) -> ExactDecimal {
        ExactDecimal(dollars) * ExactDecimal(mantissa: 908, scale: 3)
    }

    /// Bids on some auctions.
    static let q2 = NexmarkQuery(
        View("q2", digest: "1") {
            Events(AuctionPrice.self).filter { $0.auction % 123 == 0 }.rows()
        },
        ["auction", "price"])

    private struct AuctionPrice: Event, ViewRow {
        static var eventType: String? { "bid" }
        var auction: Int64
        var price: Int64
    }

    /// Bids with their day and minute.
    static let q10 = NexmarkQuery(
        View("q10", digest: "1") {
            Events(ShortBid.self).map(
                as: DatedBid.self,
                .set(\.dt, from: \.dateTime) { String($0.description.prefix(10)) },
                .set(\.hm, from: \.dateTime) { String($0.description.dropFirst(11).prefix(5)) }
            ).rows()
        },
        ["auction", "bidder", "price", "date_time", "extra", "dt", "hm"])

    private struct DatedBid: ViewRow {
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var dateTime: Timestamp
        var extra: String
        var dt: String
        var hm: String
    }

    /// Bids with a value from a table outside of the log.
    static let q13 = NexmarkQuery(
        View("q13", digest: "1") {
            Events(PlainBid.self).join(side, on: { $0.auction % 10_000 }) { bid, row in
                ValuedBid(
                    auction: bid.auction, bidder: bid.bidder, price: bid.price,
                    dateTime: bid.dateTime, value: row.value)
            }.rows()
        },
        ["auction", "bidder", "price", "date_time", "value"])

    private static let side = SideTable(
        (0..<10_000).map { SideRow(key: $0, value: "\($0)") }, by: \.key)

    private struct SideRow: ViewRow {
        var key: Int64
        var value: String
    }
    private struct ValuedBid: ViewRow {
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var dateTime: Timestamp
        var value: String
    }

    /// Prices in euros between bounds, with the time of day and a count of letters.
    static let q14 = NexmarkQuery(
        View("q14", digest: "1") {
            Events(ShortBid.self).compactMap { bid -> TimedBid? in
                let price = euros(bid.price)
                guard price > 1_000_000, price < 50_000_000 else { return nil }
                let hour = bid.dateTime.start(ofWindow: .hours(1)).microseconds / 3_600_000_000 % 24
                return TimedBid(
                    auction: bid.auction, bidder: bid.bidder, price: price,
                    bidTimeType: timeOfDay(hour), dateTime: bid.dateTime, extra: bid.extra,
                    cCounts: Int64(bid.extra.utf8.count { $0 == UInt8(ascii: "c") }))
            }.rows()
        },
        [
            "auction", "bidder", .threeDigits("price"), "bid_time_type", "date_time", "extra",
            "c_counts",
        ])

    private static func timeOfDay(_ hour: Int64) -> String {
        8...18 ~= hour ? "dayTime" : hour <= 6 || hour >= 20 ? "nightTime" : "otherTime"
    }

    private struct TimedBid: ViewRow {
        var auction: Int64
        var bidder: Int64
        var price: ExactDecimal
        var bidTimeType: String
        var dateTime: Timestamp
        var extra: String
        var cCounts: Int64
    }

    /// Bids with the number of their channel.
    static let q21 = NexmarkQuery(
        View("q21", digest: "1") {
            Events(ChannelBid.self).compactMap { bid -> NumberedBid? in
                guard let number = channelID(bid) else { return nil }
                return NumberedBid(
                    auction: bid.auction, bidder: bid.bidder, price: bid.price,
                    channel: bid.channel, channelId: number)
            }.rows()
        },
        ["auction", "bidder", "price", "channel", "channel_id"])

    private struct ChannelBid: Event, ViewRow {
        static var eventType: String? { "bid" }
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var channel: String
        var url: String
    }
    private struct NumberedBid: ViewRow {
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var channel: String
        var channelId: String
    }

    private static func channelID(_ bid: ChannelBid) -> String? {
        switch bid.channel.lowercased() {
        case "apple": return "0"
        case "google": return "1"
        case "facebook": return "2"
        case "baidu": return "3"
        default:
            // What (&|^)channel_id=([^&]*) would match.
            let parts = bid.url.split(separator: "&", omittingEmptySubsequences: false)
            let name = "channel_id="
            return parts.first { $0.hasPrefix(name) }.map { String($0.dropFirst(name.count)) }
        }
    }

    /// Bids with the directories of their address.
    static let q22 = NexmarkQuery(
        View("q22", digest: "1") {
            Events(ChannelBid.self).map { bid in
                let parts = bid.url.split(separator: "/", omittingEmptySubsequences: false)
                func part(_ index: Int) -> String {
                    parts.indices.contains(index) ? String(parts[index]) : ""
                }
                return PlacedBid(
                    auction: bid.auction, bidder: bid.bidder, price: bid.price,
                    channel: bid.channel, dir1: part(3), dir2: part(4), dir3: part(5))
            }.rows()
        },
        ["auction", "bidder", "price", "channel", "dir1", "dir2", "dir3"])

    private struct PlacedBid: ViewRow {
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var channel: String
        var dir1: String
        var dir2: String
        var dir3: String
    }
}
