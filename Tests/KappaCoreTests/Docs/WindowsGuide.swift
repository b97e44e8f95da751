import KappaCore

// The code of docs/views.md about late events, retention and conditions on every aggregate.

// docs: lateKept
let hourlyKept = View("hourly_kept") {
    Events(Purchase.self, at: \.at)
        .window(.tumbling(.hours(1)), lateness: .minutes(10), late: .deadLetters)
        .grouped(by: \.shop)
        .aggregate(.count(as: "purchases"))
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
            .count(as: "purchases"), .count(as: "late_ones", where: { $0.isLate }))
}
// docs: end

// docs: retention
let thirtyDays = View("thirty_days") {
    Events(Purchase.self, at: \.at)
        .window(.tumbling(.hours(1)), lateness: .minutes(10), keep: .days(30))
        .grouped(by: \.shop)
        .aggregate(.count(as: "purchases"))
}
// docs: end

// docs: everyCondition
let withCoupon = View("with_coupon") {
    Events(Purchase.self, at: \.at)
        .grouped(by: \.shop)
        .aggregate(
            .count(as: "purchases", where: \.coupon != nil),
            .count(\.coupon, as: "coupons", where: \.coupon != nil),
            .sum(\.price, as: "revenue", where: \.coupon != nil),
            .average(\.price, as: "average", where: \.coupon != nil),
            .min(\.price, as: "cheapest", where: \.coupon != nil),
            .max(\.price, as: "dearest", where: \.coupon != nil),
            .first(\.userID, as: "first_user", where: \.coupon != nil),
            .last(\.userID, as: "last_user", where: \.coupon != nil),
            .argMin(\.userID, by: \.price, as: "thriftiest", where: \.coupon != nil),
            .argMax(\.userID, by: \.price, as: "best_customer", where: \.coupon != nil),
            .variance(\.price, .population, as: "variance", where: \.coupon != nil),
            .standardDeviation(\.price, .population, as: "deviation", where: \.coupon != nil),
            .median(\.price, as: "median", where: \.coupon != nil),
            .quantile(\.price, 0.9, as: "p90", where: \.coupon != nil),
            .approximateQuantile(\.price, 0.9, as: "about_p90", where: \.coupon != nil),
            .countDistinct(\.userID, as: "users", where: \.coupon != nil),
            .approximateDistinct(\.userID, as: "about_users", where: \.coupon != nil),
            .top(2, \.price, as: "largest", where: \.coupon != nil),
            .bottom(2, \.price, as: "smallest", where: \.coupon != nil),
            .collect(\.userID, limit: 5, as: "names", where: \.coupon != nil))
}
// docs: end
