import Foundation
import KappaTesting
import Testing

@testable import KappaCore

@Suite("The index from keys to events")
struct KeyIndexTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    /// Wraps another view's definition, with an index.
    struct Indexed: AnyView {
        let view: any AnyView
        var name: String { view.name }
        var file: String { view.file }
        var steps: [any ViewStep] { view.steps }
        var explicitDigest: String? { view.explicitDigest }
        var isIndexed: Bool { true }

        init(_ view: any AnyView) { self.view = view }
    }

    private func definition(_ view: any AnyView) throws -> ViewDefinition {
        try ViewSet([view]).definitions()[0]
    }

    private func id(_ view: any AnyView) -> VersionID { VersionID(view.name, VersionNumber(1)) }

    /// Brings a version forward to the log's end: in random batches, with random checkpoints, and at random
    /// closing it without committing.
    private func materialize(
        _ view: any AnyView, _ random: inout SplitMix, calm: Bool = false
    ) throws {
        let definition = try definition(view)
        try Folder.make(folder.data.view(view.name))
        var isDone = false
        while !isDone {
            let plan = ExtractionPlan()
            let store = try VersionStore.open(id(view), definition, in: folder.data)
            let version = try VersionMaterializer(
                definition, store: store, plan: plan,
                budgetBytes: calm ? 1 << 26 : random.pick([0, 20_000, 1 << 26]))
            version.recordsChanges = !calm && random.chance(1, in: 4)
            let reader = try LogReader(folder.data.log)
            try reader.seek(to: version.offset)
            let (buffer, batch) = (BlockBuffer(), EventBatch(plan: plan))
            let end = try reader.durableEnd()
            var isLetGo = false
            while version.offset < end, !isLetGo {
                let to = calm ? end : min(end, version.offset + 1 + random.below(30))
                guard let block = try reader.next(into: buffer, upTo: to) else { break }
                try batch.load(
                    block.payload, count: block.events, firstOffset: block.firstOffset,
                    runs: block.runs)
                try version.apply(batch, from: block.digestBefore, to: block.digestAfter)
                guard !calm else { continue }
                switch random.below(5) {
                case 0: try version.save()
                case 1: try version.commit()
                case 2: isLetGo = true
                default: break
                }
            }
            if isLetGo { continue }
            try version.commit()
            isDone = true
        }
    }

    private func why(
        _ view: any AnyView, _ key: JSONValue, _ table: String?, to end: Int
    ) throws -> Why {
        try Why(
            [try definition(view)], key: key, table: table, to: Offset(UInt64(end)),
            in: folder.data, versions: [id(view)])
    }

    private func steps(_ why: Why) throws -> [Why.Step] {
        var steps: [Why.Step] = []
        try why.run {
            steps.append($0)
            return true
        }
        return steps
    }

    private func json(_ key: [Value]) throws -> JSONValue {
        .array(try key.map { try JSONValue(parsing: $0.jsonText) })
    }

    /// The views that benefit from an index.
    static let views =
        HitViews.all.dropLast(2) + [
            (
                View("kept", digest: "1") {
                    HitViews.hits.window(.tumbling(.seconds(5)), keep: .seconds(20))
                        .grouped(by: \.user).aggregate(.count().as("n"))
                }, nil
            ),
            (
                View("twice", initially: HitViews.Tally(), digest: "1") {
                    On(HitViews.Hit.self, key: \.user) { _, row in row.hits += 1 }
                    On(HitViews.Hit.self, key: \.words) { hit, row in row.sum += hit.amount }
                }, nil
            ),
        ]

    @Test(
        "an index gives what reading the log gives, for every key, after any restarts",
        arguments: views.indices)
    func equal(_ index: Int) throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed &+ UInt64(index))
        let comment: Comment = "KAPPA_SEED=\(seed)"
        let (plain, table) = Self.views[index]
        let view = Indexed(plain)
        let count = 90
        var appended = 0
        var keys: [[Value]] = []
        while appended < count {
            let piece = min(count - appended, 1 + random.below(60))
            try folder.append((0..<piece).map { _ in HitViews.line(&random) })
            appended += piece
            try materialize(view, &random)
            let reader = try folder.reader(view.name, 1)
            let place = try reader.table(table)
            let schema = reader.tables[place]
            try reader.forEachRow(table: place) { cursor in
                let row = schema.values(cursor)
                let key = schema.keyColumns.map { row[$0] }
                if !keys.contains(key) { keys.append(key) }
            }
        }
        for key in keys {
            let end = random.chance(1, in: 2) ? count : random.below(count + 1)
            let indexed = try why(view, try json(key), table, to: end)
            #expect(indexed.usesIndex && indexed.unusedIndex == nil, comment)
            let scanned = try why(plain, try json(key), table, to: end)
            #expect(!scanned.usesIndex && scanned.unusedIndex == nil, comment)
            let (found, wanted) = (try steps(indexed), try steps(scanned))
            #expect(found.map(\.offset) == wanted.map(\.offset), comment)
            #expect(found.map(\.event) == wanted.map(\.event), comment)
            #expect(found.map(\.rows) == wanted.map(\.rows), comment)
        }
        #expect(!keys.isEmpty, comment)
    }

    @Test("a key of many events has many chunks, and one of few events costs few bytes")
    func manyEvents() throws {
        let view = tally("1").indexed()
        let count = 3_000
        var random = SplitMix(state: 1)
        // Every third event has the same key; the others have distinct keys.
        try folder.append((0..<count).map { Tick.line($0 % 3 == 0 ? "one" : "k\($0)", 1) })
        try materialize(view, &random, calm: true)
        let reader = try folder.reader(view.name, 1)
        let chunks = try reader.connection.integer(
            """
            SELECT max(n) FROM (
                SELECT count(*) AS n FROM _kappa_index_0 WHERE key_hash >= 0 GROUP BY key_hash)
            """)
        #expect(chunks == 1, "a thousand events of one byte each")
        let bytes = try reader.connection.integer(
            "SELECT sum(length(_kappa_state)) FROM _kappa_index_0 WHERE key_hash >= 0")
        #expect(try #require(bytes) < 1_050)
        let found = try steps(why(view, .string("one"), nil, to: count))
        #expect(found.map(\.offset) == (0..<1_000).map { Offset(UInt64(3 * $0)) })
        #expect(try steps(why(view, .string("nobody"), nil, to: count)).isEmpty)
        // The change feed does not cover the index: readers do not see its table.
        #expect(reader.tables.map(\.name) == ["tally"])
    }

    @Test("a version started without an index stays without one, and why says so")
    func begunWithout() throws {
        var random = SplitMix(state: 2)
        try folder.append(ticks: 50)
        try materialize(tally("1"), &random, calm: true)
        try folder.append(ticks: 50)
        let view = tally("1").indexed()
        try materialize(view, &random, calm: true)
        let asked = try why(view, .string("k1"), nil, to: 100)
        #expect(!asked.usesIndex)
        #expect(
            asked.unusedIndex
                == "tally@1 was begun without an index; `kappa rebuild tally` makes a version that "
                + "has one")
        #expect(try steps(asked).count == 20)
    }

    @Test("rows that spilled before an index was requested have none")
    func spilledWithout() throws {
        try folder.append(ticks: 40)
        let plain = try definition(tally("1"))
        try Folder.make(folder.data.view("tally"))
        for definition in [plain, try definition(tally("1").indexed())] {
            let plan = ExtractionPlan()
            let store = try VersionStore.open(id(tally("1")), definition, in: folder.data)
            let version = try VersionMaterializer(
                definition, store: store, plan: plan, budgetBytes: 0)
            var options = Scan.Options(end: version.offset + 20)
            options.batchEvents = 7
            try Scan(
                folder.data.log, [version], plan: plan, options: options, observer: SpillsAll()
            ).run()
            try version.commit()
        }
        #expect(try folder.rows("tally", 1).count == 5)
        #expect(try folder.reader("tally", 1).keyIndexEnd(ofTable: 0) == nil)
    }

    /// Spills everything that is to be committed.
    private final class SpillsAll: Scan.Observer {
        func commit(_ version: VersionMaterializer, _ perform: () throws -> Void) throws -> Bool {
            try version.save()
            return true
        }
        func didApply(to offset: Offset) {}
        func didCatchUp(at offset: Offset) {}
        func didFail(_ version: VersionMaterializer, _ error: any Error) {}
    }

    @Test("an index with a gap is not used, and is left as it is")
    func gap() throws {
        var random = SplitMix(state: 3)
        try folder.append(ticks: 30)
        let view = tally("1").indexed()
        try materialize(view, &random, calm: true)
        let path = folder.data.file(id(view))
        // As left by a program that brings the rows forward and does not know about the index.
        do {
            let other = try SQLiteConnection(path, .readWrite)
            let mark = KeyIndexFormat.mark(Offset(12)).map { String($0, radix: 16) }
                .map { $0.count == 1 ? "0" + $0 : $0 }.joined()
            try other.execute(
                "UPDATE _kappa_index_0 SET _kappa_state = x'\(mark)' WHERE key_hash = -1")
        }
        try folder.append(ticks: 30)
        try materialize(view, &random, calm: true)
        let asked = try why(view, .string("k1"), nil, to: 60)
        #expect(
            asked.unusedIndex
                == "a program without the index has advanced tally@1 from offset 12; "
                + "`kappa rebuild tally` makes a version whose index is whole")
        // Events before the gap are in the index.
        #expect(try why(view, .string("k1"), nil, to: 12).usesIndex)
        #expect(
            try steps(why(view, .string("k1"), nil, to: 12)).map(\.offset)
                == [1, 6, 11].map { Offset($0) })
        #expect(try steps(asked).count == 12)
    }

    @Test("a view whose rows depend on other keys cannot be indexed, and its error says why")
    func refused() throws {
        for (view, _) in HitViews.all.suffix(2) {
            let error = #expect(throws: KappaError.self) { try definition(Indexed(view)) }
            #expect(error?.code == .usage && error?.what == "view \(view.name) cannot be indexed")
        }
    }

    @Test("in a view with several tables, those that benefit have an index")
    func someTables() throws {
        let view = View("mixed", digest: "1") {
            HitViews.hits.grouped(by: \.user).top(2, by: .descending(\.amount))
            HitViews.hits.grouped(by: \.user).aggregate(.count().as("n")).into("counts")
        }.indexed()
        var random = SplitMix(state: 4)
        try folder.append((0..<40).map { _ in HitViews.line(&random) })
        try materialize(view, &random, calm: true)
        #expect(try why(view, .array([.string("a")]), "counts", to: 40).usesIndex)
        let other = try why(view, .array([.string("a"), .number("1")]), nil, to: 40)
        #expect(
            other.unusedIndex
                == "rows of table mixed may depend on events of other keys, so there is no index of "
                + "it")
    }

    @Test("small commits add recent events, which become chunks at once, also after restarts")
    func recent() throws {
        var random = SplitMix(state: 6)
        let view = tally("1").indexed()
        let path = folder.data.file(id(view))
        func rows(_ condition: String) throws -> Int64? {
            try SQLiteConnection(path, .readOnly).integer(
                "SELECT count(*) FROM _kappa_index_0 WHERE \(condition)")
        }
        func requireAll(_ end: Int) throws {
            let asked = try why(view, .string("k1"), nil, to: end)
            #expect(asked.usesIndex)
            #expect(
                try steps(asked).map(\.offset)
                    == stride(from: 1, to: end, by: 5).map { Offset(UInt64($0)) })
        }
        var end = 0
        func append(_ count: Int) throws {
            try folder.append(ticks: count, first: end)
            end += count
            // Each time the version is opened anew.
            try materialize(view, &random, calm: true)
        }
        try append(20)
        #expect(try rows("key_hash = -2") == 0)
        for count in 1...9 {
            try append(20)
            #expect(try rows("key_hash = -2") == Int64(count))
            #expect(try rows("key_hash >= 0") == 5)
            try requireAll(end)
        }
        try append(20_000)
        #expect(try rows("key_hash = -2") == 0)
        #expect(try rows("key_hash >= 0") ?? 0 > 5)
        try requireAll(end)
        try append(20)
        #expect(try rows("key_hash = -2") == 1)
        try requireAll(end)
    }

    @Test("scratch versions keep no index")
    func aside() throws {
        try folder.append(ticks: 10)
        let definition = try definition(tally("1").indexed())
        let scratch = try ScratchVersion(definition, to: Offset(10), in: folder.data)
        #expect(scratch.reader.allTables.map(\.name) == ["tally"])
    }

    @Test("chunks give back what was put in")
    func chunks() throws {
        var random = SplitMix(state: 5)
        for keepsTimes in [false, true] {
            var chunk = KeyIndexFormat.Chunk(keepsTimes: keepsTimes)
            var entries: [KeyIndexFormat.Entry] = []
            var offset = UInt64(random.below(1 << 40))
            for _ in 0..<200 {
                let times = [.min, .max, Int64(random.below(1 << 50)) - 1 << 49]
                let entry = KeyIndexFormat.Entry(
                    offset: offset, streamTime: keepsTimes ? random.pick(times) : .min)
                entries.append(entry)
                chunk.add(entry)
                offset += 1 + UInt64(random.below(1 << random.below(40)))
            }
            let read = try chunk.bytes.withUnsafeBytes {
                try KeyIndexFormat.entries(from: chunk.first, $0, keepsTimes: keepsTimes)
            }
            #expect(read == entries)
            for length in 1..<chunk.bytes.count {
                // Reading a chunk never crashes, whatever it contains.
                chunk.bytes.prefix(length).withUnsafeBytes { bytes in
                    _ = try? KeyIndexFormat.entries(
                        from: chunk.first, bytes, keepsTimes: keepsTimes)
                }
            }
        }
    }
}
