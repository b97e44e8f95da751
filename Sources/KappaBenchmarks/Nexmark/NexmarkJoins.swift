import KappaCore

// The queries that join bids, auctions and people.

extension NexmarkQuery {
    /// The sellers in one category that live in one of three states.
    static let q3 = NexmarkQuery(
        View("q3", digest: "1") {
            Events(PlainAuction.self).filter(\.category == 10)
                .join(
                    Events(Resident.self).unique(by: \.id)
                        .filter(\.state == "OR" || \.state == "ID" || \.state == "CA"),
                    on: \.seller, equals: \.id, as: LocalSale.self
                ).rows()
        },
        ["name", "city", "state", "id"])

    private struct Resident: Event, ViewRow {
        static var eventType: String? { "person" }
        var id: Int64
        var name: String
        var city: String
        var state: String
    }
    private struct LocalSale: ViewRow {
        var name: String
        var city: String
        var state: String
        var id: Int64
    }

    /// Bids that were made while their auction was open, with fields of the auction.
    private static let validBids = Events(PlainBid.self).join(
        Events(PlainAuction.self).unique(by: \.id), on: \.auction, equals: \.id,
        as: ValidBid.self, .right(\.dateTime, as: \.opened)
    ).filter(\.opened <= \.dateTime && \.dateTime <= \.expires)

    struct ValidBid: ViewRow {
        var auction: Int64
        var seller: Int64
        var category: Int64
        var price: Int64
        var dateTime: Timestamp
        var opened: Timestamp
        var expires: Timestamp
    }

    /// The average final price in each category.
    static let q4 = NexmarkQuery(
        View("q4", digest: "1") {
            validBids.grouped(by: \.category, \.auction).aggregate(.max(\.price).as("final"))
                .rows(as: FinalPrice.self)
                .grouped(by: \.category)
                .aggregate(.sum(\.final).as("sum"), .count().as("auctions"))
        },
        [.named("id", "category"), .quotient("final", "sum", "auctions")])

    private struct FinalPrice: ViewRow {
        var category: Int64
        var final: Int64
    }

    /// For each sold auction, the average of its seller's last eleven winning prices.
    static let q6 = NexmarkQuery(
        View("q6", digest: "1") {
            validBids.grouped(by: \.auction)
                .first(by: .descending(\.price), .ascending(\.dateTime))
                .rows(as: ValidBid.self)
                .grouped(by: \.seller)
                .reduce(by: .ascending(\.dateTime)) { wins in
                    wins.indices.map { index in
                        let last = wins[max(0, index - 10)...index]
                        let sum = last.reduce(0) { $0 + $1.price }
                        return SellerAverage(
                            seller: wins[index].seller, avgPrice: sum / Int64(last.count))
                    }
                }
        },
        ["seller", "avg_price"])

    private struct SellerAverage: ViewRow {
        var seller: Int64
        var avgPrice: Int64
    }

    /// People who began to sell in the same ten-second window in which they registered.
    static func q8(lateness: Duration?) -> NexmarkQuery {
        NexmarkQuery(
            View("q8", digest: "1") {
                Events(NewPerson.self, at: \.dateTime)
                    .join(
                        Events(NewAuction.self, at: \.dateTime), on: \.id, equals: \.seller,
                        .sameWindow(.seconds(10), lateness: lateness)
                    ) { person, _ in
                        NewSeller(
                            id: person.id, name: person.name,
                            stime: person.dateTime.start(ofWindow: .seconds(10)))
                    }
                    .grouped(by: \.id, \.stime).first()
            },
            ["id", "name", "stime"])
    }

    private struct NewPerson: Event, ViewRow {
        static var eventType: String? { "person" }
        var id: Int64
        var name: String
        var dateTime: Timestamp
    }
    private struct NewAuction: Event, ViewRow {
        static var eventType: String? { "auction" }
        var seller: Int64
        var dateTime: Timestamp
    }
    private struct NewSeller: ViewRow {
        var id: Int64
        var name: String
        var stime: Timestamp
    }

    /// Each sold auction with its winning bid.
    static let q9 = NexmarkQuery(
        View("q9", digest: "1") {
            Events(Auction.self).unique(by: \.id)
                .join(
                    Events(LongBid.self), on: \.id, equals: \.auction, as: SoldAuction.self,
                    .right(\.dateTime, as: \.bidDateTime), .right(\.extra, as: \.bidExtra)
                )
                .filter(\.dateTime <= \.bidDateTime && \.bidDateTime <= \.expires)
                .grouped(by: \.id)
                .first(by: .descending(\.price), .ascending(\.bidDateTime))
        },
        [
            "id", "item_name", "description", "initial_bid", "reserve", "date_time", "expires",
            "seller", "category", "extra", "auction", "bidder", "price", "bid_date_time",
            "bid_extra",
        ])

    private struct LongBid: Event, ViewRow {
        static var eventType: String? { "bid" }
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var dateTime: Timestamp
        var extra: String
    }
    private struct SoldAuction: ViewRow {
        var id: Int64
        var itemName: String
        var description: String
        var initialBid: Int64
        var reserve: Int64
        var dateTime: Timestamp
        var expires: Timestamp
        var seller: Int64
        var category: Int64
        var extra: String
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var bidDateTime: Timestamp
        var bidExtra: String
    }

    /// Bids with their auction, in one category.
    static let q20 = NexmarkQuery(
        View("q20", digest: "1") {
            Events(Bid.self).join(
                Events(Auction.self).unique(by: \.id).filter(\.category == 10),
                on: \.auction, equals: \.id, as: BidOnAuction.self,
                .left(\.dateTime, as: \.bidDateTime), .left(\.extra, as: \.bidExtra),
                .right(\.dateTime, as: \.auctionDateTime), .right(\.extra, as: \.auctionExtra)
            ).rows()
        },
        [
            "auction", "bidder", "price", "channel", "url", "bid_date_time", "bid_extra",
            "item_name", "description", "initial_bid", "reserve", "auction_date_time",
            "expires", "seller", "category", "auction_extra",
        ])

    private struct BidOnAuction: ViewRow {
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var channel: String
        var url: String
        var bidDateTime: Timestamp
        var bidExtra: String
        var itemName: String
        var description: String
        var initialBid: Int64
        var reserve: Int64
        var auctionDateTime: Timestamp
        var expires: Timestamp
        var seller: Int64
        var category: Int64
        var auctionExtra: String
    }

    /// Bids with the bidder and each auction of which the bidder is the seller.
    static let q23 = NexmarkQuery(
        View("q23", digest: "1") {
            Events(Bid.self)
                .join(
                    Events(Person.self).unique(by: \.id), on: \.bidder, equals: \.id,
                    as: BidOfPerson.self, .left(\.extra, as: \.bidExtra),
                    .right(\.id, as: \.personId), .right(\.extra, as: \.personExtra)
                )
                .join(
                    Events(Auction.self), on: \.bidder, equals: \.seller, as: SellerBid.self,
                    .right(\.dateTime, as: \.auctionDateTime),
                    .right(\.extra, as: \.auctionExtra)
                ).rows()
        },
        [
            "bidder", "price", "channel", "url", "bid_extra", "person_id", "name",
            "email_address", "credit_card", "city", "state", "person_extra", "item_name",
            "description", "initial_bid", "reserve", "auction_date_time", "expires", "seller",
            "category", "auction_extra",
        ])

    private struct BidOfPerson: ViewRow {
        var bidder: Int64
        var price: Int64
        var channel: String
        var url: String
        var bidExtra: String
        var personId: Int64
        var name: String
        var emailAddress: String
        var creditCard: String
        var city: String
        var state: String
        var personExtra: String
    }
    private struct SellerBid: ViewRow {
        var bidder: Int64
        var price: Int64
        var channel: String
        var url: String
        var bidExtra: String
        var personId: Int64
        var name: String
        var emailAddress: String
        var creditCard: String
        var city: String
        var state: String
        var personExtra: String
        var itemName: String
        var description: String
        var initialBid: Int64
        var reserve: Int64
        var auctionDateTime: Timestamp
        var expires: Timestamp
        var seller: Int64
        var category: Int64
        var auctionExtra: String
    }
}
