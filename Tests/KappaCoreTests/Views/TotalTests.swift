import KappaTesting
import Testing

@testable import KappaCore

/// Aggregates without a key: one row for all.
@Suite("Totals") struct TotalTests {
    struct Sale: Event, ViewRow {
        var shop: String
        var amount: Int
        var isLarge: Bool { amount >= 10 }
    }
    struct ShopTotal: ViewRow {
        var shop: String
        var revenue: Int
    }

    private let sales = [
        Sale(shop: "b", amount: 3), Sale(shop: "a", amount: 10), Sale(shop: "b", amount: 20),
    ]

    @Test("a stream's total is one row, from columns and from structs alike")
    func stream() throws {
        let view = View("v") {
            Events(Sale.self).aggregate(
                .count().as("sales"), .sum(\.amount).as("revenue"), .max(\.amount).as("largest"),
                .count().where({ $0.isLarge }).as("large"))
        }
        for forbidsColumns in [false, true] {
            try ExpressionInputOptions.$forbidColumns.withValue(forbidsColumns) {
                try Scenario(view).given(sales)
                    .expect("scope,sales,revenue,largest,large", "all,3,33,20,2")
                try Scenario(view).expect("scope,sales,revenue,largest,large")
            }
        }
    }

    @Test("the total after a map, and of a table's rows, is one row as well")
    func further() throws {
        let mapped = View("v") {
            Events(Sale.self).map { $0.amount % 2 }.filter { $0 == 0 }
                .aggregate(.count().as("even"))
        }
        try Scenario(mapped).given(sales).expect("scope,even", "all,2")
        let second = View("v") {
            Events(Sale.self).grouped(by: \.shop).aggregate(.sum(\.amount).as("revenue"))
                .rows(as: ShopTotal.self)
                .aggregate(.count().as("shops"), .max(\.revenue).as("best"))
        }
        try Scenario(second).given(sales).expect("scope,shops,best", "all,2,23")
    }
}
