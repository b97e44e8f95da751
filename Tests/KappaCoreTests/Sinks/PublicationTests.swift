import Glibc
import KappaSinks
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Publishing views")
struct PublicationTests {
    private func publish(
        _ view: String, _ folder: VersionsFolder,
        to open: @escaping () throws(KappaError) -> any ChangeSink,
        steps: Int = .max, observer: (PublicationReport) -> Void = { _ in }
    ) throws {
        var rest = steps
        try Publication(view, try folder.catalog(), to: open).run(
            untilCaughtUp: true,
            isStopped: {
                rest -= 1
                return rest < 0
            }, observer: observer)
    }

    /// The rows of the live version, as texts.
    private func wanted(_ view: String, _ folder: VersionsFolder) throws -> (
        [TableSchema], ChangeSinkConformance.Rows
    ) {
        let live = try #require(try folder.catalog().live(view))
        let reader = try folder.reader(view, live.rawValue)
        var rows: ChangeSinkConformance.Rows = [:]
        for (index, table) in reader.tables.enumerated() {
            rows[table.name] = []
            try reader.forEachRow(table: index) { cursor in
                rows[table.name]?.append(table.values(cursor).map(\.plainText))
            }
        }
        return (reader.tables, rows)
    }

    private func sorted(_ rows: ChangeSinkConformance.Rows) -> ChangeSinkConformance.Rows {
        rows.filter { !$0.value.isEmpty }.mapValues {
            $0.sorted { $0.lexicographicallyPrecedes($1) }
        }
    }

    private func view(_ build: Int) -> any AnyView {
        build % 4 == 3
            ? View("latest", digest: "d\(build)") {
                Events(Tick.self).grouped(by: \.k).aggregate(
                    .count(as: "n"), .sum(\.v, as: "total"))
            } : latest("d\(build)", noting: ["a", nil, "b"][build % 3])
    }

    @Test("sinks have the view's rows, whatever fails, stops or is promoted in between")
    func random() throws {
        for seed in Seeds.random(4) { try run(seed) }
    }

    private func run(_ seed: UInt64) throws {
        let comment: Comment = "KAPPA_SEED=\(seed)"
        var random = SplitMix(state: seed)
        let folder = try VersionsFolder()
        let (csv, sqlite) = (folder.data.path + "-csv", folder.data.path + ".sqlite")
        defer {
            Folder.remove(csv)
            for suffix in ["", "-wal", "-shm"] { unlink(sqlite + suffix) }
        }
        let memory = MemoryPlace()
        var build = 0
        var chance = SplitMix(state: seed &+ 1)
        for round in 0..<30 {
            switch Int.random(in: 0..<8, using: &random) {
            case 0: build += 1
            case 1:
                if (try? Promotion(folder.catalog()).rollBack(["latest"])) != nil { build += 1 }
            case 2 where round > 5:
                Folder.remove(folder.data.path + "/views")
                for suffix in ["", "-wal", "-shm"] { unlink(folder.data.catalog + suffix) }
            default: break
            }
            try folder.append(
                (0..<Int.random(in: 0...60, using: &random)).map { _ in
                    Tick.line(
                        "k\(Int.random(in: 0..<3_000, using: &random))",
                        Int.random(in: -5...20, using: &random))
                })
            try folder.catchUp([view(build)])
            let isLast = round == 29
            for sink in 0..<3 where isLast || Bool.random(using: &random) {
                let steps = isLast ? .max : Int.random(in: 1...6, using: &random)
                try publish(
                    "latest", folder,
                    to: { () throws(KappaError) in
                        switch sink {
                        case 0: try CSVSink(csv, view: "latest")
                        case 1: try SQLiteSink(sqlite, view: "latest")
                        default:
                            MemorySink(
                                memory,
                                failing: {
                                    !isLast && Int.random(in: 0..<10, using: &chance) == 0
                                })
                        }
                    }, steps: steps)
            }
        }
        let (tables, rows) = try wanted("latest", folder)
        #expect(try sorted(SinkReader.csv(csv, tables)) == sorted(rows), comment)
        #expect(try sorted(SinkReader.sqlite(sqlite, tables)) == sorted(rows), comment)
        #expect(sorted(memory.read()) == sorted(rows), comment)
    }

    @Test("a sink that lags across promotions gets the difference; other columns are loaded")
    func differences() throws {
        let folder = try VersionsFolder()
        let place = MemoryPlace()
        var loads = 0
        func publish() throws {
            try self.publish(
                "tally", folder, to: { () throws(KappaError) in MemorySink(place) },
                observer: { if case .loading = $0 { loads += 1 } })
            #expect(try sorted(place.read()) == sorted(wanted("tally", folder).1))
        }
        try folder.append(ticks: 3_000, keys: 2_500)
        try folder.catchUp([tally("a")])
        try publish()
        #expect(loads == 1)
        let first = place.position?.change
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b", below: 3)])
        try folder.catchUp([tally("c", below: 90)])
        try publish()
        try publish()
        #expect(loads == 1)
        #expect(
            place.position?.change.version == VersionNumber(3) && place.position?.change != first)
        #expect(try place.position?.digest == folder.reader("tally", 3).digest)
        #expect(place.position?.offset == Offset(3_010))
        try folder.catchUp([
            View("tally", digest: "d") {
                Events(Tick.self).grouped(by: \.k).aggregate(.count(as: "n"))
            }
        ])
        try publish()
        #expect(loads == 2)
    }

    @Test("no reader sees half of a promotion, or of a load")
    func whole() throws {
        let folder = try VersionsFolder()
        try folder.append((0..<5_000).map { Tick.line("k\($0)", $0 % 10) })
        try folder.catchUp([tally("a")])
        let path = folder.data.path + "/published.db"
        let table = [TableSchema(name: "tally", columns: [ColumnSchema("k", .text, isKey: true)])]
        var seen: Set<Int> = []
        func look() {
            if let rows = try? SinkReader.sqlite(path, table) {
                seen.insert(rows["tally"]?.count ?? 0)
            }
        }
        try Publication("tally", try folder.catalog()) { () throws(KappaError) in
            try SQLiteSink(path, view: "tally")
        }.run(
            untilCaughtUp: true,
            isStopped: {
                look()
                return false
            }, observer: { _ in })
        look()
        #expect(seen == [5_000])
        try folder.catchUp([tally("b", below: 3)])
        try Publication("tally", try folder.catalog()) { () throws(KappaError) in
            try SQLiteSink(path, view: "tally")
        }.run(
            untilCaughtUp: true,
            isStopped: {
                look()
                return false
            }, observer: { _ in })
        look()
        #expect(seen == [5_000, 1_500])
    }

    @Test("an error that does not pass ends a publication; one that passes is tried again")
    func errors() throws {
        let folder = try VersionsFolder()
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let place = MemoryPlace()
        var failures = 2
        var retries = 0
        try publish(
            "tally", folder,
            to: { () throws(KappaError) in
                MemorySink(
                    place,
                    failing: {
                        failures -= 1
                        return failures >= 0
                    })
            }, observer: { if case .retrying = $0 { retries += 1 } })
        #expect(retries == 2 && place.position != nil)
        let error = #expect(throws: KappaError.self) {
            try publish("tally", folder) { () throws(KappaError) in
                throw KappaError(.usage, "no such place")
            }
        }
        #expect(error?.what == "no such place")
        let none = #expect(throws: KappaError.self) {
            try publish("latest", folder) { () throws(KappaError) in MemorySink(MemoryPlace()) }
        }
        #expect(none?.code == .notFound)
        let other = #expect(throws: KappaError.self) {
            try folder.catchUp([latest("l")])
            try publish("latest", folder) { () throws(KappaError) in MemorySink(place) }
        }
        #expect(other?.what == "the sink holds another view")
    }

    @Test("the library publishes until its task is cancelled")
    func library() async throws {
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(folder.path, views: ViewSet([tally("a")]))
        for number in 0..<5 { try await kappa.append(Tick(k: "k\(number)", v: 1)) }
        try await kappa.catchUp()
        let path = folder.path + "/published.db"
        let caughtUp = Monitor(false)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await kappa.publish(tally("a")) { () throws(KappaError) in
                    try SQLiteSink(path, view: "tally")
                } observer: {
                    if case .caughtUp(let position) = $0, position.offset == Offset(6) {
                        caughtUp.withLock { $0 = true }
                    }
                }
            }
            try await kappa.append(Tick(k: "new", v: 1))
            try await kappa.catchUp()
            try waitFor("the sink has the new row") { caughtUp.withLock { $0 } }
            group.cancelAll()
        }
        #expect(try SQLiteConnection(path, .readOnly).integer("SELECT count(*) FROM tally") == 6)
        await kappa.close()
    }
}
