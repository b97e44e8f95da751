import KappaCore

// The queries that count, rank and window bids.

extension NexmarkQuery {
    /// The auctions with the most bids in ten seconds, every two seconds.
    static func q5(lateness: Duration?) -> NexmarkQuery {
        NexmarkQuery(
            View("q5", digest: "1") {
                Events(PlainBid.self, at: \.dateTime)
                    .window(.hopping(.seconds(10), every: .seconds(2)), lateness: lateness)
                    .grouped(by: \.auction)
                    .aggregate(.count().as("num"))
                    .rows(as: AuctionBids.self)
                    .grouped(by: \.windowStart)
                    .top(1, by: .descending(\.num), ties: .all)
            },
            ["auction", "num"])
    }

    private struct AuctionBids: ViewRow {
        var windowStart: Timestamp
        var auction: Int64
        var num: Int64
    }

    /// The highest bids of each ten seconds. A bid exactly at a window's end counts if its price equals the
    /// highest, and so does a late bid, but neither can set the highest price.
    static func q7(lateness: Duration?) -> NexmarkQuery {
        NexmarkQuery(
            View("q7", digest: "1") {
                Events(Candidate.self, at: \.dateTime)
                    .flatMap(inWindows: .seconds(10), lateness: lateness) {
                        $0.windows(isLate: $1)
                    }
                    .grouped(by: \.window)
                    .keep { kept, new in
                        if kept.contains(where: { $0.isInside && new.price < $0.price }) { return }
                        if new.isInside { kept.removeAll { $0.price < new.price } }
                        kept.append(new)
                    }
                    .rows(as: WindowBid.self)
                    .grouped(by: \.window)
                    .reduce { bids in
                        let highest = bids.lazy.filter(\.isInside).map(\.price).max()
                        return bids.filter { $0.price == highest }
                    }
            },
            ["auction", "price", "bidder", "date_time", "extra"])
    }

    private struct Candidate: Event, ViewRow {
        static var eventType: String? { "bid" }
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var dateTime: Timestamp
        var extra: String

        /// The window that the bid is in, and the one that ends exactly at its time, if there is one.
        func windows(isLate: Bool) -> [WindowBid] {
            let start = dateTime.start(ofWindow: .seconds(10))
            let own = WindowBid(self, start, isInside: !isLate)
            if start != dateTime { return [own] }
            return [own, WindowBid(self, start + .seconds(-10), isInside: false)]
        }
    }
    private struct WindowBid: ViewRow {
        var window: Timestamp
        var isInside: Bool
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var dateTime: Timestamp
        var extra: String

        init(_ bid: Candidate, _ window: Timestamp, isInside: Bool) {
            self.window = window
            self.isInside = isInside
            auction = bid.auction
            bidder = bid.bidder
            price = bid.price
            dateTime = bid.dateTime
            extra = bid.extra
        }
    }

    /// The sessions of each bidder.
    static func q11(lateness: Duration?) -> NexmarkQuery {
        NexmarkQuery(
            View("q11", digest: "1") {
                Events(PlainBid.self, at: \.dateTime)
                    .grouped(by: \.bidder)
                    .window(.session(gap: .seconds(10)), lateness: lateness)
                    .aggregate(.count().as("bid_count"))
            },
            [
                "bidder", "bid_count", .named("starttime", "window_start"),
                .named("endtime", "window_end"),
            ])
    }

    /// The counts of bids, bidders and auctions of each day, by price range.
    static let q15 = NexmarkQuery(
        View("q15", digest: "1") {
            Events(PlainBid.self, at: \.dateTime)
                .window(.tumbling(.days(1)))
                .aggregate(
                    .count().as("total_bids"),
                    .count().where(low).as("rank1_bids"),
                    .count().where(middle).as("rank2_bids"),
                    .count().where(high).as("rank3_bids"),
                    .countDistinct(\.bidder).as("total_bidders"),
                    .countDistinct(\.bidder).where(low).as("rank1_bidders"),
                    .countDistinct(\.bidder).where(middle).as("rank2_bidders"),
                    .countDistinct(\.bidder).where(high).as("rank3_bidders"),
                    .countDistinct(\.auction).as("total_auctions"),
                    .countDistinct(\.auction).where(low).as("rank1_auctions"),
                    .countDistinct(\.auction).where(middle).as("rank2_auctions"),
                    .countDistinct(\.auction).where(high).as("rank3_auctions"))
        },
        [.day("day", "window_start")] + ranked)

    private static let low: Condition<PlainBid> = \.price < 10_000
    private static let middle: Condition<PlainBid> = \.price >= 10_000 && \.price < 1_000_000
    private static let high: Condition<PlainBid> = \.price >= 1_000_000
    private static let ranked: [NexmarkColumn] = [
        "total_bids", "rank1_bids", "rank2_bids", "rank3_bids", "total_bidders",
        "rank1_bidders", "rank2_bidders", "rank3_bidders", "total_auctions", "rank1_auctions",
        "rank2_auctions", "rank3_auctions",
    ]

    /// The same for each channel, with the minute of the last bid.
    static let q16 = NexmarkQuery(
        View("q16", digest: "1") {
            Events(ChannelBid.self, at: \.dateTime)
                .window(.tumbling(.days(1)))
                .grouped(by: \.channel)
                .aggregate(
                    .max(\.dateTime).as("last_bid"),
                    .count().as("total_bids"),
                    .count().where(ChannelBid.low).as("rank1_bids"),
                    .count().where(ChannelBid.middle).as("rank2_bids"),
                    .count().where(ChannelBid.high).as("rank3_bids"),
                    .countDistinct(\.bidder).as("total_bidders"),
                    .countDistinct(\.bidder).where(ChannelBid.low).as("rank1_bidders"),
                    .countDistinct(\.bidder).where(ChannelBid.middle).as("rank2_bidders"),
                    .countDistinct(\.bidder).where(ChannelBid.high).as("rank3_bidders"),
                    .countDistinct(\.auction).as("total_auctions"),
                    .countDistinct(\.auction).where(ChannelBid.low).as("rank1_auctions"),
                    .countDistinct(\.auction).where(ChannelBid.middle).as("rank2_auctions"),
                    .countDistinct(\.auction).where(ChannelBid.high).as("rank3_auctions"))
        },
        ["channel", .day("day", "window_start"), .minute("minute", "last_bid")] + ranked)

    private struct ChannelBid: Event {
        static var eventType: String? { "bid" }
        static let low: Condition<ChannelBid> = \.price < 10_000
        static let middle: Condition<ChannelBid> = \.price >= 10_000 && \.price < 1_000_000
        static let high: Condition<ChannelBid> = \.price >= 1_000_000
        var channel: String
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var dateTime: Timestamp
    }

    /// Prices of each auction and day.
    static let q17 = NexmarkQuery(
        View("q17", digest: "1") {
            Events(PlainBid.self, at: \.dateTime)
                .window(.tumbling(.days(1)))
                .grouped(by: \.auction)
                .aggregate(
                    .count().as("total_bids"),
                    .count().where(low).as("rank1_bids"),
                    .count().where(middle).as("rank2_bids"),
                    .count().where(high).as("rank3_bids"),
                    .min(\.price).as("min_price"), .max(\.price).as("max_price"),
                    .sum(\.price).as("sum_price"))
        },
        [
            "auction", .day("day", "window_start"), "total_bids", "rank1_bids", "rank2_bids",
            "rank3_bids", "min_price", "max_price",
            .quotient("avg_price", "sum_price", "total_bids"), "sum_price",
        ])

    /// The last bid of each bidder on each auction.
    static let q18 = NexmarkQuery(
        View("q18", digest: "1") {
            Events(Bid.self).grouped(by: \.bidder, \.auction).last(by: \.dateTime)
        },
        ["auction", "bidder", "price", "channel", "url", "date_time", "extra"])

    /// The ten highest bids of each auction.
    static let q19 = NexmarkQuery(
        View("q19", digest: "1") {
            Events(Bid.self).grouped(by: \.auction).top(10, by: .descending(\.price))
        },
        [
            "auction", "bidder", "price", "channel", "url", "date_time", "extra",
            "rank_number",
        ])
}
