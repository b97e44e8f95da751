import Foundation
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Why a row is as it is")
struct WhyTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private func definition(_ view: any AnyView) throws -> ViewDefinition {
        try ViewSet([view]).definitions()[0]
    }

    private func steps(
        _ views: [any AnyView], _ key: JSONValue, _ table: String? = nil, to end: Int,
        isThorough: Bool = false
    ) throws -> [Why.Step] {
        var steps: [Why.Step] = []
        let why = try Why(
            views.map(definition), key: key, table: table, to: Offset(UInt64(end)),
            in: folder.data, isThorough: isThorough)
        try why.run {
            steps.append($0)
            return true
        }
        return steps
    }

    /// Appends lines, some of them in time partitions, and ticks, which become lines too.
    private func appendInPartitions(_ lines: inout [String], _ random: inout SplitMix) throws {
        let places = try EventsPlace.random(&lines, &random)
        var positions: [String: UInt64] = [:]
        let writer = try LogWriter(folder.data.log)
        try EventsPlace.append(lines[...], places, writer, &positions)
    }

    /// The rows of each table after each event, the slow way; the first are those before any event.
    private func history(_ view: any AnyView, _ count: Int) throws -> [String: [[[Value]]]] {
        let fresh = try TemporaryFolder(inMemory: true)
        try FileManager.default.createSymbolicLink(
            atPath: DataFolder(fresh.path).log, withDestinationPath: folder.data.log)
        let version = try EventsVersion(view, in: fresh.path)
        let names = try definition(view).tables.map(\.name)
        var rows = Dictionary(uniqueKeysWithValues: names.map { ($0, [[[Value]]([])]) })
        for offset in 1...count {
            try version.scan(to: Offset(UInt64(offset)))
            for (name, table) in zip(names, try version.outcome().tables) {
                rows[name]?.append(table)
            }
        }
        return rows
    }

    private func json(_ key: [Value]) throws -> JSONValue {
        .array(try key.map { try JSONValue(parsing: $0.jsonText) })
    }

    @Test(
        "the events of a row and the row after each equal those of an event-by-event replay",
        arguments: HitViews.all.indices)
    func everyKind(_ index: Int) throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed &+ UInt64(index))
        let comment: Comment = "KAPPA_SEED=\(seed)"
        let (view, table) = HitViews.all[index]
        var lines = (0..<70).map { _ in HitViews.line(&random) }
        try appendInPartitions(&lines, &random)
        let count = lines.count
        let schema = try #require(
            definition(view).tables.first { $0.name == table ?? view.name })
        let rows = try history(view, count)[schema.name] ?? []
        let isSession = view.name.hasSuffix("sessions")
        func key(_ row: [Value]) -> [Value] { schema.keyColumns.map { row[$0] } }
        var keys: [[Value]] = []
        for row in rows.joined() where !keys.contains(key(row)) { keys.append(key(row)) }
        for wanted in keys.prefix(6) {
            let found = try steps([view], try json(wanted), table, to: count)
            let thorough = try steps(
                [view], try json(wanted), table, to: count, isThorough: true)
            #expect(found.map(\.offset) == thorough.map(\.offset), comment)
            #expect(found.map(\.rows) == thorough.map(\.rows), comment)
            for step in found {
                let offset = Int(step.offset.rawValue)
                #expect(step.event == lines[offset], comment)
                #expect(step.touched == [true] && !step.diverges, comment)
                if isSession {
                    // A session has other keys before it reaches this one; see the next test.
                    if let row = step.rows[0] { #expect(rows[offset + 1].contains(row), comment) }
                } else {
                    #expect(
                        step.rows[0] == rows[offset + 1].first { key($0) == wanted }, comment)
                }
            }
            // Every event that changed the row of this key is reported.
            let reported = Set(found.map(\.offset.rawValue))
            for offset in 0..<count where !isSession {
                let before = rows[offset].first { key($0) == wanted }
                let after = rows[offset + 1].first { key($0) == wanted }
                if before != after { #expect(reported.contains(UInt64(offset)), comment) }
            }
        }
        #expect(!keys.isEmpty, comment)
    }

    @Test("a session is followed while it grows and merges, whatever its key")
    func sessions() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let comment: Comment = "KAPPA_SEED=\(seed)"
        let view = HitViews.all[3].view
        var lines = (0..<60).map { _ in HitViews.line(&random) }
        try appendInPartitions(&lines, &random)
        let count = lines.count
        let schema = try definition(view).tables[0]
        let rows = try history(view, count)[schema.name] ?? []
        let start = try #require(schema.columns.firstIndex { $0.name == "window_start" })
        let end = try #require(schema.columns.firstIndex { $0.name == "window_end" })
        func holds(_ row: [Value], _ user: Value, _ time: Timestamp) -> Bool {
            guard case .timestamp(let from) = row[start], case .timestamp(let to) = row[end]
            else { return false }
            return row[0] == user && from <= time && time < to
        }
        for final in rows[count] {
            let found = try steps(
                [view], try json(schema.keyColumns.map { final[$0] }), to: count)
            var wanted: [(Int, [Value]?)] = []
            for (offset, line) in lines.enumerated() {
                let event = try JSONValue(parsing: line)
                guard case .string(let user)? = event["user"],
                    case .number(let number)? = event["at"], let time = Int64(number)
                else { continue }
                let at = Timestamp(epochNumber: time)
                guard holds(final, .text(user), at) else { continue }
                wanted.append((offset, rows[offset + 1].first { holds($0, .text(user), at) }))
            }
            #expect(found.map { Int($0.offset.rawValue) } == wanted.map(\.0), comment)
            #expect(found.map(\.rows[0]) == wanted.map(\.1), comment)
            #expect(found.last?.rows[0] == final, comment)
        }
    }

    @Test("a fold with look-ups is replayed in full: its rows after each event are correct, too")
    func lookUps() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let comment: Comment = "KAPPA_SEED=\(seed)"
        let view = View("orders", row: EventsShop.Order.self, digest: "1") {
            EventsShop.customers.on(EventsShop.CustomerNamed.self, key: \.customerID) {
                event, row in
                row = EventsShop.Customer(name: event.name, orders: row?.orders ?? 0)
            }
            On(EventsShop.OrderPlaced.self, key: \.orderID) { event, row, tables in
                guard var customer = try tables[EventsShop.customers, event.customerID] else {
                    throw EventsShop.Refusal("no such customer")
                }
                customer.orders += 1
                try tables.set(EventsShop.customers, event.customerID, to: customer)
                row = try EventsShop.place(event, customer, over: row)
            }
            On(EventsShop.OrderCancelled.self, key: \.orderID) { _, row in row = nil }
        }
        let count = 80
        try folder.append((0..<count).map { _ in EventsShop.line(&random) })
        let history = try history(view, count)
        for table in ["orders", "customers"] {
            let rows = history[table] ?? []
            for name in ["a", "b", "é"] {
                let key = Value.text(name)
                let found = try steps([view], .string(name), table, to: count)
                for step in found {
                    let after = rows[Int(step.offset.rawValue) + 1].first { $0[0] == key }
                    #expect(step.rows[0] == after, comment)
                }
                let reported = Set(found.map(\.offset.rawValue))
                for offset in 0..<count
                where rows[offset].first(where: { $0[0] == key })
                    != rows[offset + 1].first(where: { $0[0] == key })
                {
                    #expect(reported.contains(UInt64(offset)), comment)
                }
            }
            #expect(try !steps([view], .string("nobody"), table, to: count).contains { _ in true })
        }
    }

    @Test("every event of a key is reported, even one without a visible change")
    func invisible() throws {
        try folder.append([Tick.line("a", 5), Tick.line("b", 5), Tick.line("a", 3)])
        let view = View("most", digest: "1") {
            Events(Tick.self).grouped(by: \.k).aggregate(.max(\.v).as("most"))
        }
        let found = try steps([view], .string("a"), to: 3)
        #expect(found.map(\.offset) == [Offset(0), Offset(2)])
        #expect(found.map(\.rows[0]) == [[.text("a"), .integer(5)], [.text("a"), .integer(5)]])
    }

    @Test("two definitions side by side: the first event after which the rows differ is marked")
    func diverges() throws {
        try folder.append([3, 8, 40, 2, 50].map { Tick.line("a", $0) } + [Tick.line("b", 70)])
        let found = try steps([tally("1"), tally("2", below: 30)], .string("a"), to: 6)
        #expect(found.map(\.offset.rawValue) == [0, 1, 2, 3, 4])
        #expect(found.map(\.touched.count) == [2, 2, 2, 2, 2])
        #expect(found.map(\.touched[1]) == [true, true, false, true, false])
        #expect(found.map(\.diverges) == [false, false, true, false, false])
        #expect(found[2].rows[0] == [.text("a"), .integer(3), .integer(51)])
        #expect(found[2].rows[1] == [.text("a"), .integer(2), .integer(11)])
        let other = try steps([tally("1"), tally("2", below: 30)], .string("b"), to: 6)
        #expect(other.map(\.diverges) == [true])
        #expect(other[0].rows[0] != nil && other[0].rows[1] == nil)
        #expect(
            try steps([tally("1"), tally("2")], .string("a"), to: 6).allSatisfy { !$0.diverges })
    }

    @Test("only events below the end count; the caller can stop early; nothing is left behind")
    func bounds() throws {
        try folder.append(ticks: 40)
        #expect(
            try steps([tally("1")], .string("k1"), to: 12).map(\.offset.rawValue) == [1, 6, 11])
        #expect(try steps([tally("1")], .string("k1"), to: 0).isEmpty)
        let why = try Why(
            [try definition(tally("1"))], key: .string("k1"), to: Offset(40), in: folder.data)
        var seen = 0
        try why.run { _ in
            seen += 1
            return seen < 3
        }
        #expect(seen == 3)
        struct Enough: Error {}
        #expect(throws: Enough.self) {
            let progress: ScratchVersion.Progress = { done, _ in
                if done > .zero { throw Enough() }
            }
            try why.run(progress: progress) { _ in true }
        }
        let far = #expect(throws: KappaError.self) {
            try steps([tally("1")], .string("k1"), to: 41)
        }
        #expect(far?.code == .notFound)
        let key = #expect(throws: KappaError.self) {
            try steps([tally("1")], .array([]), to: 4)
        }
        #expect(key?.code == .usage)
        let table = #expect(throws: KappaError.self) {
            try steps([tally("1")], .string("k1"), "nix", to: 4)
        }
        #expect(table?.code == .notFound)
        #expect(!Folder.names(in: folder.data.path).contains { $0.hasPrefix("scratch") })
    }
}
