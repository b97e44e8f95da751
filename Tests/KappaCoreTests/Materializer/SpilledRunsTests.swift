import Glibc
import KappaTesting
import Testing

@testable import KappaCore

private struct Sale: Event, ViewRow {
    static let allowsTimesBefore1990 = true
    var shop: String
    var article: String?
    var count: Int
    var price: ExactDecimal
    var at: Timestamp
    static let eventType: String? = nil
}

@Suite("Rows that do not fit memory")
struct SpilledRunsTests {
    private static let byShop = View("sales", digest: "1") {
        Events(Sale.self, at: \.at)
            .window(.tumbling(.seconds(60)))
            .grouped(by: \.shop)
            .aggregate(
                .count().as("n"), .count(\.article).as("articles"), .sum(\.count).as("pieces"),
                .sum(\.price).as("revenue"), .average(\.count).as("mean"),
                .min(\.article).as("least"), .max(\.price).as("dearest"),
                .first(\.article).as("first"), .last(\.article).as("last"),
                .countDistinct(\.article).as("different"),
                .approximateDistinct(\.article).as("about"),
                .argMax(\.article, by: \.count).as("most"),
                .collect(\.article, limit: 3).as("early"), .top(3, \.count).as("largest"),
                .bottom(2, \.article, by: \.price).as("cheapest"),
                .median(\.price).as("median"), .quantile(\.article, 0.9).as("late"),
                .approximateQuantile(\.count, 0.5).as("middle"),
                .average(\.count, rounding: .up).as("whole"))
    }

    private static func lines(_ count: Int, _ random: inout SplitMix) -> [String] {
        (0..<count).map { _ in
            let shop =
                ["a", "b", "a shop with a long name", "é"].randomElement(using: &random) ?? ""
            let article =
                Int.random(in: 0..<4, using: &random) == 0
                ? "null" : "\"article \(Int.random(in: 0..<9, using: &random)) of many\""
            let second = Int.random(in: 0..<600, using: &random)
            let cents = Int.random(in: -500...90_000, using: &random)
            return """
                {"shop":"\(shop)","article":\(article),"count":\(second % 7),\
                "price":\(ExactDecimal(mantissa: Int128(cents), scale: 2)),"at":\(second * 1_000)}
                """
        }
    }

    /// Appends the given number of batches of sales to a new log.
    private static func log(
        in folder: TemporaryFolder, batches: ClosedRange<Int>, of sales: ClosedRange<Int>,
        _ random: inout SplitMix
    ) throws -> String {
        let log = folder.path + "/log"
        let writer = try LogWriter(log)
        for _ in 0..<Int.random(in: batches, using: &random) {
            var batch = EventLines()
            for line in lines(Int.random(in: sales, using: &random), &random) {
                batch.append(try EventLines(event: line))
            }
            _ = try writer.append(batch)
        }
        return log
    }

    private struct ShopMinute: ViewRow {
        var shop: String
        var windowStart: Timestamp
        var pieces: Int
        var first: String?
    }
    private struct Best: ViewRow {
        var shop: String
        var pieces: Int
    }

    /// The groups of the second step are ranges of the first step's key, and so are those of the third.
    private static let bestMinutes = View("sales", digest: "1") {
        Events(Sale.self, at: \.at)
            .grouped(by: \.shop)
            .window(.tumbling(.seconds(5)))
            .aggregate(.sum(\.count).as("pieces"), .first(\.article).as("first"))
            .rows(as: ShopMinute.self)
            .filter { $0.pieces % 5 != 3 }
            .grouped(by: \.shop)
            .top(4, by: .descending(\.pieces), ties: .all)
            .rows(as: Best.self)
            .grouped(by: \.shop)
            .aggregate(.count().as("minutes"), .sum(\.pieces).as("pieces"))
    }

    @Test(
        "spill and are merged: the rows are the same, wherever it stops and resumes",
        arguments: [byShop, bestMinutes] as [any AnyView])
    func merge(_ view: any AnyView) throws {
        var spills = 0
        // A log may have only one event; all logs together have many rows.
        var rows = 0
        for seed in Seeds.random(12) {
            var random = SplitMix(state: seed)
            let folder = try TemporaryFolder()
            let log = try Self.log(in: folder, batches: 1...30, of: 1...30, &random)
            let definition = try #require(ViewSet([view]).definitions().first)
            let whole = try Run(folder.path + "/whole.db", definition, log, budgetBytes: 1 << 30)
            try whole.run(&random, stops: false)
            let spilling = try Run(folder.path + "/cut.db", definition, log, budgetBytes: 0)
            try RunSizes.$piece.withValue(Int.random(in: 1...900, using: &random)) {
                try spilling.run(&random, stops: true)
            }
            #expect(try spilling.rows() == whole.rows(), "seed \(seed)")
            rows += try spilling.rows().count
            spills += spilling.spills
            let names = Folder.names(in: folder.path)
            #expect(!names.contains { $0.hasSuffix(".runs") }, "seed \(seed)")
        }
        #expect(spills > 0)
        #expect(rows > 0)
    }

    private static let byArticle = View("sales", digest: "1") {
        Events(Sale.self, at: \.at)
            .grouped(by: \.shop, \.at)
            .aggregate(
                .count().as("n"), .sum(\.count).as("pieces"), .first(\.article).as("first"),
                .last(\.article).as("last"), .max(\.price).as("dearest"))
    }

    @Test("are merged in pieces by several threads: the rows are the same")
    func pieces() throws {
        for seed in Seeds.random(6) {
            var random = SplitMix(state: seed)
            let folder = try TemporaryFolder()
            let log = try Self.log(in: folder, batches: 20...20, of: 300...300, &random)
            let definition = try #require(ViewSet([Self.byArticle]).definitions().first)
            let whole = try Run(folder.path + "/whole.db", definition, log, budgetBytes: 1 << 30)
            try whole.run(&random, stops: false)
            let spilling = try Run(folder.path + "/cut.db", definition, log, budgetBytes: 0)
            // Marks and pieces of a few rows each.
            try RunSizes.$mark.withValue(Int.random(in: 1...300, using: &random)) {
                try RunSizes.$piece.withValue(Int.random(in: 1...900, using: &random)) {
                    try spilling.run(&random, stops: true)
                }
            }
            #expect(try spilling.rows() == whole.rows(), "seed \(seed)")
            #expect(try spilling.rows().count > 100 && spilling.spills > 0, "seed \(seed)")
        }
    }

    /// Two tables that only grow, one of them with several rows of an event, and one that is merged.
    private static let list = View("sales", digest: "1") {
        Events(Sale.self, at: \.at).filter(\.count > 1).rows()
        Events(Sale.self, at: \.at).grouped(by: \.shop).aggregate(.sum(\.count).as("pieces"))
            .into("shops")
        Events(Sale.self).flatMap { sale in
            (0..<sale.count).map { Piece(shop: sale.shop, article: sale.article, piece: $0) }
        }.rows().into("pieces")
    }

    private struct Piece: ViewRow {
        var shop: String
        var article: String?
        var piece: Int
    }

    @Test(
        "that are only added are written ahead: the file is the same, wherever it stops and resumes"
    )
    func ahead() throws {
        var spills = 0
        var rows = 0
        for seed in Seeds.random(12) {
            var random = SplitMix(state: seed)
            let folder = try TemporaryFolder()
            let log = try Self.log(in: folder, batches: 1...40, of: 1...60, &random)
            let definition = try #require(ViewSet([Self.list]).definitions().first)
            let whole = try Run(folder.path + "/whole.db", definition, log, budgetBytes: 1 << 30)
            try whole.run(&random, stops: false)
            let cut = try Run(folder.path + "/cut.db", definition, log, budgetBytes: 0)
            let waiting = Int.random(in: -1...3_000, using: &random)
            try RowsRunner.$mostWaitingBytes.withValue(waiting) {
                try cut.run(&random, stops: true)
            }
            for table in 0..<3 {
                #expect(try cut.rows(table) == whole.rows(table), "table \(table), seed \(seed)")
            }
            rows += try cut.rows(2).count
            let check = try SQLiteConnection(folder.path + "/cut.db", .readWrite)
                .prepare("PRAGMA integrity_check")
            #expect(try check.step() && check.string(0) == "ok", "seed \(seed)")
            spills += cut.spills
            let names = Folder.names(in: folder.path)
            #expect(!names.contains { $0.hasSuffix(".runs") || $0.hasSuffix(".loading") })
        }
        #expect(rows > 0)
        #expect(spills > 0)
    }

    @Test(
        "that were written ahead into a file that is gone are rebuilt", arguments: [true, false])
    func lost(_ isGone: Bool) throws {
        var random = SplitMix(state: 4)
        let folder = try TemporaryFolder()
        let log = try Self.log(in: folder, batches: 1...1, of: 200...200, &random)
        let definition = try #require(ViewSet([Self.list]).definitions().first)
        let path = folder.path + "/1.db"
        let run = try Run(path, definition, log, budgetBytes: 0)
        try run.spill(&random)
        if isGone { try SystemFiles().remove(path + ".loading") }
        let store = try VersionStore(
            at: path, view: "sales", number: 1, digest: "1", tables: definition.tables)
        let offset = try store.lastCheckpoint()?.offset
        #expect(isGone ? offset == nil : offset.map { $0 > .zero } == true)
        try run.run(&random, stops: false)
        let whole = try Run(folder.path + "/whole.db", definition, log, budgetBytes: 1 << 30)
        try whole.run(&random, stops: false)
        for table in 0..<3 { #expect(try run.rows(table) == whole.rows(table)) }
    }

    /// Only root may, and not in every container.
    private static let canMount: Bool = {
        guard let folder = try? TemporaryFolder() else { return false }
        guard mount("none", folder.path, "tmpfs", 0, "size=1m") == 0 else { return false }
        return umount2(folder.path, Int32(MNT_DETACH)) == 0
    }()

    @Test(
        "that do not fit on the disk are an error, and leave nothing in the way",
        .enabled(if: canMount, "a small file system must be mounted"))
    func fullDisk() throws {
        var random = SplitMix(state: 5)
        let folder = try TemporaryFolder()
        #expect(mount("none", folder.path, "tmpfs", 0, "size=1m") == 0)
        defer { umount2(folder.path, Int32(MNT_DETACH)) }
        let definition = try #require(ViewSet([Self.list]).definitions().first)
        let store = try VersionStore(
            at: folder.path + "/1.db", view: "sales", number: 1, digest: "1",
            tables: definition.tables)
        let rows = RecordList(definition.tables[2])
        let error = try #require(throws: KappaError.self) {
            for round in 0..<100 {
                for row in 0..<1_000 {
                    rows.bind(0, Int64(1_000 * round + row))
                    rows.bind(1, Int64(0))
                    rows.bind(2, "shop \(UInt64.random(in: 0...UInt64.max, using: &random))")
                    rows.bindNull(3)
                    rows.bind(4, Int64(row))
                    rows.execute()
                }
                let isWritten = try store.writeAhead(rows, table: 2)
                #expect(isWritten)
                rows.removeAll()
            }
        }
        #expect(error.code == .inputOutput)
        #expect(error.reason?.contains("No space left") == true)
        #expect(!Folder.names(in: folder.path).contains { $0.hasSuffix(".loading") })
    }

    /// One version that is brought forward batch by batch.
    private final class Run {
        private let path: String
        private let definition: ViewDefinition
        private let log: String
        private let budgetBytes: Int
        private(set) var spills = 0

        init(_ path: String, _ definition: ViewDefinition, _ log: String, budgetBytes: Int) throws {
            self.path = path
            self.definition = definition
            self.log = log
            self.budgetBytes = budgetBytes
        }

        func run(_ random: inout SplitMix, stops: Bool) throws {
            while try !stretch(&random, stops: stops) {}
        }

        /// Opens the version, applies some batches and closes it; true if everything is committed.
        private func stretch(_ random: inout SplitMix, stops: Bool) throws -> Bool {
            let plan = ExtractionPlan()
            let store = try VersionStore(
                at: path, view: "sales", number: 1, digest: "1", tables: definition.tables)
            let version = try VersionMaterializer(
                definition, store: store, plan: plan, budgetBytes: budgetBytes)
            let reader = try LogReader(log)
            try reader.seek(to: version.offset)
            let (buffer, batch) = (BlockBuffer(), EventBatch(plan: plan))
            let end = try reader.durableEnd()
            while version.offset < end {
                let some = min(end, version.offset + Int.random(in: 1...40, using: &random))
                guard let block = try reader.next(into: buffer, upTo: some) else { break }
                try batch.load(
                    block.payload, count: block.events, firstOffset: block.firstOffset)
                try version.apply(batch, from: block.digestBefore, to: block.digestAfter)
                guard stops else { continue }
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    try version.save()
                    if version.hasSpilled { spills += 1 }
                case 1: return false
                default: break
                }
            }
            try version.commit()
            return true
        }

        /// Applies some events and spills their rows.
        func spill(_ random: inout SplitMix) throws {
            let plan = ExtractionPlan()
            let store = try VersionStore(
                at: path, view: "sales", number: 1, digest: "1", tables: definition.tables)
            let version = try VersionMaterializer(
                definition, store: store, plan: plan, budgetBytes: budgetBytes)
            let (buffer, batch) = (BlockBuffer(), EventBatch(plan: plan))
            let reader = try LogReader(log)
            guard let block = try reader.next(into: buffer, upTo: Offset(100)) else { return }
            try batch.load(block.payload, count: block.events, firstOffset: block.firstOffset)
            try version.apply(batch, from: block.digestBefore, to: block.digestAfter)
            try version.save()
        }

        func rows(_ table: Int = 0) throws -> [[Value]] {
            var rows: [[Value]] = []
            let reader = try VersionReader(path)
            try reader.forEachRow(table: table) { rows.append(reader.tables[table].values($0)) }
            return rows
        }
    }
}
