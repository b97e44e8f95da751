import KappaCLI

/// Generates Nexmark's events: people, auctions and bids. The same seed gives the same bytes.
///
/// Of every fifty events, one is a person, three are auctions, and the others are bids. Some auctions,
/// bidders and sellers are hot: many events name them. Others are drawn from the latest ones, and from a few
/// that are yet to come, so that a bid may come before its auction.
struct NexmarkGenerator: Sendable {
    private var random: EventRandom
    private var clock = EventClock()
    private var texts = NexmarkTexts()
    private let channels: NexmarkChannels
    private let rate: Int64
    private let disorderMillis: UInt64
    private let bidderShift: UInt64
    /// The number of the next event.
    private var next: Int64 = 0

    /// 2024-01-15T23:55:33.700Z in milliseconds since 1970, so that the day soon changes.
    private static let firstMillis: Int64 = 1_705_362_933_700
    private static let firstID: UInt64 = 1_000

    /// - Parameters:
    ///   - rate: Events in a second of event time.
    ///   - disorderMillis: How much earlier the time of an event may be than its place in the sequence
    ///     implies.
    ///   - bidderShift: How much higher bidders' numbers are than people's, as in Nexmark's own events, in
    ///     which the person of a bidder comes long after the bid.
    init(
        seed: UInt64, rate: Int = 10_000, disorderMillis: Int = 0, bidderShift: UInt64 = 1_000
    ) {
        random = EventRandom(seed: seed)
        channels = NexmarkChannels(&random)
        self.rate = Int64(max(1, rate))
        self.disorderMillis = UInt64(max(0, disorderMillis))
        self.bidderShift = bidderShift
    }

    /// Appends events as lines of JSON.
    mutating func append(_ count: Int, to buffer: inout [UInt8]) {
        buffer.reserveCapacity(buffer.count + count * 350)
        for _ in 0..<count { append(to: &buffer) }
    }

    private mutating func append(to buffer: inout [UInt8]) {
        let place = next % 50
        let epoch = UInt64(next / 50)
        var millis = Self.firstMillis + next * 1_000 / rate
        if disorderMillis > 0, random.below(10) < 3 {
            millis -= Int64(random.below(disorderMillis + 1))
        }
        switch place {
        case 0: addPerson(epoch, millis, to: &buffer)
        case 1...3: addAuction(epoch * 3 + UInt64(place) - 1, epoch, millis, to: &buffer)
        default: addBid(epoch * 3 + 2, epoch, millis, to: &buffer)
        }
        next += 1
    }

    // MARK: The events

    private mutating func addPerson(
        _ number: UInt64, _ millis: Int64, to buffer: inout [UInt8]
    ) {
        EventText.add(#"{"event_type":"person","id":"#, to: &buffer)
        EventText.add(Self.firstID + number, to: &buffer)
        EventText.add(#","name":""#, to: &buffer)
        texts.addPerson(&random, to: &buffer)
        EventText.add(#"","date_time":""#, to: &buffer)
        clock.add(millis: millis, to: &buffer)
        addExtra(106...175, to: &buffer)
    }

    private mutating func addAuction(
        _ number: UInt64, _ person: UInt64, _ millis: Int64, to buffer: inout [UInt8]
    ) {
        EventText.add(#"{"event_type":"auction","id":"#, to: &buffer)
        EventText.add(Self.firstID + number, to: &buffer)
        EventText.add(#","item_name":""#, to: &buffer)
        texts.addWords(0...19, &random, to: &buffer)
        EventText.add(#"","description":""#, to: &buffer)
        texts.addWords(1...99, &random, to: &buffer)
        let initial = texts.price(&random)
        EventText.add(#"","initial_bid":"#, to: &buffer)
        EventText.add(initial, to: &buffer)
        EventText.add(#","reserve":"#, to: &buffer)
        EventText.add(initial + texts.price(&random), to: &buffer)
        EventText.add(#","date_time":""#, to: &buffer)
        clock.add(millis: millis, to: &buffer)
        EventText.add(#"","expires":""#, to: &buffer)
        clock.add(millis: millis + 1 + Int64(random.below(longestMillis)), to: &buffer)
        EventText.add(#"","seller":"#, to: &buffer)
        let isHot = random.below(4) < 3
        let seller = isHot ? person / 100 * 100 : recent(person, back: 999)
        EventText.add(Self.firstID + seller, to: &buffer)
        EventText.add(#","category":"#, to: &buffer)
        EventText.add(10 + random.below(5), to: &buffer)
        addExtra(270...510, afterText: false, to: &buffer)
    }

    private mutating func addBid(
        _ auction: UInt64, _ person: UInt64, _ millis: Int64, to buffer: inout [UInt8]
    ) {
        EventText.add(#"{"event_type":"bid","auction":"#, to: &buffer)
        let isHotAuction = random.below(2) == 0
        let number = isHotAuction ? auction / 100 * 100 : recent(auction, back: 100)
        EventText.add(Self.firstID + number, to: &buffer)
        EventText.add(#","bidder":"#, to: &buffer)
        let isHotBidder = random.below(4) < 3
        let bidder = isHotBidder ? person / 100 * 100 + 1 : recent(person, back: 999)
        EventText.add(Self.firstID + bidderShift + bidder, to: &buffer)
        EventText.add(#","price":"#, to: &buffer)
        EventText.add(texts.price(&random), to: &buffer)
        channels.add(&random, to: &buffer)
        EventText.add(#","date_time":""#, to: &buffer)
        clock.add(millis: millis, to: &buffer)
        addExtra(54...81, to: &buffer)
    }

    private mutating func addExtra(
        _ lengths: ClosedRange<UInt64>, afterText: Bool = true, to buffer: inout [UInt8]
    ) {
        if afterText { buffer.append(UInt8(ascii: "\"")) }
        EventText.add(#","extra":""#, to: &buffer)
        texts.addExtra(lengths, &random, to: &buffer)
        EventText.add("\"}\n", to: &buffer)
    }

    /// An auction lasts at most twice as long as it takes for a hundred more auctions to begin.
    private var longestMillis: UInt64 { UInt64(2 * 100 * 50 / 3 * 1_000 / rate) + 1 }

    /// One of the latest numbers, or one of the next ten.
    private mutating func recent(_ last: UInt64, back: UInt64) -> UInt64 {
        let first = last < back ? 0 : last - back
        return first + random.below(last + 11 - first)
    }
}
