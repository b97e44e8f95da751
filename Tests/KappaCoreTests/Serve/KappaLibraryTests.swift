import KappaTesting
import Testing

@testable import KappaCore

private struct Placed: Event, Encodable {
    var orderID: String
    var total: ExactDecimal
}

private struct Shipped: Event, Encodable {
    var orderID: String
}

private struct ShopOrder: Codable, Equatable, Sendable {
    var total: ExactDecimal
    var isShipped = false
}

private let shopOrders = View("orders", row: ShopOrder.self, digest: "1") {
    On(Placed.self, key: \.orderID) { event, row in row = ShopOrder(total: event.total) }
    On(Shipped.self, key: \.orderID) { _, row in row?.isShipped = true }
}

private let ticks = tally("1")

@Suite("kappa embedded in a program")
struct KappaLibraryTests {
    private let folder: TemporaryFolder
    private let views = ViewSet([shopOrders, ticks])
    init() throws { folder = try TemporaryFolder() }

    private func open() async throws -> Kappa {
        try await Kappa.open(folder.path + "/data", views: views)
    }

    /// Waits for a condition without blocking a thread.
    private func until(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
        _ isSo: () async throws -> Bool
    ) async throws {
        let start = ContinuousClock.now
        while try await !isSo() {
            guard ContinuousClock.now - start < .seconds(30) else {
                Issue.record("\(what): not in good time", sourceLocation: sourceLocation)
                throw WaitedTooLong()
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test("typed events in, typed rows out")
    func typed() async throws {
        let kappa = try await open()
        #expect(try await kappa.row(of: shopOrders, key: "o-1") == nil)
        #expect(try await kappa.rows(of: shopOrders) == [])
        #expect(try await kappa.position(of: shopOrders) == nil)
        #expect(try await kappa.append(Placed(orderID: "o-1", total: 12)) == Offset(0))
        #expect(
            try await kappa.append([
                Placed(orderID: "o-2", total: 1), Placed(orderID: "o-0", total: 2),
            ]) == Offset(1))
        #expect(try await kappa.append(Shipped(orderID: "o-2")) == Offset(3))
        #expect(
            try await kappa.append(ndjson: Tick.line("a", 3) + "\n" + Tick.line("a", 4))
                == Offset(4))
        try await kappa.catchUp()
        #expect(try await kappa.row(of: shopOrders, key: "o-1") == ShopOrder(total: 12))
        #expect(
            try await kappa.rows(of: shopOrders)
                == [
                    ShopOrder(total: 2), ShopOrder(total: 12), ShopOrder(total: 1, isShipped: true),
                ])
        #expect(try await kappa.position(of: shopOrders) == Offset(6))
        let rows = try await kappa.rows(of: ticks)
        #expect(rows.map { $0["k"] } == [.text("a")])
        #expect(rows.map { $0["total"] } == [.integer(7)])
        await kappa.close()
    }

    @Test("run follows, and ends with everything committed when its task is cancelled")
    func cancellation() async throws {
        let kappa = try await open()
        let running = Task { try await kappa.run() }
        try await kappa.append(Placed(orderID: "o-1", total: 1))
        try await until("the row is visible") {
            try await kappa.row(of: shopOrders, key: "o-1") != nil
        }
        running.cancel()
        try await running.value
        // It can be run again, and continues.
        let again = Task { try await kappa.run() }
        try await kappa.append(Shipped(orderID: "o-1"))
        try await until("the row has changed") {
            try await kappa.row(of: shopOrders, key: "o-1")?.isShipped == true
        }
        await kappa.close()
        try await again.value
    }

    @Test("closing ends run and the streams of changes; closing twice or before run works, too")
    func closing() async throws {
        let kappa = try await open()
        let running = Task { try await kappa.run() }
        let following = Task {
            var changes: [Change] = []
            for try await change in kappa.changes(of: shopOrders) { changes.append(change) }
            return changes
        }
        try await kappa.append(Placed(orderID: "o-1", total: 1))
        try await until("the row is visible") {
            try await kappa.row(of: shopOrders, key: "o-1") != nil
        }
        await kappa.close()
        await kappa.close()
        try await running.value
        #expect(try await following.value.map(\.operation) == [.insert])
        try await kappa.run()
        let error = await #expect(throws: KappaError.self) {
            try await kappa.append(Placed(orderID: "o-2", total: 1))
        }
        #expect(error?.what == "this Kappa is closed")
        await #expect(throws: KappaError.self) { try await kappa.catchUp() }
        let closed = await #expect(throws: KappaError.self) {
            try await kappa.rows(of: shopOrders)
        }
        #expect(closed?.what == "this Kappa is closed")
    }

    @Test("a run that fails throws, and closing afterwards does not wait forever")
    func failure() async throws {
        let first = try await open()
        let running = Task { try await first.run() }
        try await first.append(Placed(orderID: "o-1", total: 1))
        try await until("it is at work") { try await first.position(of: shopOrders) == Offset(1) }
        let second = try await open()
        let error = await #expect(throws: KappaError.self) { try await second.catchUp() }
        #expect(error?.code == .heldElsewhere)
        await second.close()
        await first.close()
        try await running.value
        let damaged = try SystemFiles().open(
            first.data.file(VersionID("orders", VersionNumber(1))), 0o2)
        try SystemFiles().write(damaged, [UInt8](repeating: 7, count: 4_096), at: 0)
        let third = try await open()
        let damage = await #expect(throws: KappaError.self) { try await third.catchUp() }
        #expect(damage?.code == .damaged)
        await third.close()
    }

    @Test("changes come in order, from the first row on, and across a promotion")
    func changes() async throws {
        let kappa = try await open()
        let running = Task { try await kappa.run() }
        let following = Task {
            var seen: [String] = []
            for try await change in kappa.changes(of: shopOrders) {
                seen.append("\(change.operation.rawValue) \(change.key)")
                if seen.count == 5 { break }
            }
            return seen
        }
        try await kappa.append(Placed(orderID: "o-1", total: 1))
        try await until("the row is visible") {
            try await kappa.row(of: shopOrders, key: "o-1") != nil
        }
        try await kappa.append(Shipped(orderID: "o-1"))
        try await until("it has shipped") {
            try await kappa.row(of: shopOrders, key: "o-1")?.isShipped == true
        }
        // Another build, whose shopOrders all cost nothing.
        let other = View("orders", row: ShopOrder.self, digest: "2") {
            On(Placed.self, key: \.orderID) { _, row in row = ShopOrder(total: 0) }
        }
        let newer = try await Kappa.open(kappa.folder, views: ViewSet([other]))
        try await newer.catchUp()
        try await newer.append(Placed(orderID: "o-2", total: 1))
        try await newer.catchUp()
        #expect(
            try await following.value == [
                #"insert ["o-1"]"#, #"update ["o-1"]"#, "promoted ", #"update ["o-1"]"#,
                #"insert ["o-2"]"#,
            ])
        await newer.close()
        await kappa.close()
        try await running.value
    }

    @Test("a thousand concurrent appends all arrive, each once, each with its own offset")
    func concurrentAppends() async throws {
        let kappa = try await open()
        let running = Task { try await kappa.run() }
        let offsets = try await withThrowingTaskGroup(of: Offset.self) { group in
            for number in 0..<1_000 {
                group.addTask { try await kappa.append(Tick(k: "k\(number % 10)", v: number)) }
            }
            return try await group.reduce(into: Set<Offset>()) { $0.insert($1) }
        }
        #expect(offsets == Set((0..<1_000).map { Offset($0) }))
        try await until("all are applied") { try await kappa.position(of: ticks) == Offset(1_000) }
        let rows = try await kappa.rows(of: ticks)
        #expect(rows.count == 10)
        #expect(rows.allSatisfy { $0["n"] == .integer(100) })
        await kappa.close()
        try await running.value
    }

    @Test("invalid input is refused, and nothing is appended")
    func refusals() async throws {
        let kappa = try await open()
        let error = await #expect(throws: KappaError.self) {
            try await kappa.append(ndjson: "{\"a\":1}\n[1]\n")
        }
        #expect(error?.code == .badInput)
        let info = try LogReader(kappa.data.log).durableEnd()
        #expect(info == .zero)
        let other = View("nosuch", row: ShopOrder.self, digest: "1") {
            On(Shipped.self, key: \.orderID) { _, row in row = nil }
        }
        let missing = await #expect(throws: KappaError.self) {
            try await kappa.row(of: other, key: "x")
        }
        #expect(missing?.code == .notFound)
        await #expect(throws: KappaError.self) {
            try await Kappa.open("/proc/nosuch/data", views: views)
        }
        await kappa.close()
        // An invalid view does not keep the folder from opening; calls about it say what is wrong.
        let twice = try await Kappa.open(folder.path, views: ViewSet([shopOrders, shopOrders]))
        let wrong = await #expect(throws: KappaError.self) {
            try await twice.row(of: shopOrders, key: "x")
        }
        #expect(wrong?.what == "two views are named \(shopOrders.name)")
        await twice.close()
    }
}
