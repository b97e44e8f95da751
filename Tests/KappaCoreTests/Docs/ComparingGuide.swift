import KappaCore
import Testing

// Code of docs/comparing.md, between markers; DocsTests holds the texts equal.

struct OrderTotalled: Event {
    var orderID: String
    var total: Decimal
}

let orderTotals = View("order_totals", digest: "new") {
    Events(OrderTotalled.self).grouped(by: \.orderID)
        .aggregate(.count(as: "orders"), .sum(\.total, as: "revenue"))
}

// docs: earlier
let orderTotalsBefore = View("order_totals", digest: "=925be1daf1f96b23") {
    Events(OrderTotalled.self).grouped(by: \.orderID).aggregate(.count(as: "orders"))
}

let orderViews = ViewSet([orderTotals], earlier: [orderTotalsBefore])
// docs: end

@Suite("The guide about comparing")
struct ComparingGuideTests {
    @Test("an earlier definition has the digest of its version")
    func earlier() throws {
        let digests = try orderViews.comparable().map(\.digest)
        #expect(digests.count == 2 && digests[1] == "925be1daf1f96b23")
    }
}
