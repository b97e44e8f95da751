import KappaCore
import KappaTesting
import Testing

// Code of docs/library.md and README.md, between markers; DocsTests holds the texts equal.

struct OrderPlaced: Event, Encodable {
    var orderID: String
    var total: Decimal
}

struct OrderShipped: Event, Encodable {
    var orderID: String
}

struct Order: Codable, Equatable, Sendable {
    enum Status: String, Codable, Sendable { case placed, shipped }

    var total: Decimal
    var status = Status.placed
}

let orders = View("orders", row: Order.self, digest: "1") {
    On(OrderPlaced.self, key: \.orderID) { event, row in row = Order(total: event.total) }
    On(OrderShipped.self, key: \.orderID) { _, row in row?.status = .shipped }
}

// docs: embed
func shipAnOrder(in folder: String) async throws -> Order? {
    let kappa = try await Kappa.open(folder, views: ViewSet([orders]))
    let running = Task { try await kappa.run() }

    try await kappa.append(OrderPlaced(orderID: "o-1", total: 12))
    let offset = try await kappa.append(OrderShipped(orderID: "o-1"))  // durable from here on

    while try await kappa.position(of: orders) ?? .zero <= offset {
        try await Task.sleep(for: .milliseconds(1))
    }
    let order = try await kappa.row(of: orders, key: "o-1")

    await kappa.close()
    try await running.value
    return order
}
// docs: end

// docs: follow
func firstChange(of kappa: Kappa) async throws -> Change? {
    for try await change in kappa.changes(of: orders) {
        return change
    }
    return nil
}
// docs: end

@Suite("The guide to the library")
struct LibraryGuideTests {
    @Test("the example appends, waits for its own event, reads it, and closes")
    func embedding() async throws {
        let folder = try TemporaryFolder()
        let order = try await shipAnOrder(in: folder.path + "/data")
        #expect(order == Order(total: 12, status: .shipped))
        let kappa = try await Kappa.open(folder.path + "/data", views: ViewSet([orders]))
        let change = try await firstChange(of: kappa)
        #expect(change?.operation == .insert)
        #expect(change?.key == #"["o-1"]"#)
        await kappa.close()
    }

    // docs: scenario
    @Test("a shipped order says so")
    func shippedOrder() throws {
        try Scenario(orders)
            .given(
                #"{"event_type":"order_placed","order_id":"o-1","total":12.50}"#,
                #"{"event_type":"order_shipped","order_id":"o-1"}"#
            )
            .expect("order_id,total,status", "o-1,12.5,shipped")
    }
    // docs: end
}
