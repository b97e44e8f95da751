import KappaTesting

@testable import KappaCore

/// A small shop: a fold over several event types, with two tables, look-ups, deletes, and handlers that
/// throw; and a slow and obvious version of the same.
enum EventsShop {
    struct CustomerNamed: Event { var customerID: String, name: String }
    struct CustomerGone: Event { var customerID: String }
    struct OrderPlaced: Event {
        /// Random lines have times of all sizes.
        static let allowsTimesBefore1990 = true
        var orderID: String
        var customerID: String
        var amount: ExactDecimal
        var weight: Double
        var parts: Int
        var at: Timestamp
        var note: String?
        var address: Address?
    }
    struct OrderPaid: Event { var orderID: String, amount: ExactDecimal }
    struct OrderCancelled: Event { var orderID: String }

    struct Address: Codable, Equatable, Sendable {
        var city: String
        var zip: Int?
    }
    enum Status: String, Codable, Sendable { case open, paid }
    struct Order: Codable, Equatable, Sendable {
        var customer: String
        var rest: ExactDecimal
        var perPart: Double
        var due: Timestamp
        var status: Status
        var notes: [String]
        var address: Address?
        var lastNote: String?
        @Hidden var payments: Int
    }
    struct Customer: Codable, Equatable, Sendable {
        var name: String
        var orders = 0
    }
    struct Refusal: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    static let customers = Table("customers", key: String.self, row: Customer.self)

    static let view = View("orders", row: Order.self) {
        customers.on(CustomerNamed.self, key: \.customerID) { event, row in
            row = Customer(name: event.name, orders: row?.orders ?? 0)
        }
        On(OrderPlaced.self, key: \.orderID) { event, row, tables in
            guard var customer = try tables[customers, event.customerID] else {
                throw Refusal("no such customer")
            }
            customer.orders += 1
            try tables.set(customers, event.customerID, to: customer)
            row = try place(event, customer, over: row)
        }
        On(OrderPaid.self, key: \.orderID) { event, row in try pay(event, &row) }
        On(OrderCancelled.self, key: \.orderID) { _, row in row = nil }
        customers.on(CustomerGone.self, key: \.customerID) { _, row in
            if row == nil { throw Refusal("gone already") }
            row = nil
        }
    }

    @Sendable static func place(
        _ event: OrderPlaced, _ customer: Customer, over row: Order?
    ) throws -> Order {
        // After the customer was changed: this change must be undone.
        if event.parts == 3 { throw Refusal("three parts") }
        return Order(
            customer: customer.name, rest: event.amount,
            perPart: event.weight / Double(event.parts),
            due: event.parts == 2 ? Timestamp(microseconds: .max) : event.at + .days(30),
            status: .open, notes: (row?.notes ?? []) + (event.note.map { [$0] } ?? []),
            address: event.address, lastNote: event.note, payments: row?.payments ?? 0)
    }

    @Sendable static func pay(_ event: OrderPaid, _ row: inout Order?) throws {
        row?.payments += 1
        guard var order = row else { throw Refusal("no such order") }
        order.rest -= event.amount
        order.perPart += 1
        if order.payments % 3 == 0 { order.status = .paid }
        row = order
        if event.amount == 13 { throw Refusal("thirteen") }
    }

    // MARK: The reference

    private struct Model {
        var orders: [[UInt8]: Order] = [:]
        var customers: [[UInt8]: Customer] = [:]

        /// False if the event is ignored.
        mutating func apply(_ event: JSONValue) throws -> Bool {
            func read<E: Event>(_ type: E.Type) throws -> E? {
                guard event["event_type"] == E.eventType.map(JSONValue.string) else { return nil }
                return try ValueDecoder(event).decode(E.self)
            }
            if let event = try read(CustomerNamed.self) {
                let key = Array(event.customerID.utf8)
                customers[key] = Customer(
                    name: event.name, orders: customers[key]?.orders ?? 0)
            } else if let event = try read(OrderPlaced.self) {
                let key = Array(event.customerID.utf8)
                guard var customer = customers[key] else { throw Refusal("no such customer") }
                customer.orders += 1
                let order = Array(event.orderID.utf8)
                orders[order] = try place(event, customer, over: orders[order])
                customers[key] = customer
            } else if let event = try read(OrderPaid.self) {
                try pay(event, &orders[Array(event.orderID.utf8)])
            } else if let event = try read(OrderCancelled.self) {
                orders[Array(event.orderID.utf8)] = nil
            } else if let event = try read(CustomerGone.self) {
                guard customers.removeValue(forKey: Array(event.customerID.utf8)) != nil else {
                    throw Refusal("gone already")
                }
            } else {
                return false
            }
            return true
        }
    }

    static func reference(_ lines: [String]) throws -> EventsOutcome {
        var model = Model()
        var outcome = EventsOutcome(tables: [], counters: Counters(), dead: [])
        for (offset, line) in lines.enumerated() {
            var next = model
            do {
                if try next.apply(JSONValue(parsing: line)) {
                    outcome.counters.applied += 1
                } else {
                    outcome.counters.filtered += 1
                }
                model = next
            } catch {
                outcome.counters.dead += 1
                outcome.dead.append(
                    DeadLetter(
                        offset: Offset(UInt64(offset)), reason: FieldFailure.reason(error),
                        event: line))
            }
        }
        outcome.tables = [
            rows(model.orders, cells),
            rows(model.customers) { customer in
                [.text(customer.name), .integer(Int64(customer.orders))]
            },
        ]
        return outcome
    }

    private static func rows<Row>(
        _ rows: [[UInt8]: Row], _ cells: (Row) -> [Value]
    ) -> [[Value]] {
        rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { key, row in
            [.text(String(decoding: key, as: UTF8.self))] + cells(row)
        }
    }

    private static func cells(_ order: Order) -> [Value] {
        func text(_ string: String) -> String { Value.text(string).jsonText }
        let notes = "[\(order.notes.map(text).joined(separator: ","))]"
        let address = order.address.map { address in
            let zip = address.zip.map { ",\"zip\":\($0)" } ?? ""
            return Value.json("{\"city\":\(text(address.city))\(zip)}")
        }
        return [
            .text(order.customer), .decimal(order.rest),
            order.perPart.isNaN ? .null : .double(order.perPart), .timestamp(order.due),
            .text(order.status.rawValue), .json(notes), address ?? .null,
            order.lastNote.map { .text($0) } ?? .null,
        ]
    }

    // MARK: Random events

    private static let names = [
        #""a""#, #""b""#, "\"\u{E9}\"", "\"e\u{301}\"", #""\u0000""#, #""\"'\n""#, #""c""#,
    ]

    static func line(_ random: inout SplitMix) -> String {
        let order = random.pick(names)
        let customer = random.pick(names)
        let amount = random.pick(["13", "1.25", "-7", "12345678901234567890.5", "\"0.1\""])
        var fields: [String]
        switch random.below(12) {
        case 0:
            fields = [#""event_type":"customer_named""#, #""customer_id":\#(customer)"#]
            fields.append(#""name":\#(random.pick(names))"#)
        case 1: fields = [#""event_type":"customer_gone""#, #""customer_id":\#(customer)"#]
        case 2...5:
            fields = [
                #""event_type":"order_placed""#, #""order_id":\#(order)"#,
                #""customerId":\#(customer)"#, #""amount":\#(amount)"#,
                #""weight":\#(random.pick(["0", "1.5", "-2", "1e308"]))"#,
                #""parts":\#(random.below(5))"#, #""at":\#(random.below(2_000_000_000))"#,
            ]
            if random.chance(1, in: 2) { fields.append(#""note":\#(random.pick(names))"#) }
            if random.chance(1, in: 2) {
                let zip = random.pick(["1", "null", "-5"])
                fields.append(#""address":{"zip":\#(zip),"city":\#(random.pick(names))}"#)
            }
        case 6...9:
            fields = [#""event_type":"order_paid""#, #""order_id":\#(order)"#]
            fields.append(#""amount":\#(amount)"#)
        case 10: fields = [#""event_type":"order_cancelled""#, #""order_id":\#(order)"#]
        default: fields = [#""event_type":"other""#, #""order_id":\#(order)"#]
        }
        if random.chance(1, in: 30) { fields.remove(at: random.below(fields.count)) }
        if random.chance(1, in: 4) { fields.shuffle(using: &random) }
        return "{\(fields.joined(separator: ","))}"
    }
}
