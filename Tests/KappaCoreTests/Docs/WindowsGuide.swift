import KappaCore

// The code of docs/views.md about late events, retention and conditions on every aggregate.

// docs: lateKept
let hourlyKept = View("hourly_kept") {
    Events(Purchase.self, at: \.at)
        .window(.tumbling(.hours(1)), lateness: .minutes(10), late: .deadLetters)
        .grouped(by: \.shop)
        .aggregate(.count().as("purchases"))
}
// docs: end

// docs: lateTold
struct TimelyPurchase: Codable, Equatable, Sendable {
    var shop: String
    var price: ExactDecimal
    var isLate: Bool
}

let timely = View("timely") {
    Events(Purchase.self, at: \.at)
        .map(inWindows: .hours(1), lateness: .minutes(10)) { purchase, isLate in
            TimelyPurchase(shop: purchase.shop, price: purchase.price, isLate: isLate)
        }
        .grouped(by: \.shop)
        .aggregate(
            .count().as("purchases"), .count().where({ $0.isLate }).as("late_ones"))
}
// docs: end

// docs: retention
let thirtyDays = View("thirty_days") {
    Events(Purchase.self, at: \.at)
        .window(.tumbling(.hours(1)), lateness: .minutes(10), keep: .days(30))
        .grouped(by: \.shop)
        .aggregate(.count().as("purchases"))
}
// docs: end

// docs: everyCondition
let withCoupon = View("with_coupon") {
    Events(Purchase.self, at: \.at)
        .grouped(by: \.shop)
        .aggregate(
            .count().where(\.coupon != nil).as("purchases"),
            .count(\.coupon).where(\.coupon != nil).as("coupons"),
            .sum(\.price).where(\.coupon != nil).as("revenue"),
            .average(\.price).where(\.coupon != nil).as("average"),
            .min(\.price).where(\.coupon != nil).as("cheapest"),
            .max(\.price).where(\.coupon != nil).as("dearest"),
            .first(\.userID).where(\.coupon != nil).as("first_user"),
            .last(\.userID).where(\.coupon != nil).as("last_user"),
            .argMin(\.userID, by: \.price).where(\.coupon != nil).as("thriftiest"),
            .argMax(\.userID, by: \.price).where(\.coupon != nil).as("best_customer"),
            .variance(\.price, .population).where(\.coupon != nil).as("variance"),
            .standardDeviation(\.price, .population).where(\.coupon != nil).as("deviation"),
            .median(\.price).where(\.coupon != nil).as("median"),
            .quantile(\.price, 0.9).where(\.coupon != nil).as("p90"),
            .approximateQuantile(\.price, 0.9).where(\.coupon != nil).as("about_p90"),
            .countDistinct(\.userID).where(\.coupon != nil).as("users"),
            .approximateDistinct(\.userID).where(\.coupon != nil).as("about_users"),
            .top(2, \.price).where(\.coupon != nil).as("largest"),
            .bottom(2, \.price).where(\.coupon != nil).as("smallest"),
            .collect(\.userID, limit: 5).where(\.coupon != nil).as("names"))
}
// docs: end
