import Glibc
import KappaSinks
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Publishing views")
struct PublicationTests {
    /// An event of ``Tick``'s kind, with a value of every type.
    private struct Mixed: Event {
        static let eventType: String? = nil
        var k: String
        var v: Int
        var on: Bool
        var at: Timestamp
        var real: Double
        var exact: ExactDecimal
        var note: String?

        static func line(_ random: inout SplitMix) -> String {
            let fields = [
                #""k":"k\#(Int.random(in: 0..<900, using: &random))""#,
                #""v":\#(Int.random(in: -5...20, using: &random))"#,
                #""on":\#(Bool.random(using: &random))"#,
                #""at":"2026-01-0\#(Int.random(in: 1...2, using: &random))T10:00:00.25Z""#,
                #""real":\#(random.pick(["0.1", "-1e300", "5e-324", "7"]))"#,
                #""exact":\#(random.pick(["0.10", "-99999999999999999999.5"]))"#,
                #""note":\#(random.pick(["\"\"", "null", #""a, \"b\"\nc""#]))"#,
            ]
            return "{\(fields.joined(separator: ","))}"
        }
    }

    /// Another definition of `latest` for each build; some of them have other columns.
    private func view(_ build: Int) -> any AnyView {
        switch build % 5 {
        case 3:
            View("latest", digest: "d\(build)") {
                Events(Tick.self).grouped(by: \.k).aggregate(
                    .count().as("n"), .sum(\.v).as("total"))
            }
        case 4:
            View("latest", digest: "d\(build)") {
                Events(Mixed.self).grouped(by: \.k, \.on, \.at).aggregate(
                    .last(\.real).as("real"), .sum(\.exact).as("exact"),
                    .last(\.note).as("note"), .collect(\.v, limit: 3).as("values"))
            }
        default: latest("d\(build)", noting: ["a", nil, "b"][build % 5])
        }
    }

    @Test("sinks have the view's rows, whatever fails, stops, is promoted or deleted in between")
    func random() throws {
        for seed in Seeds.random(5) { try run(seed) }
    }

    /// Deletes the older changes of a feed, or what is not live, or everything that can be built again.
    private func forget(_ folder: VersionsFolder, _ random: inout SplitMix) throws {
        switch Int.random(in: 0..<3, using: &random) {
        case 0:
            guard let live = try folder.catalog().live("latest") else { return }
            let file = folder.data.file(VersionID("latest", live))
            try SQLiteConnection(file, .readWrite).execute(
                """
                UPDATE _kappa_feed SET floor = coalesce(
                    (SELECT seq FROM _kappa_changes ORDER BY random() LIMIT 1), floor);
                DELETE FROM _kappa_changes WHERE seq <= (SELECT floor FROM _kappa_feed)
                """)
        case 1: _ = try Garbage(folder.catalog()).collect(keep: 0)
        default:
            Folder.remove(folder.data.path + "/views")
            for suffix in ["", "-wal", "-shm"] { unlink(folder.data.catalog + suffix) }
        }
    }

    private func run(_ seed: UInt64) throws {
        let comment: Comment = "KAPPA_SEED=\(seed)"
        var random = SplitMix(state: seed)
        let folder = try VersionsFolder(inMemory: true)
        let (csv, sqlite) = (folder.data.path + "/csv", folder.data.path + "/published.sqlite")
        let memory = MemoryPlace()
        var build = 0
        var chance = SplitMix(state: seed &+ 1)
        for round in 0..<24 {
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1: build += 1
            case 2: _ = try? Promotion(folder.catalog()).rollBack(["latest"])
            case 3: try forget(folder, &random)
            default: break
            }
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                let count = Int.random(in: 0...80, using: &random)
                try folder.append((0..<count).map { _ in Mixed.line(&random) })
                try folder.catchUp([view(build)])
            }
            let isLast = round == 23
            for sink in 0..<3 where isLast || Bool.random(using: &random) {
                let steps = isLast ? .max : Int.random(in: 1...12, using: &random)
                try folder.publish(
                    "latest", batch: Int.random(in: 1...200, using: &random),
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
        let (tables, rows) = try folder.liveRows("latest")
        #expect(try SinkReader.csv(csv, tables).sortedRows == rows.sortedRows, comment)
        #expect(try SinkReader.sqlite(sqlite, tables).sortedRows == rows.sortedRows, comment)
        #expect(memory.read().sortedRows == rows.sortedRows, comment)
        #expect(rows.values.contains { !$0.isEmpty })
    }

    @Test("a sink that lags across promotions gets the difference; other columns are loaded")
    func differences() throws {
        let folder = try VersionsFolder(inMemory: true)
        let place = MemoryPlace()
        var loads = 0
        func publish() throws {
            try folder.publish(
                "tally", to: { () throws(KappaError) in MemorySink(place) },
                observer: { if case .loading = $0 { loads += 1 } })
            #expect(try place.read().sortedRows == folder.liveRows("tally").1.sortedRows)
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
                Events(Tick.self).grouped(by: \.k).aggregate(.count().as("n"))
            }
        ])
        try publish()
        #expect(loads == 2)
    }

    @Test("no reader sees half of a promotion, or of a load")
    func whole() throws {
        let folder = try VersionsFolder(inMemory: true)
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
}
