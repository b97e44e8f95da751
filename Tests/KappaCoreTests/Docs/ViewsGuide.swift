import KappaCore

// The views of docs/views.md. DocsTests checks that the text between the markers equals the guide's, and
// ViewsGuideTests runs each of them.

// docs: purchase
struct Purchase: Event {
    var userID: String
    var shop: String
    var price: ExactDecimal
    var coupon: String?
    var at: Timestamp
}
// docs: end

// docs: spending
let spending = View("spending") {
    Events(Purchase.self)
        .grouped(by: \.userID)
        .aggregate(.count().as("purchases"), .sum(\.price).as("spent"))
}
// docs: end

// docs: trip
struct Trip: Event {
    enum Vehicle: String, Codable, KeyValue { case car, bike }

    struct Place: Codable, Sendable {
        var city: String
        var country: String?
    }

    var vehicle: Vehicle
    var start: Place
    var stops: [Place]
    var startedAt: Timestamp

    static let eventType: String? = "trip.finished"
}

let trips = View("trips") {
    Events(Trip.self)
        .grouped(by: \.vehicle, \.start.city)
        .aggregate(.count().as("trips"), .max(\.startedAt).as("last_started"))
}
// docs: end

// docs: streams
let citiesVisited = View("cities_visited") {
    Events(Trip.self)
        .filter { $0.vehicle == .bike }
        .flatMap { $0.stops }
        .compactMap { $0.country == nil ? nil : $0.city }
        .map { city in (city: city, letters: city.count) }
        .grouped(as: "city") { $0.city }
        .aggregate(.count().as("stops"), .sum { $0.letters }.as("letters"))
}
// docs: end

// docs: properties
struct Points: ViewRow {
    var shop: String
    var customer: String
    var points: ExactDecimal
    var at: Timestamp
}

let pointsEarned = View("points_earned") {
    Events(Purchase.self)
        .map(
            as: Points.self, .set(\.customer, from: \.userID),
            .set(\.points, from: \.price) { $0 * 10 }
        )
        .rows()
}
// docs: end

// docs: aggregates
let shops = View("shops") {
    Events(Purchase.self, at: \.at)
        .grouped(by: \.shop)
        .aggregate(
            .count().as("purchases"),
            .count(\.coupon).as("with_coupon"),
            .sum(\.price).as("revenue"),
            .sum { $0.price + $0.price }.as("doubled"),
            .average(\.price).as("average_price"),
            .min(\.price).as("cheapest"),
            .max(\.at).as("last_at"),
            .first(\.userID).as("first_user"),
            .last(\.coupon).as("last_coupon"),
            .countDistinct(\.userID).as("users"))
}
// docs: end

// docs: spread
let priceSpread = View("price_spread") {
    Events(Purchase.self)
        .grouped(by: \.shop)
        .aggregate(
            .variance(\.price, .population).as("variance"),
            .standardDeviation(\.price, .sample).as("deviation"),
            .argMax(\.userID, by: \.price).as("best_customer"),
            .argMin(\.at, by: \.price).as("cheapest_at"),
            .collect(\.userID, limit: 2).as("first_users"),
            .approximateDistinct(\.userID).as("users"))
}
// docs: end

// docs: levels
let priceLevels = View("price_levels") {
    Events(Purchase.self)
        .grouped(by: \.shop)
        .aggregate(
            .median(\.price).as("median"),
            .quantile(\.price, 0.9).as("p90"),
            .approximateQuantile(\.price, 0.99).as("about_p99"),
            .top(2, \.price).as("largest"),
            .bottom(1, \.userID, by: \.price).as("thriftiest"),
            .average(rounding: .towardZero, of: { $0.userID.count }).as("name_length"))
}
// docs: end

// docs: typedRows
struct ShopTotals: Codable, Equatable, Sendable {
    var shop: String
    var purchases: Int
    var revenue: ExactDecimal
    var averagePrice: Double?
}

let shopTotals = View("shop_totals") {
    Events(Purchase.self)
        .grouped(by: \.shop)
        .aggregate(
            as: ShopTotals.self, .count().as(\.purchases), .sum(\.price).as(\.revenue),
            .average(\.price).as(\.averagePrice))
}
// docs: end

// docs: conditions
let priceRanks = View("price_ranks") {
    Events(Purchase.self)
        .grouped(by: \.shop)
        .aggregate(
            .count().where(\.price < 5).as("cheap"),
            .count().where(\.price >= 5 && \.userID != "bob").as("dear"),
            .sum(\.price).where(\.coupon != nil).as("with_coupon"),
            .last(\.userID).where({ $0.userID.count > 3 }).as("last_long_name"))
}
// docs: end

// docs: tumbling
let hourly = View("hourly") {
    Events(Purchase.self, at: \.at)
        .window(.tumbling(.hours(1)), lateness: .minutes(10))
        .grouped(by: \.shop)
        .aggregate(.count().as("purchases"), .sum(\.price).as("revenue"))
}
// docs: end

// docs: fastClock
let steadyHours = View("steady_hours") {
    Events(Purchase.self, at: \.at)
        .ignoringTimes(furtherAheadThan: .hours(1))
        .window(.tumbling(.hours(1)), lateness: .minutes(10))
        .aggregate(.count().as("purchases"))
}
// docs: end

// docs: hopping
let busyHours = View("busy_hours") {
    Events(Purchase.self, at: \.at)
        .window(.hopping(.hours(1), every: .minutes(30)), lateness: .minutes(10))
        .grouped(by: \.shop, \.userID)
        .aggregate(.count().as("purchases"))
}
// docs: end

// docs: sliding
let lastHour = View("last_hour") {
    Events(Purchase.self, at: \.at)
        .grouped(by: \.userID)
        .window(.sliding(.hours(1)), lateness: .minutes(30))
        .aggregate(.count().as("purchases"), .sum(\.price).as("spent"))
}
// docs: end

// docs: calendar
let monthly = View("monthly") {
    Events(Purchase.self, at: \.at)
        .window(.monthly(in: "Europe/Berlin"))
        .grouped(by: \.shop)
        .aggregate(.sum(\.price).as("revenue"))
}
// docs: end

// docs: ingestion
let arrivals = View("arrivals") {
    Events(Purchase.self, at: .ingestion)
        .window(.tumbling(.minutes(1)))
        .aggregate(.count().as("purchases"))
}
// docs: end

// docs: sessions
let visits = View("visits") {
    Events(Purchase.self, at: \.at)
        .grouped(by: \.userID)
        .window(.session(gap: .minutes(30)))
        .aggregate(.count().as("purchases"), .first(\.shop).as("first_shop"))
}
// docs: end

// docs: tables
let revenue = View("revenue") {
    Events(Purchase.self)
        .grouped(by: \.shop)
        .aggregate(.sum(\.price).as("revenue"))
    Events(Purchase.self, at: \.at)
        .window(.tumbling(.days(1)))
        .aggregate(.sum(\.price).as("revenue"))
        .into("revenue_by_day")
}
// docs: end

// docs: fold
struct AccountOpened: Event {
    var accountID: String
    var owner: String
}

struct MoneyMoved: Event {
    var accountID: String
    var amount: ExactDecimal
}

struct AccountClosed: Event {
    var accountID: String
}

struct Account: Codable, Equatable, Sendable {
    var owner: String
    var balance: ExactDecimal = 0
}

struct NoSuchAccount: Error {}

let accounts = View("accounts", row: Account.self) {
    On(AccountOpened.self, key: \.accountID) { event, row in
        row = Account(owner: event.owner)
    }
    On(MoneyMoved.self, key: \.accountID) { event, row in
        guard row != nil else { throw NoSuchAccount() }
        row?.balance += event.amount
    }
    On(AccountClosed.self, key: \.accountID) { _, row in row = nil }
}
// docs: end

// docs: initially
struct Activity: Codable, Equatable, Sendable {
    var purchases = 0
    var daysActive = 0
    @Hidden var lastDay: Int64?
}

let activity = View("activity", initially: Activity()) {
    On(Purchase.self, key: \.userID) { event, row in
        row.purchases += 1
        if row.lastDay != event.at.utcDay { row.daysActive += 1 }
        row.lastDay = event.at.utcDay
    }
}
// docs: end

// docs: lookup
struct CustomerNamed: Event {
    var customerID: String
    var name: String
}

struct OrderReceived: Event {
    var orderID: String
    var customerID: String
}

struct Customer: Codable, Equatable, Sendable {
    var name: String
    var orders = 0
}

struct NamedOrder: Codable, Equatable, Sendable {
    var customer: String?
}

let customers = Table("customers", key: String.self, row: Customer.self)

let namedOrders = View("named_orders", row: NamedOrder.self) {
    customers.on(CustomerNamed.self, key: \.customerID) { event, row in
        row = Customer(name: event.name, orders: row?.orders ?? 0)
    }
    On(OrderReceived.self, key: \.orderID) { event, row, tables in
        var customer = try tables[customers, event.customerID]
        row = NamedOrder(customer: customer?.name)
        customer?.orders += 1
        try tables.set(customers, event.customerID, to: customer)
    }
}
// docs: end

// docs: upcaster
struct TemperatureV1: Event {
    var sensor: String
    var fahrenheit: Double

    static let eventType: String? = "temperature"
}

struct Temperature: Event {
    var sensor: String
    var celsius: Double

    static let upcasters = [
        Upcaster(from: TemperatureV1.self) {
            Temperature(sensor: $0.sensor, celsius: ($0.fahrenheit - 32) / 1.8)
        }
    ]
}

let hottest = View("hottest") {
    Events(Temperature.self)
        .grouped(by: \.sensor)
        .aggregate(.max(\.celsius).as("celsius"))
}
// docs: end
