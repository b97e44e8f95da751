import KappaCore
import Testing

// Code of docs/comparing.md, between markers; DocsTests holds the texts equal.

struct Placed: Event {
    var orderID: String
    var total: Decimal
}

let revenue = View("revenue", digest: "new") {
    Events(Placed.self).grouped(by: \.orderID)
        .aggregate(.count(as: "orders"), .sum(\.total, as: "revenue"))
}

// docs: earlier
let revenueBefore = View("revenue", digest: "=925be1daf1f96b23") {
    Events(Placed.self).grouped(by: \.orderID).aggregate(.count(as: "orders"))
}

let compared = ViewSet([revenue], earlier: [revenueBefore])
// docs: end

@Suite("The guide about comparing")
struct ComparingGuideTests {
    @Test("an earlier definition has the digest of its version")
    func earlier() throws {
        let digests = try compared.comparable().map(\.digest)
        #expect(digests.count == 2 && digests[1] == "925be1daf1f96b23")
    }
}
