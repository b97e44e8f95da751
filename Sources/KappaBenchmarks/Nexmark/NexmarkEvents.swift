import KappaCore

// The events of Nexmark (https://github.com/nexmark/nexmark): people, auctions and bids. A query that needs
// only a few of the fields declares a smaller type with the same `eventType`.

struct Person: Event, ViewRow {
    var id: Int64
    var name: String
    var emailAddress: String
    var creditCard: String
    var city: String
    var state: String
    var dateTime: Timestamp
    var extra: String
}

struct Auction: Event, ViewRow {
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
}

struct Bid: Event, ViewRow {
    var auction: Int64
    var bidder: Int64
    var price: Int64
    var channel: String
    var url: String
    var dateTime: Timestamp
    var extra: String
}

/// A bid without its texts.
struct PlainBid: Event, ViewRow {
    static var eventType: String? { "bid" }
    var auction: Int64
    var bidder: Int64
    var price: Int64
    var dateTime: Timestamp
}

/// An auction without its texts.
struct PlainAuction: Event, ViewRow {
    static var eventType: String? { "auction" }
    var id: Int64
    var dateTime: Timestamp
    var expires: Timestamp
    var seller: Int64
    var category: Int64
}
