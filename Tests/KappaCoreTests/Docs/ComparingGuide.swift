import KappaCore
import Testing

// Code of docs/comparing.md, between markers; DocsTests checks that the texts are equal.

struct OrderTotalled: Event {
    var orderID: String
    var total: ExactDecimal
}

let orderTotals = View("order_totals", digest: "new") {
    Events(OrderTotalled.self).grouped(by: \.orderID)
        .aggregate(.count().as("orders"), .sum(\.total).as("revenue"))
}

// docs: earlier
let orderTotalsBefore = View("order_totals", digest: "=925be1daf1f96b23") {
    Events(OrderTotalled.self).grouped(by: \.orderID).aggregate(.count().as("orders"))
}

let orderViews = ViewSet([orderTotals], earlier: [orderTotalsBefore])
// docs: end

// docs: indexed
let revenueByOrder = View("revenue_by_order", digest: "1") {
    Events(OrderTotalled.self).grouped(by: \.orderID).aggregate(.sum(\.total).as("revenue"))
}.indexed()
// docs: end

@Suite("The guide about comparing")
struct ComparingGuideTests {
    @Test("the example has an index, which is not part of its digest")
    func indexed() throws {
        let definition = try ViewSet([revenueByOrder]).definitions()[0]
        #expect(definition.isIndexed && definition.tables.last?.isKeyIndex == true)
    }

    @Test("an earlier definition has the digest of its version")
    func earlier() throws {
        let digests = orderViews.comparable().map(\.digest)
        #expect(digests.count == 2 && digests[1] == "925be1daf1f96b23")
    }
}
