import KappaCore
import KappaTesting
import Testing

/// The Swift of docs/changing-a-view.md, over the changed view of that page.
@Suite("The guide to changing a view")
struct ChangingGuide {
    struct OrderPlaced: Event {
        var orderID: String
        var total: ExactDecimal
    }

    struct OrderShipped: Event { var orderID: String }
    struct OrderCancelled: Event { var orderID: String }

    struct Order: Codable, Equatable, Sendable {
        enum Status: String, Codable, Sendable { case placed, shipped, cancelled }
        var total: ExactDecimal
        var status = Status.placed
    }

    private let orders = View("orders", row: Order.self, digest: "2") {
        On(OrderPlaced.self, key: \.orderID) { event, row in row = Order(total: event.total) }
        On(OrderShipped.self, key: \.orderID) { _, row in row?.status = .shipped }
        On(OrderCancelled.self, key: \.orderID) { _, row in row?.status = .cancelled }
    }

    // docs: cancelled
    @Test("a cancelled order stays, as cancelled")
    func cancelled() throws {
        try Scenario(orders)
            .given(
                #"{"event_type":"order_placed","order_id":"o-1","total":12}"#,
                #"{"event_type":"order_cancelled","order_id":"o-1"}"#
            )
            .expect("order_id,total,status", "o-1,12,cancelled")
    }
    // docs: end

    // docs: gates
    let gatedOrders = View("orders", row: Order.self, digest: "3") {
        On(OrderPlaced.self, key: \.orderID) { event, row in row = Order(total: event.total) }
        On(OrderCancelled.self, key: \.orderID) { _, row in row?.status = .cancelled }
    }
    .promote(
        when: .changedRows(atMost: .percent(1)), .removedRows(atMost: 0),
        .columnDrift("total", atMost: .percent(5)),
        .sql("SELECT order_id, total FROM new WHERE total < 0"),
        .check("most orders are not cancelled") { new in
            let cancelled = try new.rows("SELECT 1 FROM new WHERE status = 'cancelled'")
            return cancelled.count * 2 < new.newRows
        })
    // docs: end

    @Test("the gates of the guide can be used")
    func gates() throws {
        let definition = try #require(try ViewSet([gatedOrders]).definitions().first)
        #expect(definition.gates.count == 5)
    }
}
