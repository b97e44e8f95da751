import KappaTesting
import Testing

@testable import KappaCore

private struct Deposited: Event, Encodable {
    var account: String
    /// How many events of the account came before, according to who appended it.
    var n: Int
}
private struct Withdrawn: Event, Encodable {
    var account: String
    var n: Int
}
private struct Noise: Event, Encodable {
    var text: String
}
private struct KeyedAccount: ViewRow {
    var events = 0
}
private struct Counted: ViewRow {
    var account: String
    var n: Int
}

@Suite("The events of a key, and appends that depend on them") struct KeyEventsTests {
    private static func accounts(_ name: String) -> View<KeyedAccount> {
        View(name, initially: KeyedAccount(), digest: "1") {
            On(Deposited.self, key: \.account) { _, row in row.events += 1 }
            On(Withdrawn.self, key: \.account) { _, row in row.events += 1 }
        }
    }
    private static let plain = accounts("plain")
    private static let indexed = accounts("indexed").indexed()
    private static let groups = View("groups", digest: "1") {
        Events(Deposited.self).grouped(by: \.account).aggregate(.count().as("n"))
    }.indexed()
    private static let best = View("best", digest: "1") {
        Events(Deposited.self).grouped(by: \.account).aggregate(.count().as("n"))
            .rows(as: Counted.self).aggregate(.count().as("accounts"))
    }
    private static let views = ViewSet([plain, indexed, groups])

    private static func event(_ random: inout SplitMix) -> any Event & Encodable {
        // The accounts' names are other events' texts, and two of them are equal in Swift, but not in kappa.
        let names = ["a", "b", "\u{E9}", "e\u{301}", "", "x\"y"]
        let (name, n) = (random.pick(names), random.below(10))
        switch random.below(4) {
        case 0: return Deposited(account: name, n: n)
        case 1: return Withdrawn(account: name, n: n)
        default: return Noise(text: name)
        }
    }

    @Test("they are those that a scan of the log finds", arguments: Seeds.random(6))
    func events(seed: UInt64) async throws {
        var random = SplitMix(state: seed)
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(folder.path + "/data", views: Self.views)
        var all: [any Event & Encodable] = []
        for round in 0..<3 {
            let batch = (0..<(1 + random.below(60))).map { _ in Self.event(&random) }
            try await kappa.append(batch)
            all += batch
            // The index, if there is one, ends before the log does.
            if round < 2, random.chance(2, in: 3) { try await kappa.catchUp() }
        }
        func expected(_ key: String, from start: Int, withdrawals: Bool) -> [LogEvent] {
            all.indices.dropFirst(start).compactMap { offset in
                let account: String? =
                    switch all[offset] {
                    case let event as Deposited: event.account
                    case let event as Withdrawn: withdrawals ? event.account : nil
                    default: nil
                    }
                guard let account, account.utf8.elementsEqual(key.utf8),
                    let json = try? Kappa.json(of: all[offset])
                else { return nil }
                return LogEvent(offset: Offset(UInt64(offset)), json: json)
            }
        }
        for _ in 0..<8 {
            let key = random.pick(["a", "b", "\u{E9}", "e\u{301}", "", "x\"y", "nobody"])
            let start = random.chance(1, in: 2) ? 0 : random.below(all.count)
            for view in [Self.plain, Self.indexed] {
                let history = try await kappa.events(
                    of: view, key: RowKey(key), from: Offset(UInt64(start)))
                #expect(
                    history.events == expected(key, from: start, withdrawals: true),
                    "seed \(seed), KAPPA_SEED, \(view.name)")
                #expect(history.end == Offset(UInt64(all.count)))
            }
            let history = try await kappa.events(
                of: Self.groups, key: RowKey(key), from: Offset(UInt64(start)))
            #expect(
                history.events == expected(key, from: start, withdrawals: false),
                "seed \(seed), KAPPA_SEED, groups")
        }
        await kappa.close()
    }

    @Test("they are decoded as their types")
    func decoding() throws {
        let event = LogEvent(
            offset: .zero, json: #"{"event_type":"deposited","account":"a","n":3}"#)
        #expect(try event.decode(as: Deposited.self)?.n == 3)
        #expect(try event.decode(as: Withdrawn.self) == nil)
        let bad = LogEvent(offset: .zero, json: #"{"event_type":"deposited","account":"a"}"#)
        #expect(throws: KappaError.self) { try bad.decode(as: Deposited.self) }
    }

    @Test(
        "tasks of two programs that append only if nothing came in between never do so together",
        arguments: Seeds.random(3))
    func races(seed: UInt64) async throws {
        let folder = try TemporaryFolder()
        var programs: [Kappa] = []
        for _ in 0..<2 {
            programs.append(try await Kappa.open(folder.path + "/data", views: Self.views))
        }
        let conflicts = Monitor(0)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for task in 0..<12 {
                let kappa = programs[task % 2]
                tasks.addTask {
                    var random = SplitMix(state: seed &+ UInt64(task))
                    for _ in 0..<12 {
                        let account = random.pick(["a", "b"])
                        if random.chance(1, in: 3) {
                            // Others may be appended at any time, also by plain appends in the same commit.
                            try await kappa.append(Noise(text: account))
                            continue
                        }
                        let view = random.chance(1, in: 2) ? Self.plain : Self.indexed
                        let history = try await kappa.events(of: view, key: RowKey(account))
                        let n = history.events.count
                        let next: any Event & Encodable =
                            random.chance(1, in: 2)
                            ? Deposited(account: account, n: n) : Withdrawn(account: account, n: n)
                        do {
                            let offset = try await kappa.append(
                                [next], ifUnchangedSince: history.end, forKey: RowKey(account),
                                of: view)
                            #expect(offset >= history.end)
                        } catch let conflict as AppendConflict {
                            #expect(!conflict.events.isEmpty, "\(conflict)")
                            #expect(conflict.events.allSatisfy { $0.offset >= history.end })
                            conflicts.withLock { $0 += 1 }
                        }
                    }
                }
            }
            try await tasks.waitForAll()
        }
        // Each says how many came before it: a lost race would show here.
        for account in ["a", "b"] {
            let events = try await programs[0].events(of: Self.plain, key: RowKey(account)).events
            let numbers = try events.map { event in
                try event.decode(as: Deposited.self)?.n ?? event.decode(as: Withdrawn.self)?.n
            }
            #expect(numbers == Array(0..<events.count), "seed \(seed), KAPPA_SEED")
        }
        #expect(conflicts.withLock { $0 } > 0)
        for kappa in programs { await kappa.close() }
    }

    @Test("earlier requests of the same commit are judged, too")
    func sameCommit() throws {
        let folder = try TemporaryFolder()
        let data = DataFolder(folder.path + "/data")
        let writer = try LogWriter(data.log)
        let definition = try #require(ViewSet([Self.plain]).definitions().first)
        func lines(_ event: any Event & Encodable) throws -> EventLines {
            try Kappa.lines(of: [event])
        }
        func conditional(_ account: String, from offset: Offset) throws -> LogWriter.Append {
            let events = try KeyEvents(definition, key: RowKey(account), in: data)
            return LogWriter.Append(
                try lines(Deposited(account: account, n: 0)),
                condition: AppendCondition(from: offset) { try events.judge() })
        }
        let results = writer.append(group: [
            LogWriter.Append(try lines(Noise(text: "a"))),
            LogWriter.Append(try lines(Deposited(account: "a", n: 0))),
            try conditional("a", from: .zero), try conditional("b", from: .zero),
            try conditional("b", from: .zero), try conditional("c", from: .zero),
        ])
        let reasons = results.map { result in
            if case .failure(let error) = result { error.reason ?? "" } else { "appended" }
        }
        #expect(
            reasons == [
                "appended", "appended", "the event at offset 1 comes in between", "appended",
                "the event at offset 2 comes in between", "appended",
            ])
        #expect(try LogReader(data.log).durableEnd() == Offset(4))
        // In the log, not only in the commit.
        let later = writer.append(group: [
            try conditional("c", from: .zero), try conditional("c", from: Offset(4)),
        ])
        #expect(try later[1].get().firstOffset == Offset(4))
        #expect(throws: KappaError.self) { try later[0].get() }
    }

    @Test("a source of one's own is appended exactly once, whatever is sent again")
    func source() async throws {
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(folder.path + "/data", views: Self.views)
        let events: [any Event & Encodable] = [Noise(text: "1"), Deposited(account: "a", n: 0)]
        #expect(try await kappa.position(ofSource: "queue") == 0)
        let first = try await kappa.append(events, source: "queue", at: 0)
        #expect(first.appended == 2 && first.skipped == 0 && first.nextOffset == Offset(2))
        let again = try await kappa.append(
            events + [Withdrawn(account: "a", n: 1)], source: "queue", at: 0)
        #expect(again.appended == 1 && again.skipped == 2 && again.firstOffset == Offset(2))
        #expect(try await kappa.position(ofSource: "queue") == 3)
        await #expect(throws: KappaError.self) {
            try await kappa.append(events, source: "queue", at: 7)
        }
        // Positions with gaps: one for the whole batch.
        try await kappa.append(ndjson: "{}\n{}", source: "gaps", at: 0, next: 25)
        let skipped = try await kappa.append(ndjson: "{}\n{}", source: "gaps", at: 0, next: 25)
        #expect(skipped.skipped == 2 && skipped.appended == 0)
        #expect(try await kappa.position(ofSource: "gaps") == 25)
        await kappa.close()
    }

    @Test("what cannot be judged is an error, and nothing is appended")
    func errors() async throws {
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(
            folder.path + "/data", views: ViewSet([Self.plain, Self.best]))
        try await kappa.append(Noise(text: "a"))
        let other = await #expect(throws: KappaError.self) {
            try await kappa.events(of: Self.best, key: RowKey("all"))
        }
        #expect(other?.reason == "its rows may depend on events of other keys")
        let key = await #expect(throws: KappaError.self) {
            try await kappa.append(
                [Noise(text: "b")], ifUnchangedSince: .zero, forKey: RowKey(5), of: Self.plain)
        }
        #expect(key?.what == "this is no key of plain")
        let past = await #expect(throws: KappaError.self) {
            try await kappa.append(
                [Noise(text: "b")], ifUnchangedSince: Offset(9), forKey: RowKey("a"), of: Self.plain
            )
        }
        #expect(past?.code == .notFound)
        #expect(try await kappa.append(Noise(text: "c")) == Offset(1))
        await kappa.close()
    }
}
