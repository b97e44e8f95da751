import KappaCore

// The views of docs/views.md that join, rank and derive. DocsTests checks that the text between the markers
// equals the guide's, and StreamsGuideTests runs each of them.

// docs: ordered
struct Ordered: Event, ViewRow {
    var orderID: String
    var userID: String
    var item: String
    var price: ExactDecimal
    var at: Timestamp
}

struct Paid: Event, ViewRow {
    var orderID: String
    var amount: ExactDecimal
    var at: Timestamp
}
// docs: end

// docs: rows
let dearOrders = View("dear_orders") {
    Events(Ordered.self)
        .filter(\.price >= 100)
        .rows()
}
// docs: end

// docs: split
struct Basket: Event {
    struct Line: Codable, Sendable {
        var item: String
        var pieces: Int
    }

    var basketID: String
    var lines: [Line]
}

struct BasketLine: ViewRow {
    var basketID: String
    var item: String
    var pieces: Int
}

let basketLines = View("basket_lines") {
    Events(Basket.self)
        .flatMap { basket in
            basket.lines.map { line in
                BasketLine(basketID: basket.basketID, item: line.item, pieces: line.pieces)
            }
        }
        .rows()
}
// docs: end

// docs: join
struct PaidOrder: ViewRow {
    var orderID: String
    var item: String
    var due: ExactDecimal
}

let paidOrders = View("paid_orders") {
    Events(Ordered.self, at: \.at)
        .join(
            Events(Paid.self, at: \.at), on: \.orderID, equals: \.orderID,
            .within(.hours(24), lateness: .minutes(10)),
            where: { _, payment in payment.amount > 0 }
        ) { order, payment in
            PaidOrder(
                orderID: order.orderID, item: order.item, due: order.price - payment.amount)
        }
        .rows()
}
// docs: end

// docs: outer
struct OrderPayment: ViewRow {
    var orderID: String
    var paid: ExactDecimal?
}

let orderPayments = View("order_payments") {
    Events(Ordered.self)
        .leftJoin(Events(Paid.self), on: \.orderID, equals: \.orderID) { order, payment in
            OrderPayment(orderID: order.orderID, paid: payment?.amount)
        }
}
// docs: end

// docs: enrich
struct ItemPayment: ViewRow {
    var item: String
    var amount: ExactDecimal
}

let paidByItem = View("paid_by_item") {
    Events(Paid.self)
        .join(
            Events(Ordered.self).unique(by: \.orderID), on: \.orderID, equals: \.orderID,
            as: ItemPayment.self
        )
        .grouped(by: \.item)
        .aggregate(.sum(\.amount).as("paid"))
}
// docs: end

// docs: side
struct Shelf: ViewRow {
    var item: String
    var shelf: String
}

struct ShelfOrder: ViewRow {
    var shelf: String
    var price: ExactDecimal
}

let shelves = SideTable(
    [Shelf(item: "tea", shelf: "drinks"), Shelf(item: "jam", shelf: "spreads")], by: \.item)

let shelfRevenue = View("shelf_revenue") {
    Events(Ordered.self)
        .join(shelves, on: { $0.item }) { order, shelf in
            ShelfOrder(shelf: shelf.shelf, price: order.price)
        }
        .grouped(by: \.shelf)
        .aggregate(.sum(\.price).as("revenue"))
}
// docs: end

// docs: ranking
let dearestOrders = View("dearest_orders") {
    Events(Ordered.self)
        .grouped(by: \.userID)
        .top(2, by: .descending(\.price))
}

let latestOrders = View("latest_orders") {
    Events(Ordered.self)
        .grouped(by: \.userID)
        .last(by: \.at)
}
// docs: end

// docs: keep
let recentOrders = View("recent_orders") {
    Events(Ordered.self)
        .grouped(by: \.userID)
        .keep { kept, new in
            kept.append(new)
            kept.removeAll { $0.at <= new.at + .hours(-1) }
        }
}
// docs: end

// docs: unique
let itemsSold = View("items_sold") {
    Events(Ordered.self)
        .unique(by: \.orderID)
        .grouped(by: \.item)
        .aggregate(.count().as("orders"), .sum(\.price).as("revenue"))
}
// docs: end

// docs: pattern
struct Login: Event {
    var userID: String
    var isGood: Bool
    var at: Timestamp
}

struct Guesses: Codable, Equatable, Sendable {
    @Hidden var failures = 0
    var alarms = 0
    var lastAlarm: Timestamp?
}

let guesses = View("guesses", initially: Guesses()) {
    On(Login.self, key: \.userID) { login, row in
        if !login.isGood {
            row.failures += 1
        } else {
            if row.failures >= 3 {
                row.alarms += 1
                row.lastAlarm = login.at
            }
            row.failures = 0
        }
    }
}
// docs: end

// docs: second
struct SpentInDay: ViewRow {
    var windowStart: Timestamp
    var userID: String
    var spent: ExactDecimal
}

let bestCustomers = View("best_customers") {
    Events(Ordered.self, at: \.at)
        .window(.tumbling(.days(1)))
        .grouped(by: \.userID)
        .aggregate(.sum(\.price).as("spent"))
        .rows(as: SpentInDay.self)
        .grouped(by: \.windowStart)
        .top(1, by: .descending(\.spent), ties: .all)
}

let averageBest = View("average_best") {
    Events(Ordered.self)
        .grouped(by: \.item, \.userID)
        .aggregate(.max(\.price).as("best"))
        .rows(as: BestPrice.self)
        .grouped(by: \.item)
        .aggregate(.average(\.best).as("average"), .count().as("users"))
}

struct BestPrice: ViewRow {
    var item: String
    var userID: String
    var best: ExactDecimal
}
// docs: end

// docs: reduce
struct Median: ViewRow {
    var price: ExactDecimal
}

let medianBest = View("median_best") {
    Events(Ordered.self)
        .grouped(by: \.item, \.userID)
        .aggregate(.max(\.price).as("best"))
        .rows(as: BestPrice.self)
        .grouped(by: \.item)
        .reduce(by: .ascending(\.best)) { rows in
            [Median(price: rows[rows.count / 2].best)]
        }
}
// docs: end
