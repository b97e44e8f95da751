import KappaCLI
import KappaCore

/// An order as shops write it: lines in an array, a dictionary, fields that are often missing.
struct BenchOrder: Event {
    static let eventType: String? = "order_placed"
    var orderID: String
    var customerID: String
    var placedAt: Timestamp
    var shipping: Address
    var lines: [Line]
    var attributes: [String: String]
    var coupon: String?
    var discount: ExactDecimal?

    struct Address: Codable, Sendable {
        var city: String
        var postCode: String
        var country: String?
    }
    struct Line: Codable, Sendable {
        var productID: String
        var quantity: Int
        var unitPrice: ExactDecimal
        var giftWrap: Bool?
    }
}

/// What a customer has ordered.
struct CustomerOrders: Codable, Equatable, Sendable {
    var orders = 0
    var items = 0
    var revenue: ExactDecimal = 0
    var fromApp = 0
    var coupons = 0
}

/// The fold of W11.
let customerOrders = View("customer_orders", initially: CustomerOrders(), digest: "1") {
    On(BenchOrder.self, key: \.customerID) { order, customer in
        customer.orders += 1
        for line in order.lines {
            customer.items += line.quantity
            customer.revenue += line.unitPrice * ExactDecimal(line.quantity)
        }
        customer.revenue -= order.discount ?? 0
        if order.attributes["channel"] == "app" { customer.fromApp += 1 }
        if order.coupon != nil { customer.coupons += 1 }
    }
}

/// Generates orders of one to five lines. The same seed gives the same bytes.
struct OrderGenerator {
    private var random: EventRandom
    private var clock = EventClock()
    private var next: UInt64 = 0
    private let customers: UInt64
    /// 2024-01-15T14:30:00Z in milliseconds since 1970.
    private static let firstMillis: Int64 = 1_705_329_000_000

    init(seed: UInt64, customers: Int) {
        random = EventRandom(seed: seed)
        self.customers = UInt64(customers)
    }

    mutating func append(_ count: Int, to buffer: inout [UInt8]) {
        for _ in 0..<count { append(to: &buffer) }
    }

    private mutating func append(to buffer: inout [UInt8]) {
        EventText.add("{\"event_type\":\"order_placed\",\"order_id\":\"o-", to: &buffer)
        EventText.add(next, to: &buffer)
        EventText.add("\",\"customer_id\":\"customer-", to: &buffer)
        EventText.add(random.below(customers), to: &buffer)
        EventText.add("\",\"placed_at\":\"", to: &buffer)
        clock.add(millis: Self.firstMillis + Int64(next) * 10, to: &buffer)
        EventText.add("\",\"shipping\":{\"city\":\"city ", to: &buffer)
        EventText.add(random.below(500), to: &buffer)
        EventText.add("\",\"post_code\":\"", to: &buffer)
        EventText.add(10_000 + random.below(80_000), to: &buffer)
        if random.below(2) == 0 { EventText.add("\",\"country\":\"DE", to: &buffer) }
        EventText.add("\"},\"lines\":[", to: &buffer)
        for line in 0..<(1 + random.below(5)) {
            if line > 0 { buffer.append(UInt8(ascii: ",")) }
            appendLine(to: &buffer)
        }
        EventText.add("],\"attributes\":{\"channel\":\"", to: &buffer)
        let channel: StaticString = random.below(3) == 0 ? "app" : "web"
        EventText.add(channel, to: &buffer)
        EventText.add("\",\"campaign\":\"spring-", to: &buffer)
        EventText.add(random.below(40), to: &buffer)
        EventText.add("\"}", to: &buffer)
        if random.below(4) == 0 { EventText.add(",\"coupon\":\"TEN\"", to: &buffer) }
        if random.below(4) == 0 {
            EventText.add(",\"discount\":", to: &buffer)
            EventText.add(1 + random.below(9), to: &buffer)
            EventText.add(".50", to: &buffer)
        }
        EventText.add("}\n", to: &buffer)
        next += 1
    }

    private mutating func appendLine(to buffer: inout [UInt8]) {
        EventText.add("{\"product_id\":\"product-", to: &buffer)
        EventText.add(random.below(5_000), to: &buffer)
        EventText.add("\",\"quantity\":", to: &buffer)
        EventText.add(1 + random.below(4), to: &buffer)
        EventText.add(",\"unit_price\":", to: &buffer)
        EventText.add(1 + random.below(200), to: &buffer)
        EventText.add(".", to: &buffer)
        EventText.add(10 + random.below(89), to: &buffer)
        if random.below(5) == 0 { EventText.add(",\"gift_wrap\":true", to: &buffer) }
        EventText.add("}", to: &buffer)
    }
}
