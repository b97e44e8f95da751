import KappaCore
import KappaTesting
import Testing

// Code of docs/library.md and README.md, between markers; DocsTests checks that the texts are equal.

struct OrderPlaced: Event, Encodable {
    var orderID: String
    var total: ExactDecimal
}

struct OrderShipped: Event, Encodable {
    var orderID: String
}

struct Order: Codable, Equatable, Sendable {
    enum Status: String, Codable, Sendable { case placed, shipped }

    var total: ExactDecimal
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

    try await kappa.wait(for: orders, reaching: offset)
    let order = try await kappa.row(of: orders, key: "o-1")

    await kappa.close()
    try await running.value
    return order
}
// docs: end

struct OpenOrder: Decodable, Sendable {
    var orderID: String
    var total: ExactDecimal
}

// docs: query
func printLargeOrders(_ kappa: Kappa, above total: ExactDecimal) async throws {
    var query = RowQuery(where: "total > ?", parameters: [.decimal(total)], limit: 100)
    repeat {
        // All rows of a page come as of one commit.
        let page = try await kappa.query(orders, as: OpenOrder.self, query)
        for order in page.rows { print(order.orderID, order.total) }
        query.after = page.next
    } while query.after != nil
}
// docs: end

// docs: decide
func ship(_ orderID: String, in kappa: Kappa) async throws {
    while true {
        let history = try await kappa.events(of: orders, key: RowKey(orderID))
        let isPlaced = try history.events.contains { try $0.decode(as: OrderPlaced.self) != nil }
        let isShipped = try history.events.contains { try $0.decode(as: OrderShipped.self) != nil }
        guard isPlaced, !isShipped else { return }
        do {
            try await kappa.append(
                [OrderShipped(orderID: orderID)], ifUnchangedSince: history.end,
                forKey: RowKey(orderID), of: orders)
            return
        } catch is AppendConflict {
            // Another task has changed the order meanwhile: look again.
        }
    }
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

// docs: observe
func runAndReport(_ kappa: Kappa, log: @escaping @Sendable (String) -> Void) async throws {
    try await kappa.run { report in
        switch report {
        case .failed(let version, let error): log("\(version) has stopped: \(error)")
        case .retrying(let version, let error, let time):
            log("\(version) tries again in \(time): \(error.what)")
        case .firstDeadLetter(let version, let letter):
            log("\(version) cannot take event \(letter.offset): \(letter.reason)")
        default: break
        }
    }
}
// docs: end

private let orderCounts = View("order_counts", digest: "1") {
    Events(OrderPlaced.self).grouped(by: \.orderID).aggregate(.count().as("orders"))
}

// docs: promote
func approve(_ kappa: Kappa) async throws -> [Promoted] {
    // The newest version of each view, with a gate more than the views themselves have.
    try await kappa.promote(orders, orderCounts, gates: [.removedRows(atMost: 0)])
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

    @Test("the example promotes both views, and says which versions are live")
    func promoting() async throws {
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(
            folder.path + "/data",
            views: ViewSet([
                orders.promote(when: .manualApproval), orderCounts.promote(when: .manualApproval),
            ]))
        try await kappa.append(OrderPlaced(orderID: "o-1", total: 12))
        try await kappa.catchUp()
        #expect(try await kappa.position(of: orders) == nil)
        let promoted = try await approve(kappa)
        #expect(promoted.map(\.version.description) == ["orders@1", "order_counts@1"])
        #expect(promoted.map(\.replaced) == [nil, nil])
        #expect(try await kappa.position(of: orders) == Offset(1))
        await kappa.close()
    }

    @Test("the example reports an event that no view can take")
    func observing() async throws {
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(folder.path + "/data", views: ViewSet([orders]))
        try await kappa.append(ndjson: #"{"event_type":"order_placed","order_id":"o-1"}"#)
        let lines = Monitor<[String]>([])
        let running = Task {
            try await runAndReport(kappa) { line in lines.withLock { $0.append(line) } }
        }
        while lines.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(5)) }
        await kappa.close()
        try await running.value
        #expect(lines.withLock { $0[0].hasPrefix("orders@1 cannot take event 0: ") })
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

    // docs: scenarioDead
    @Test("an order without a total is not taken")
    func noTotal() throws {
        try Scenario(orders)
            .given(#"{"event_type":"order_placed","order_id":"o-1"}"#)
            .expect(dead: 1)
            .expect()
    }
    // docs: end
}
