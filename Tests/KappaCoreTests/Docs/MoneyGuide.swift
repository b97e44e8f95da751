import Foundation
import KappaCore

// The code of docs/money-and-time.md.

// docs: moneyTax
struct Receipt: Event {
    var shop: String
    var net: ExactDecimal
    var at: Timestamp
}

struct Takings: Codable, Equatable, Sendable {
    var net: ExactDecimal = 0
    var tax: ExactDecimal = 0
}

let takings = View("takings", initially: Takings()) {
    On(Receipt.self, key: \.shop) { receipt, row in
        row.net += receipt.net
        row.tax += (receipt.net * 0.19).rounded(scale: 2, rounding: .toNearestOrAwayFromZero)
    }
}
// docs: end

enum MoneyGuide {
    static func split() throws -> [ExactDecimal] {
        // docs: moneyDivide
        let total: ExactDecimal = 100
        let share = try total.divided(by: 3, scale: 2, rounding: .down)  // 33.33
        let last = total - share * 2  // 33.34
        // docs: end
        return [share, last]
    }

    static func convert() -> (ExactDecimal?, Int?, Double, Decimal) {
        // docs: moneyConvert
        let price = ExactDecimal("1234567890.123456789")  // nil where it is no number
        let cents = Int(exactly: (19.99 as ExactDecimal) * 100)  // 1999; nil for half a cent
        let roughly = Double(19.99 as ExactDecimal)
        let foundation = Decimal(19.99 as ExactDecimal)  // and ExactDecimal(foundation)
        // docs: end
        return (price, cents, roughly, foundation)
    }

    static func times(_ ordered: Timestamp, _ shipped: Timestamp) throws -> (Bool, String, Int) {
        // docs: timeArithmetic
        let isSlow = shipped - ordered > .days(2)
        let local = try shipped.local(in: "Europe/Berlin")
        let (date, hour) = (local.dateText, local.hour)  // "2024-03-31", 15
        // docs: end
        return (isSlow, date, hour)
    }
}

// docs: timeKey
let salesByDay = View("sales_by_day") {
    Events(Receipt.self)
        .grouped(by: \.shop, as: "day", by: .localDate(of: \.at, in: "Europe/Berlin"))
        .aggregate(.sum(\.net).as("net"))
}
// docs: end

// docs: timeWindow
let dailySales = View("daily_sales") {
    Events(Receipt.self, at: \.at)
        .window(.daily(in: "Europe/Berlin", dateColumn: "day"))
        .grouped(by: \.shop)
        .aggregate(.sum(\.net).as("net"))
}
// docs: end
